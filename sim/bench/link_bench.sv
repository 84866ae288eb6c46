// The host's end of the line to a system: bytes from a file go out, bytes that come in go to a file.
// At the system's other pins is the model of its SDRAM.
//
// Before it stand, generated for each system: SYSTEM (its module), DIVISOR (clocks of a bit),
// ROW_BITS, and CHIP (parameters of the model).

module link_bench;
  // An exchange begins when Python changes `exchange`, and ends when all `count` bytes of
  // request.bin are out, and an END has come since (`whole`), or the line was silent for
  // `patience` clocks. What came is then in reply.bin.
  logic finished;
  logic [31:0] exchange = 0, count = 0, patience = 0;
  logic whole = 0;

  localparam byte unsigned END = 8'hc0;

  bit clk = 0;
  logic rst = 1;
  always #1 clk = !clk;
  always_ff @(posedge clk) rst <= 0;

  logic out = 1, in;
  logic sdram__clk_en, sdram__cs, sdram__ras, sdram__cas, sdram__we, sdram__dq_oe;
  logic [1:0] sdram__ba, sdram__dqm;
  logic [`ROW_BITS-1:0] sdram__a;
  logic [15:0] sdram__dq_o, sdram__dq_i;
  `SYSTEM dut (
      .rx(out),
      .tx(in),
      .*
  );

  sdram_model #(`CHIP) chip (
      .clk(clk),
      .cke(sdram__clk_en),
      .cs_n(!sdram__cs),
      .ras_n(!sdram__ras),
      .cas_n(!sdram__cas),
      .we_n(!sdram__we),
      .ba(sdram__ba),
      .a(13'(sdram__a)),
      .dqm(sdram__dqm),
      .dq_i(sdram__dq_o),
      .dq_driven(sdram__dq_oe),
      .dq_o(sdram__dq_i)
  );

  byte unsigned bytes[1 << 20];
  integer file, ignored;
  logic [31:0] done, sent, silent;
  logic running, ended;

  // The bit on the line, of the byte going out, and its clock; 10 when there is none.
  int unsigned out_bit, out_clock, in_bit, in_clock;
  byte unsigned shift;
  always_ff @(posedge clk) begin
    if (rst) begin
      finished <= 0;
      running <= 0;
      done <= 0;
      sent <= 0;
      out_bit <= 10;
      out_clock <= 0;
      in_bit <= 0;
      in_clock <= 0;
    end else if (!running) begin
      if (exchange != done) begin
        file = $fopen("request.bin", "rb");
        ignored = count == 0 ? 0 : $fread(bytes, file, 0, count);
        $fclose(file);
        file = $fopen("reply.bin", "wb");
        done <= exchange;
        running <= 1;
        finished <= 0;
        ended <= 0;
        sent <= 0;
        silent <= 0;
      end
    end else begin
      // Out.
      if (out_bit != 10) begin
        out_clock <= out_clock == `DIVISOR - 1 ? 0 : out_clock + 1;
        if (out_clock == `DIVISOR - 1) begin
          out_bit <= out_bit + 1;
          out <= out_bit < 8 ? bytes[sent-1][out_bit] : 1;
        end
      end else if (sent != count) begin
        sent <= sent + 1;
        out <= 0;
        out_bit <= 0;
      end
      // In: a start bit, the middle of each bit, to the middle of the stop bit.
      if (in_bit == 0) begin
        in_clock <= `DIVISOR / 2;
        if (!in) in_bit <= 1;
      end else if (in_clock != `DIVISOR - 1) in_clock <= in_clock + 1;
      else begin
        in_clock <= 0;
        in_bit <= in_bit == 10 ? 0 : in_bit + 1;
        if (in_bit > 1 && in_bit < 10) shift <= {in, shift[7:1]};
        if (in_bit == 10) begin
          $fwrite(file, "%c", in ? shift : 8'hee);
          if (shift == END) ended <= 1;
        end
      end
      silent <= out_bit != 10 || sent != count || in_bit != 0 ? 0 : silent + 1;
      if (sent == count && out_bit == 10 && ((whole && ended && in_bit == 0) || silent == patience)) begin
        $fclose(file);
        running <= 0;
        finished <= 1;
      end
    end
  end
endmodule
