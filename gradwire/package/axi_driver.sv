  reg [31:0] write_address = 0;
  reg [31:0] read_address = 0;
  assign s_axi_awaddr = write_address[ADDRESS_BITS-1:0];
  assign s_axi_araddr = read_address[ADDRESS_BITS-1:0];

  task write(input [31:0] address, input [31:0] data);
    begin
      write_address <= address;
      s_axi_awvalid <= 1;
      s_axi_wdata <= data;
      s_axi_wstrb <= 4'hf;
      s_axi_wvalid <= 1;
      s_axi_bready <= 1;
      @(posedge clk);
      while (s_axi_awvalid || s_axi_wvalid) begin
        if (s_axi_awready) s_axi_awvalid <= 0;
        if (s_axi_wready) s_axi_wvalid <= 0;
        @(posedge clk);
      end
      while (!s_axi_bvalid) @(posedge clk);
      s_axi_bready <= 0;
      if (s_axi_bresp !== 0) $fatal(1, "FAIL: write to %h is answered by %0d", address, s_axi_bresp);
    end
  endtask

  task read(input [31:0] address, output [31:0] data);
    begin
      read_address <= address;
      s_axi_arvalid <= 1;
      s_axi_rready <= 1;
      @(posedge clk);
      while (!s_axi_arready) @(posedge clk);
      s_axi_arvalid <= 0;
      @(posedge clk);
      while (!s_axi_rvalid) @(posedge clk);
      s_axi_rready <= 0;
      data = s_axi_rdata;
      if (s_axi_rresp !== 0) $fatal(1, "FAIL: read of %h is answered by %0d", address, s_axi_rresp);
    end
  endtask

  reg [31:0] found;
  task expect_word(input [31:0] address, input [31:0] wanted);
    begin
      read(address, found);
      if (found !== wanted) $fatal(1, "FAIL: register %h is %h, not %h", address, found, wanted);
    end
  endtask

  task check_core;
    begin
      expect_word(MAGIC_ADDRESS, MAGIC);
      expect_word(VERSION_ADDRESS, VERSION);
      expect_word(DESIGN_ADDRESS, DESIGN);
    end
  endtask

  task write_weight(input integer bank, input integer word, input [31:0] data);
    write(WEIGHTS + 4 * (bank << WORD_BITS | word), data);
  endtask

  task read_weight(input integer bank, input integer word, output [31:0] data);
    read(WEIGHTS + 4 * (bank << WORD_BITS | word), data);
  endtask

  task run(input integer count, input forward);
    begin
      write(INTERRUPT_ENABLE_ADDRESS, 1);
      write(SAMPLES_ADDRESS, count);
      write(RATE_ADDRESS, RATE);
<BATCH>
      write(CONTROL_ADDRESS, forward ? 3 : 1);
      while (!irq) @(posedge clk);
      write(INTERRUPT_PENDING_ADDRESS, 1);
      expect_word(TRAINED_ADDRESS, count);
      expect_word(RESULTS_LOST_ADDRESS, 0);
    end
  endtask

  task send(input [31:0] word, input last);
    begin
      s_axis_tdata <= word;
      s_axis_tlast <= last;
      s_axis_tvalid <= 1;
      @(posedge clk);
      while (!s_axis_tready) @(posedge clk);
      s_axis_tvalid <= 0;
    end
  endtask

  // Results are taken in every other clock.
  initial m_axis_tready = 0;
  always @(posedge clk) m_axis_tready <= !m_axis_tready;
  wire result_valid = m_axis_tvalid && m_axis_tready;
  wire [31:0] result = m_axis_tdata;
