// What core_bench.sv writes down of the inside of a core: a part of that module, once for each core.
//
// The macros below are generated for each: OBSERVER (name of the block), FOLDER (of its files, ended
// by a slash if it is not the bench's own), MACHINE (what is in the core), ENABLE (it goes on with
// this clock), WRITE and WRITE_ADDRESS (of the weights, in its module neurons), SUMS (the outputs of
// all PEs, PE 0 last), COMBINED (the checksum of those of the first PEs), WORD_BITS and BIAS_WORDS
// (of the banks), and, where they are, HAS_BIAS_BANK, BIAS_WRITE, BIAS_ADDRESS, BIAS_BITS; and
// SEES_VECTORS and SEES_WEIGHTS, what it looks at. An array in lanes has an observer for the weights of
// each.

  if (1) begin : `OBSERVER
    integer sum_log, activation_log, delta_log, weight_log, bias_log, instruction_log;
    integer checksum_log, bias_checksum_log, marks, read;

    // Checksums of the words that each update writes: see checksum.py.
    logic [31:0] bank_marks[1 << `WORD_BITS];
    logic [31:0] bias_marks[`BIAS_WORDS];
    logic [31:0] checksum, total, mark;
    logic [`WORD_BITS-1:0] word;

    initial begin
      sum_log = $fopen({`FOLDER, "sums.log"}, "wb");
      activation_log = $fopen({`FOLDER, "activations.log"}, "wb");
      delta_log = $fopen({`FOLDER, "deltas.log"}, "wb");
      weight_log = $fopen({`FOLDER, "weights.log"}, "wb");
      bias_log = $fopen({`FOLDER, "biases.log"}, "wb");
      instruction_log = $fopen({`FOLDER, "instructions.log"}, "wb");
      checksum_log = $fopen({`FOLDER, "checksums.log"}, "wb");
      bias_checksum_log = $fopen({`FOLDER, "bias_checksums.log"}, "wb");
`ifdef SEES_WEIGHTS
      marks = $fopen({`FOLDER, "marks.bin"}, "rb");
      read = $fread(bank_marks, marks);
      read = $fread(bias_marks, marks);
      $fclose(marks);
`endif
    end
    always_ff @(posedge clk) begin
      if (!rst && state == LAST) begin
        $fclose(sum_log);
        $fclose(activation_log);
        $fclose(delta_log);
        $fclose(weight_log);
        $fclose(bias_log);
        $fclose(instruction_log);
        $fclose(checksum_log);
        $fclose(bias_checksum_log);
      end
    end

`ifndef OUTSIDE
`ifdef SEES_VECTORS
    always_ff @(posedge clk) begin
      if (busy && `ENABLE) begin
        if (`MACHINE.forward.sum_valid) $fwrite(sum_log, "%u%u", now, `MACHINE.forward.sum);
        if (`MACHINE.forward.valid)
          $fwrite(activation_log, "%u%u", now, `MACHINE.forward.activation);
        if (`MACHINE.backpropagation.delta_valid || `MACHINE.backpropagation.input_delta_valid)
          $fwrite(delta_log, "%u%u", now, `MACHINE.backpropagation.delta);
        if (`MACHINE.sequencer.begins)
          $fwrite(instruction_log, "%u%u", now, 32'(`MACHINE.sequencer.instruction));
      end
    end
`endif

`ifdef SEES_WEIGHTS
    always_ff @(posedge clk) begin
      if (busy && `ENABLE) begin
        if (log_weights && `MACHINE.neurons.`WRITE)
          $fwrite(weight_log, "%u%u%u", now, 32'(`MACHINE.neurons.`WRITE_ADDRESS), `SUMS);
`ifdef HAS_BIAS_BANK
        if (log_weights && `MACHINE.biases.`BIAS_WRITE)
          $fwrite(bias_log, "%u%u%u", now, 32'(`MACHINE.biases.`BIAS_ADDRESS),
                  `MACHINE.biases.adder.o);
`endif
      end
    end

    always_ff @(posedge clk) begin
      if (rst || !busy) checksum <= 0;
      else if (`ENABLE && `MACHINE.neurons.`WRITE) begin
        word = `WORD_BITS'(`MACHINE.neurons.`WRITE_ADDRESS);
        mark = bank_marks[word];
        total = checksum ^ turned(`COMBINED(mark[15:0]), 5'(word));
        checksum <= mark[31] ? 0 : total;
        if (mark[31]) $fwrite(checksum_log, "%u%u", now, total);
      end
    end
`ifdef HAS_BIAS_BANK
    logic [31:0] bias_checksum, bias_total;
    logic [`BIAS_BITS-1:0] bias_word;
    always_ff @(posedge clk) begin
      if (rst || !busy) bias_checksum <= 0;
      else if (`ENABLE && `MACHINE.biases.`BIAS_WRITE) begin
        bias_word = `BIAS_BITS'(`MACHINE.biases.`BIAS_ADDRESS);
        bias_total = bias_checksum ^ turned(`MACHINE.biases.adder.o, 5'(bias_word));
        if (bias_marks[bias_word][31]) begin
          bias_checksum <= 0;
          $fwrite(bias_checksum_log, "%u%u", now, bias_total);
        end else bias_checksum <= bias_total;
      end
    end
`endif
`endif
`endif
  end
