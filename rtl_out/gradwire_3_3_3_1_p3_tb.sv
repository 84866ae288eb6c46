// Self-checking bench of gradwire_3_3_3_1_p3: trains 4 samples, infers 2, and reads the weights
// back. All outputs and a checksum of the weights must be those of gradwire's golden model, bit for
// bit. Weights and samples are pseudo-random words, so that the bench needs no other file. It ends
// with PASS, or with $fatal. Made by gradwire for this design; any simulator of SystemVerilog runs it.
module gradwire_3_3_3_1_p3_tb;
  localparam [31:0] TRAINED = 4;
  localparam [31:0] INFERRED = 2;
  localparam [31:0] BATCH = 1;
  localparam [31:0] RATE = 32'h3c800000;
  localparam [31:0] BYTES = 0;
  localparam [31:0] LAST_BYTES = 32'h00ffffff;
  localparam [31:0] INPUT_WORDS = 3;
  localparam [31:0] OUTPUTS = 1;
  localparam [31:0] WEIGHT_SEED = 32'h67726164;
  localparam [31:0] SAMPLE_SEED = 32'h77697265;
  localparam [31:0] WORD_BITS = 3;
  localparam [31:0] MOST_CLOCKS = 12008;
  localparam [31:0] ADDRESS_BITS = 5;
  localparam [31:0] WEIGHT_LATENCY = 2;
  localparam [31:0] RESULTS = 6;
  localparam [31:0] CHECKSUM = 32'h7e7063e2;

  reg clk = 0;
  reg rst = 1;
  reg ready = 0;
  always #1 clk = !clk;

  // verilator lint_off INITIALDLY
  // verilator lint_off UNUSEDSIGNAL

  // Words by xorshift (G. Marsaglia, "Xorshift RNGs", 2003): FP32 numbers are made of them.
  function [31:0] following(input [31:0] x);
    reg [31:0] a, b;
    begin
      a = x ^ (x << 13);
      b = a ^ (a >> 17);
      following = b ^ (b << 5);
    end
  endfunction

  reg [31:0] expected[0:RESULTS-1];
  initial begin
    expected[0] = 32'h3ef3828a;
    expected[1] = 32'h3ef481fb;
    expected[2] = 32'h3ef58182;
    expected[3] = 32'h3ef780cd;
    expected[4] = 32'h3ef8808d;
    expected[5] = 32'h3ef8808d;
  end

  // What the bench does with the core.
  reg start = 0;
  reg [31:0] samples = 0;
  reg infer = 0;
  reg stop = 0;
  reg [31:0] rate = 0;
  reg [31:0] halve_every = 0;
  reg [31:0] floor = 0;
  reg [31:0] age = 0;
  wire busy;
  wire done;
  wire loaded;
  wire [63:0] clocks;
  wire [31:0] trained;
  wire [63:0] stalls;
  reg [31:0] i__payload = 0;
  reg i__valid = 0;
  wire i__ready;
  wire released;
  wire [31:0] prediction;
  wire prediction_valid;
  wire [4:0] weight_address;
  reg weight_write = 0;
  reg [31:0] weight_data = 0;
  wire [31:0] weight;
  gradwire_3_3_3_1_p3_template template (
      .clk(clk),
      .rst(rst),
      .start(start),
      .samples(samples),
      .infer(infer),
      .stop(stop),
      .rate(rate),
      .halve_every(halve_every),
      .floor(floor),
      .age(age),
      .busy(busy),
      .done(done),
      .loaded(loaded),
      .clocks(clocks),
      .trained(trained),
      .stalls(stalls),
      .i__payload(i__payload),
      .i__valid(i__valid),
      .i__ready(i__ready),
      .released(released),
      .prediction(prediction),
      .prediction_valid(prediction_valid),
      .weight_address(weight_address),
      .weight_write(weight_write),
      .weight_data(weight_data),
      .weight(weight)
  );

  reg [31:0] place = 0;
  assign weight_address = place[ADDRESS_BITS-1:0];

  task check_core;
    if (busy !== 0) $fatal(1, "FAIL: the core is not idle");
  endtask

  task write_weight(input integer bank, input integer word, input [31:0] data);
    begin
      place <= bank << WORD_BITS | word;
      weight_data <= data;
      weight_write <= 1;
      @(posedge clk);
      weight_write <= 0;
    end
  endtask

  task read_weight(input integer bank, input integer word, output [31:0] data);
    begin
      place <= bank << WORD_BITS | word;
      repeat (WEIGHT_LATENCY + 2) @(posedge clk);
      data = weight;
    end
  endtask

  task run(input integer count, input forward);
    begin
      samples <= count;
      infer <= forward;
      rate <= RATE;
      start <= 1;
      @(posedge clk);
      start <= 0;
      repeat (2) @(posedge clk);
      while (busy) @(posedge clk);
      @(posedge clk);
      if (!done || trained != count)
        $fatal(1, "FAIL: %0d samples of %0d", trained, count);
    end
  endtask

  task send(input [31:0] word, input last);
    begin
      i__payload <= word;
      i__valid <= 1;
      @(posedge clk);
      while (!i__ready) @(posedge clk);
      i__valid <= 0;
    end
  endtask

  wire result_valid = prediction_valid;
  wire [31:0] result = prediction;

  // Results are compared as they come.
  integer results = 0;
  always @(posedge clk)
    if (ready && result_valid) begin
      if (results >= RESULTS) $fatal(1, "FAIL: more results than %0d", RESULTS);
      else if (result !== expected[results])
        $fatal(1, "FAIL: result %0d is %h, not %h", results, result, expected[results]);
      results = results + 1;
    end

  // Samples come as fast as they are taken.
  reg [31:0] sample_state = SAMPLE_SEED;
  integer record, index;
  initial begin
    while (!ready) @(posedge clk);
    for (record = 0; record < TRAINED + INFERRED; record = record + 1)
      for (index = 0; index < INPUT_WORDS + OUTPUTS; index = index + 1) begin
        sample_state = following(sample_state);
        send(sample_word(sample_state), index == INPUT_WORDS + OUTPUTS - 1);
      end
  end

  function [31:0] sample_word(input [31:0] x);
    if (index >= INPUT_WORDS) sample_word = {9'h07e, x[22:0]};  // a label, 0.5 to 1
    else if (BYTES == 0) sample_word = {x[31], 8'h7d, x[22:0]};  // an input, 0.25 to 0.5 or its negative
    else if (index == INPUT_WORDS - 1) sample_word = x & LAST_BYTES;
    else sample_word = x;
  endfunction

  // Every weight is written, or read into the checksum.
  reg [31:0] weight_state = WEIGHT_SEED;
  reg [31:0] checksum = 0;
  reg [31:0] read_word;
  task access(input reading, input integer bank, input integer word);
    if (reading) begin
      read_weight(bank, word, read_word);
      checksum = {checksum[30:0], checksum[31]} ^ read_word;
    end else begin
      weight_state = following(weight_state);
      write_weight(bank, word, {weight_state[31], 8'h7c, weight_state[22:0]});
    end
  endtask

  // n: neuron of the layer, k: input of the layer.
  integer n, k;
  task every_weight(input reading);
    begin
      for (n = 0; n < 3; n = n + 1) begin
        for (k = 0; k < 3; k = k + 1) access(reading, k % 3, 0 + k / 3 * 3 + n);
        access(reading, 3, 0 + n);
      end
      for (n = 0; n < 3; n = n + 1) begin
        for (k = 0; k < 3; k = k + 1) access(reading, k % 3, 3 + k / 3 * 3 + n);
        access(reading, 3, 3 + n);
      end
      for (n = 0; n < 1; n = n + 1) begin
        for (k = 0; k < 3; k = k + 1) access(reading, k % 3, 6 + k / 3 * 1 + n);
        access(reading, 3, 6 + n);
      end
    end
  endtask

  initial begin
    repeat (4) @(posedge clk);
    rst <= 0;
    repeat (2) @(posedge clk);
    ready <= 1;
    check_core;
    every_weight(0);
    run(TRAINED, 0);
    every_weight(1);
    if (checksum !== CHECKSUM)
      $fatal(1, "FAIL: the weights' checksum is %h, not %h", checksum, CHECKSUM);
    run(INFERRED, 1);
    if (results != RESULTS) $fatal(1, "FAIL: %0d results, not %0d", results, RESULTS);
    $display("PASS: %0d results and all weights are the golden model's", results);
    $finish;
  end

  initial begin
    repeat (MOST_CLOCKS) @(posedge clk);
    $fatal(1, "FAIL: not done after %0d clocks", MOST_CLOCKS);
  end
endmodule
