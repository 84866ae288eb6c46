// Feeds requests and words to an SDRAM controller, and writes down what it reads, with the model of
// the chip behind it.
//
// requests.bin: for each, in 32-bit words: address, number of words with the top bit for a write,
// clocks to wait before it is shown. data.bin: words to write, 16 bits each. reads.bin: words read.
// monitor.bin, at the end: what the monitor counted. With +clocks, the clocks of each transfer of
// the three streams go to request_clocks.bin, write_clocks.bin and read_clocks.bin.
//
// +i_gap=N, +o_gap=N: up to N clocks, at random, between words, from the first request on.
//
// Before it stand, generated: CONTROLLER (the module), ADDRESS_BITS, ROW_BITS, and CHIP
// (parameters of the model).

module sdram_bench;
  logic finished;
  bit clk = 0;
  logic rst = 1;
  always #1 clk = !clk;
  always_ff @(posedge clk) rst <= 0;

  localparam int ADDRESS_BITS = `ADDRESS_BITS;

  integer requests, data, reads, monitor, request_clocks, write_clocks, read_clocks, got;
  bit log_clocks;
  int unsigned i_gap = 0, o_gap = 0;
  initial begin
    requests = $fopen("requests.bin", "rb");
    data = $fopen("data.bin", "rb");
    reads = $fopen("reads.bin", "wb");
    monitor = $fopen("monitor.bin", "wb");
    request_clocks = $fopen("request_clocks.bin", "wb");
    write_clocks = $fopen("write_clocks.bin", "wb");
    read_clocks = $fopen("read_clocks.bin", "wb");
    log_clocks = $test$plusargs("clocks") != 0;
    got = $value$plusargs("i_gap=%d", i_gap);
    got = $value$plusargs("o_gap=%d", o_gap);
  end

  logic request__valid, request__ready, i__valid, i__ready, o__valid, o__ready, initialized;
  logic [ADDRESS_BITS+16:0] request__payload;
  logic [15:0] i__payload, o__payload;
  logic pins__clk_en, pins__cs, pins__ras, pins__cas, pins__we, pins__dq_oe;
  logic [1:0] pins__ba, pins__dqm;
  logic [`ROW_BITS-1:0] pins__a;
  logic [15:0] pins__dq_o, pins__dq_i;
  `CONTROLLER controller (
      .refresh(1'b0),
      .refreshed(),
      .*
  );

  sdram_model #(`CHIP) chip (
      .clk(clk),
      .cke(pins__clk_en),
      .cs_n(!pins__cs),
      .ras_n(!pins__ras),
      .cas_n(!pins__cas),
      .we_n(!pins__we),
      .ba(pins__ba),
      .a(13'(pins__a)),
      .dqm(pins__dqm),
      .dq_i(pins__dq_o),
      .dq_driven(pins__dq_oe),
      .dq_o(pins__dq_i)
  );

  // The bench's own count of clocks: the chip's changes while others look at it.
  logic [31:0] now = 0;
  always_ff @(posedge clk) now <= now + 1;

  // Requests. The count of words that are still to be read.
  logic [95:0] record;
  logic [31:0] wait_request;
  bit exhausted;
  logic [63:0] due;
  logic [15:0] asked;
  assign asked = request__valid && request__ready && !request__payload[ADDRESS_BITS+16]
      ? request__payload[ADDRESS_BITS+:16] : 0;
  always_ff @(posedge clk) begin
    due <= due + 64'(asked) - 64'(o__valid && o__ready);
    if (!rst && request__valid && request__ready) begin
      request__valid <= 0;
      if (log_clocks) $fwrite(request_clocks, "%u", now);
    end
    if (rst) begin
      due <= 0;
      request__valid <= 0;
      wait_request <= 0;
      exhausted <= 0;
      record <= 0;
    end else if (wait_request != 0) begin
      wait_request <= wait_request - 1;
      if (wait_request == 1) request__valid <= 1;
    end else if ((!request__valid || request__ready) && !exhausted) begin
      got = $fread(record, requests);
      exhausted <= got != 12;
      request__payload <= {record[63], record[47:32], record[64+:ADDRESS_BITS]};
      request__valid <= got == 12 && record[31:0] == 0;
      wait_request <= got == 12 ? record[31:0] : 0;
    end
  end

  // Words to write: the next one is shown early or late, as the gap has it.
  logic [15:0] next_word;
  logic [31:0] wait_i, wait_o;
  bit no_data;
  always_ff @(posedge clk) begin
    if (!rst && i__valid && i__ready && log_clocks) $fwrite(write_clocks, "%u", now);
    if (rst) begin
      i__valid <= 0;
      wait_i <= 0;
      no_data <= 0;
    end else if (i__valid && !i__ready) begin
    end else if (wait_i != 0) begin
      i__valid <= 0;
      wait_i <= wait_i - 1;
    end else begin
      got = no_data ? 0 : $fread(next_word, data);
      i__payload <= next_word;
      i__valid <= got == 2;
      no_data <= got != 2;
      wait_i <= i_gap == 0 ? 0 : $urandom_range(i_gap);
    end
  end

  // Words read.
  always_ff @(posedge clk) begin
    if (rst) begin
      o__ready <= 0;
      wait_o <= 0;
    end else begin
      o__ready <= wait_o == 0;
      wait_o <= wait_o != 0 ? wait_o - 1 : o_gap == 0 ? 0 : $urandom_range(o_gap);
    end
    if (!rst && o__valid && o__ready) begin
      $fwrite(reads, "%c%c", o__payload[7:0], o__payload[15:8]);
      if (log_clocks) $fwrite(read_clocks, "%u", now);
    end
  end

  // Rules of the streams that the controller drives: what is valid stays until it is taken.
  logic held;
  logic [15:0] held_payload;
  always_ff @(posedge clk) begin
    held <= !rst && o__valid && !o__ready;
    held_payload <= o__payload;
    if (!rst && held && (!o__valid || o__payload != held_payload)) $error("o was not held");
  end

  // The end: nothing is on its way. Some clocks more show words too many.
  int unsigned quiet;
  always_ff @(posedge clk) begin
    if (rst) begin
      finished <= 0;
      quiet <= 0;
    end else if (!finished) begin
      quiet <= exhausted && no_data && !request__valid && !i__valid && due == 0 ? quiet + 1 : 0;
      if (quiet == 100) begin
        $fwrite(monitor, "%u%u%u", 64'(chip.clocks), 64'(chip.refreshes), 64'(chip.largest_gap));
        $fwrite(monitor, "%u%u%u%u", chip.activations, chip.reads, chip.writes, chip.violations);
        $fclose(monitor);
        $fclose(reads);
        $fclose(request_clocks);
        $fclose(write_clocks);
        $fclose(read_clocks);
        finished <= 1;
      end
    end
  end
endmodule
