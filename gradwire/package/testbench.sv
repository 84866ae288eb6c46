// Self-checking bench of <NAME>: trains <TRAINED> samples, infers <INFERRED>, and reads the weights
// back. All outputs and a checksum of the weights must be those of gradwire's golden model, bit for
// bit. Weights and samples are pseudo-random words, so that the bench needs no other file. It ends
// with PASS, or with $fatal. Made by gradwire for this design; any simulator of SystemVerilog runs it.
module <NAME>_tb;
<PARAMETERS>

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
<EXPECTED>
  end

  // What the bench does with the core.
<DRIVER>

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
<WEIGHTS>
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
