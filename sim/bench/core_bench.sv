// Drives the core through whole runs and writes down what it does.
//
// Everything is in bulk: weights, runs and training vectors come from files, a word a clock where
// the core takes one; events go to files as 32-bit words. Python waits.
// core_bench.vh, generated for each design, defines CORE (the core's module), ADDRESS_BITS and
// WEIGHT_LATENCY (of the weight port), RECORD_WORDS, and, where they are, HAS_INPUT_DELTAS,
// HAS_INITIALIZER, HAS_LOSS, BATCH_BITS. core_observer.sv looks inside, into each core of a machine of
// several groups.
// With SUPPLY (module of hw.supply) the training vectors come from the model of an SDRAM, with
// CONTROLLER, ADDRESS_BITS of its requests, ROW_BITS and CHIP, the parameters of the model.
// With OUTSIDE the core is a netlist: nothing in it is looked at.

`include "core_bench.vh"

module core_bench;
  // What Python reads, and `stop`, which it sets: the run in progress ends with its sample or its
  // batch, and runs that have not begun do not begin.
  logic finished;
  logic [31:0] trained, run;
  logic stop = 0;

  // The clock is made here: from Python it would cost a third of the time. `rst` is a register, so
  // that nothing but the clock's edges has to be evaluated. +reset=N holds it for N clocks.
  bit clk = 0;
  logic rst = 1;
  int unsigned reset = 1;
  always #1 clk = !clk;
  always_ff @(posedge clk) begin
    reset <= reset - 1;
    if (reset == 1) rst <= 0;
  end

  typedef enum {
    LOAD, NEXT, WAIT, START, RUN, READ, LAST, DONE
  } state_t;
  state_t state;

  integer weights, runs, samples;
  integer run_log, arrival_log, final_log, prediction_log, loss_log;
  integer got, ignored;
  bit log_weights;
  // Longest gap between words of the stream, in clocks.
  int unsigned gap = 0;

  initial begin
    weights = $fopen("weights.bin", "rb");
    runs = $fopen("runs.bin", "rb");
`ifndef SUPPLY
    samples = $fopen("samples.bin", "rb");
`endif
    prediction_log = $fopen("predictions.log", "wb");
    arrival_log = $fopen("arrivals.log", "wb");
    run_log = $fopen("runs.log", "wb");
    final_log = $fopen("final.log", "wb");
    loss_log = $fopen("losses.log", "wb");
    log_weights = $test$plusargs("weights") != 0;
    ignored = $value$plusargs("gap=%d", gap);
    ignored = $value$plusargs("reset=%d", reset);
  end

  // The core.
  logic start, busy, done, loaded, i__valid, i__ready, weight_write, prediction_valid;
  logic infer;
  logic [31:0] run_samples, batch_samples, rate, halve_every, floor, age;
  logic [31:0] i__payload, weight_data, weight, prediction;
  logic [63:0] clocks, stalls;
  logic [319:0] run_record;
  logic [`ADDRESS_BITS-1:0] weight_address;
  logic [63:0] record;  // of a file of pairs of words

  // With +initialize=SEED the core makes its weights itself, over those of the file.
  logic initialize, initializing, initializes;
  logic [31:0] seed;
  initial initializes = $value$plusargs("initialize=%d", seed) != 0;
`ifndef HAS_INITIALIZER
  assign initializing = 0;
`endif

  // From SDRAM a run begins with an empty core, and starts when its first sample is loaded.
  logic begins, starts, released;
  logic [31:0] first_record, records, order_seed;
  logic [31:0] loss;
  logic loss_valid;
`ifndef HAS_LOSS
  assign loss = 0, loss_valid = 0;
`endif
  `CORE dut (
      .rst(rst | begins),
      .start(start | starts),
      .samples(run_samples),
`ifdef BATCH_BITS
      .batch(batch_samples[`BATCH_BITS-1:0]),
`endif
`ifdef HAS_INPUT_DELTAS
      .input_delta(),
      .input_delta_valid(),
`endif
`ifdef HAS_LOSS
      .loss,
      .loss_valid,
`endif
      .*
  );

  logic exhausted, supplying;
`ifdef SUPPLY
  logic refresh, refreshed, request__valid, request__ready, o__valid, o__ready;
  logic [`SDRAM_ADDRESS_BITS+16:0] request__payload;
  logic [15:0] o__payload;
  assign exhausted = 0;
  `SUPPLY supply (
      .clk,
      .rst,
      .begin_run(begins),
      .first(first_record),
      .records,
      .samples(run_samples),
      .seed(order_seed),
      .cancel(stop),
      .busy(supplying),
      .released,
      .loaded,
      .start(starts),
      .refresh,
      .refreshed,
      .request__payload,
      .request__valid,
      .request__ready,
      .i__payload(o__payload),
      .i__valid(o__valid),
      .i__ready(o__ready),
      .o__payload(i__payload),
      .o__valid(i__valid),
      .o__ready(i__ready)
  );

  logic pins__clk_en, pins__cs, pins__ras, pins__cas, pins__we, pins__dq_oe;
  logic [1:0] pins__ba, pins__dqm;
  logic [`ROW_BITS-1:0] pins__a;
  logic [15:0] pins__dq_o, pins__dq_i;
  `CONTROLLER controller (
      .i__payload(16'b0),
      .i__valid(1'b0),
      .i__ready(),
      .initialized(),
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

  // The chip's contents.
  logic [15:0] stored;
  initial begin
    samples = $fopen("samples.bin", "rb");
    for (int place = 0; $fread(stored, samples) == 2; place++) chip.cells[place] = stored;
    $fclose(samples);
  end
`else
  assign starts = 0, supplying = 0;

  // Training vectors: the next word waits at the port as long as there is one, or comes at random.
  int unsigned hold;
  always_ff @(posedge clk) begin
    if (rst) begin
      i__valid  <= 0;
      exhausted <= 0;
      hold <= 0;
    end else if (i__valid && !i__ready) begin
    end else if (hold != 0) begin
      i__valid <= 0;
      hold <= hold - 1;
    end else begin
      hold <= gap == 0 ? 0 : $urandom_range(gap);
      got = $fread(i__payload, samples);
      i__valid  <= got == 4;
      exhausted <= got != 4;
    end
  end
`endif

  // Weights, runs, weights back.
  logic [`WEIGHT_LATENCY:0] reading;
  always_ff @(posedge clk) begin
    weight_write <= 0;
    initialize <= 0;
    start <= 0;
    begins <= 0;
    reading <= reading << 1;
    if (rst) begin
      state <= LOAD;
      finished <= 0;
      run <= 0;
      reading <= 0;
    end else begin
      case (state)
        LOAD, READ: begin
          got = $fread(record, weights);
          if (got == 8) begin
            weight_address <= record[32+:`ADDRESS_BITS];
            weight_data <= record[31:0];
            weight_write <= state == LOAD;
            reading[0] <= state == READ;
          end else if (state == LOAD) begin
            initialize <= initializes;
            state <= NEXT;
          end else if (reading == 0) state <= LAST;
        end
        NEXT: begin
          got = $fread(run_record, runs);
          if (got == 40 && !(stop && run != 0)) begin
            {run_samples, ignored, batch_samples, halve_every, age, rate, floor,
             first_record, records, order_seed} = run_record;
            infer <= ignored != 0;
            state <= WAIT;
          end else begin
            ignored = $rewind(weights);
            state <= READ;
          end
        end
`ifdef SUPPLY
        WAIT: if (!initializing && !supplying) begin
          begins <= 1;
          state <= START;
        end
        // The supply starts the core.
        START: if (starts || (stop && !supplying)) state <= RUN;
        RUN: if (!busy && !supplying) begin
`else
        // The buffer is as full as it gets, so that the run meets no wait for samples.
        WAIT: if (!initializing && loaded && (exhausted || !i__ready || gap != 0)) begin
          start <= 1;
          state <= START;
        end
        START: state <= RUN;
        RUN: if (!busy && !start) begin
`endif
          $fwrite(run_log, "%u%u%u%u", clocks, stalls, began, 64'(trained));
          run   <= run + 1;
          state <= NEXT;
        end
        LAST: begin
          $fclose(prediction_log);
          $fclose(arrival_log);
          $fclose(run_log);
          $fclose(final_log);
          $fclose(loss_log);
          finished <= 1;
          state <= DONE;
        end
        default: ;
      endcase
      // The address itself is a register here.
      if (reading[`WEIGHT_LATENCY]) $fwrite(final_log, "%u", weight);
    end
  end

  // Events, with the clock of the run in which they happen.
  logic [31:0] now;
  assign now = clocks[31:0];
  always_ff @(posedge clk) begin
    if (busy && prediction_valid) $fwrite(prediction_log, "%u%u", now, prediction);
    if (busy && loss_valid) $fwrite(loss_log, "%u%u", now, loss);
  end
`include "core_observer.sv"

`ifdef PERIOD
  // For the probes of a netlist: phase of each clock of an iteration, and when to count.
  logic [31:0] phases[`PERIOD];
  logic [31:0] phase;
  logic counting, counted;
  integer phase_file;
  initial begin
    phase_file = $fopen("phases.bin", "rb");
    ignored = $fread(phases, phase_file);
    $fclose(phase_file);
  end
  assign counting = busy && now >= `FIRST && now < `END;
  assign phase = phases[(now-`FIRST)%`PERIOD];
  assign counted = state == LAST;
`endif

  function automatic logic [31:0] turned(input logic [31:0] word, input logic [4:0] left);
    return word << left | word >> (5'd0 - left);
  endfunction

  // The bench's own clock, by which samples come whole, and runs begin.
  logic [63:0] tick, began;
  logic [31:0] words;
  always_ff @(posedge clk) begin
    if (rst) begin
      tick  <= 0;
      words <= 0;
    end else begin
      tick <= tick + 1;
      // The run counts its clocks from the one after this.
      if (start || starts) began <= tick + 1;
      if (i__valid && i__ready) begin
        words <= words == `RECORD_WORDS - 1 ? 0 : words + 1;
        if (words == `RECORD_WORDS - 1) $fwrite(arrival_log, "%u", 32'(tick));
      end
    end
  end
endmodule
