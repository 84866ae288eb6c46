// Feeds pairs of operands from a file to a floating-point unit, one a clock, and writes its results
// to another, as 32-bit words.
//
// Before it stand, generated for each unit: UNIT (the unit's module), WIDTH (of its numbers),
// LATENCY.

module fpu_bench;
  logic finished;
  bit clk = 0;
  always #1 clk = !clk;

  integer operands, results, got;
  logic [63:0] record, pair;
  logic [`LATENCY:0] filled;
  logic [`WIDTH-1:0] o;

  `UNIT unit (
      .clk(clk),
      .rst(1'b0),
      .a(pair[32+:`WIDTH]),
      .b(pair[0+:`WIDTH]),
      .o(o)
  );

  initial begin
    operands = $fopen("operands.bin", "rb");
    results = $fopen("results.bin", "wb");
    filled = 0;
    finished = 0;
  end

  always_ff @(posedge clk) if (!finished) begin
    got = $fread(record, operands);
    pair <= record;
    filled <= {filled[`LATENCY-1:0], got == 8};
    if (filled[`LATENCY]) $fwrite(results, "%u", 32'(o));
    if (got != 8 && filled == 0) begin
      $fclose(results);
      finished <= 1;
    end
  end
endmodule
