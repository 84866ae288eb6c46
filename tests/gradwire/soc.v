// A system on chip, by hand: out of reset it reads the core's register 0 and says whether that is
// "gwa1". The test puts the instance out of the core's template where it says so.
module soc (
    input wire aclk,
    input wire aresetn,
    output reg answered,
    output reg alive
);
  wire [9:0] s_axi_awaddr = 0;
  wire [2:0] s_axi_awprot = 0, s_axi_arprot = 0;
  wire s_axi_awready, s_axi_wready, s_axi_arready, s_axi_bvalid, s_axi_rvalid;
  wire [31:0] s_axi_rdata;
  wire [1:0] s_axi_bresp, s_axi_rresp;
  wire irq, s_axis_tready, m_axis_tlast, m_axis_tvalid;
  wire [31:0] m_axis_tdata;
  wire s_axi_awvalid = 0, s_axi_wvalid = 0, s_axi_bready = 1, s_axi_rready = 1;
  wire [31:0] s_axi_wdata = 0, s_axis_tdata = 0;
  wire [3:0] s_axi_wstrb = 0;
  wire [9:0] s_axi_araddr = 0;
  wire s_axis_tlast = 0, s_axis_tvalid = 0, m_axis_tready = 0;
  reg s_axi_arvalid;

<INSTANCE>

  always @(posedge aclk) begin
    if (!aresetn) begin
      s_axi_arvalid <= 1;
      answered <= 0;
      alive <= 0;
    end else begin
      if (s_axi_arready) s_axi_arvalid <= 0;
      if (s_axi_rvalid) begin
        answered <= 1;
        alive <= s_axi_rdata == "1awg" && s_axi_rresp == 0;
      end
    end
  end

  // Nothing but reading is of interest here.
  wire unused = &{s_axi_awready, s_axi_wready, s_axi_bvalid, s_axi_bresp, irq, s_axis_tready,
                  m_axis_tlast, m_axis_tvalid, m_axis_tdata};
endmodule
