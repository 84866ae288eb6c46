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
<BATCH>
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

<RESULT>
