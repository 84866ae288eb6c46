// Plays commands to the model of an SDRAM chip, one a clock, without a controller.
//
// commands.bin: for each clock, in 32-bit words: {dq_driven, cke, cs_n, ras_n, cas_n, we_n, dqm[1:0],
// ba[1:0], a[15:0]}, the word to write. Words at the chip's pins, at each edge, go to pins.bin.
//
// Before it stands, generated: CHIP (parameters of the model).

module sdram_commands;
  logic finished;
  bit clk = 0;
  always #1 clk = !clk;

  integer commands, pins, got;
  initial begin
    commands = $fopen("commands.bin", "rb");
    pins = $fopen("pins.bin", "wb");
    finished = 0;
    idle = 1;
  end

  // No command; clock enable is high.
  bit idle;
  logic [63:0] record, next;
  logic [31:0] now;
  assign now = idle ? 32'h1f << 20 : record[63:32];
  logic [15:0] dq_o;
  sdram_model #(`CHIP) chip (
      .clk(clk),
      .dq_driven(now[25]),
      .cke(now[24]),
      .cs_n(now[23]),
      .ras_n(now[22]),
      .cas_n(now[21]),
      .we_n(now[20]),
      .dqm(now[19:18]),
      .ba(now[17:16]),
      .a(now[12:0]),
      .dq_i(record[15:0]),
      .dq_o(dq_o)
  );

  always_ff @(posedge clk) if (!finished) begin
    $fwrite(pins, "%c%c", dq_o[7:0], dq_o[15:8]);
    got = $fread(next, commands);
    record <= next;
    idle <= got != 8;
    if (got != 8 && idle) begin
      $fclose(pins);
      finished <= 1;
    end
  end
endmodule
