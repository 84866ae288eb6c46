// A core with AXI outside, whose masters are in Python, and a checker of what its outputs may do.
// axi_bench.vh, generated for each design, defines CORE (the module) and ADDRESS_BITS.

`include "axi_bench.vh"

// Of one stream: what is offered stays as it is until it is taken; in reset nothing is offered.
module axi_rules #(
    parameter int WIDTH = 1
) (
    input logic clk,
    input logic rst,
    input logic valid,
    input logic ready,
    input logic [WIDTH-1:0] payload
);
  // Before the first reset anything may be.
  bit held = 0, was_reset = 0, begun = 0;
  logic [WIDTH-1:0] earlier;
  always_ff @(posedge clk) begin
    begun <= begun || rst;
    held <= begun && valid && !ready && !rst;
    earlier <= payload;
    was_reset <= rst;
    if (was_reset && valid) $fatal(1, "%m: valid in reset");
    if (held && !was_reset && !valid) $fatal(1, "%m: valid was withdrawn");
    if (held && !was_reset && payload != earlier) $fatal(1, "%m: the payload changed");
  end
endmodule

module axi_bench (
    input logic clk,
    input logic rst
);
  logic [`ADDRESS_BITS-1:0] s_axi_awaddr, s_axi_araddr;
  logic [2:0] s_axi_awprot, s_axi_arprot;
  logic [31:0] s_axi_wdata, s_axi_rdata, s_axis_tdata, m_axis_tdata;
  logic [3:0] s_axi_wstrb;
  logic [1:0] s_axi_bresp, s_axi_rresp;
  logic s_axi_awvalid, s_axi_awready, s_axi_wvalid, s_axi_wready, s_axi_bvalid, s_axi_bready;
  logic s_axi_arvalid, s_axi_arready, s_axi_rvalid, s_axi_rready;
  logic s_axis_tlast, s_axis_tvalid, s_axis_tready, m_axis_tlast, m_axis_tvalid, m_axis_tready;
  logic irq;
  `CORE dut (.*);

  axi_rules #(2) b (clk, rst, s_axi_bvalid, s_axi_bready, s_axi_bresp);
  axi_rules #(34) r (clk, rst, s_axi_rvalid, s_axi_rready, {s_axi_rdata, s_axi_rresp});
  axi_rules #(33) m (clk, rst, m_axis_tvalid, m_axis_tready, {m_axis_tdata, m_axis_tlast});

  // No answer before all that it answers has come.
  int unsigned aw_count, w_count, b_count, ar_count, r_count;
  always_ff @(posedge clk)
    if (rst) {aw_count, w_count, b_count, ar_count, r_count} <= '0;
    else begin
      if (s_axi_awvalid && s_axi_awready) aw_count <= aw_count + 1;
      if (s_axi_wvalid && s_axi_wready) w_count <= w_count + 1;
      if (s_axi_arvalid && s_axi_arready) ar_count <= ar_count + 1;
      if (s_axi_bvalid && s_axi_bready) b_count <= b_count + 1;
      if (s_axi_rvalid && s_axi_rready) r_count <= r_count + 1;
      if (s_axi_bvalid && (b_count >= aw_count || b_count >= w_count))
        $fatal(1, "an answer to no write");
      if (s_axi_rvalid && r_count >= ar_count) $fatal(1, "an answer to no read");
    end
endmodule
