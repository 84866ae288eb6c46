// An SDR SDRAM of four banks with 16 data pins, as its data sheet describes it, and a monitor that
// knows its rules. It shares nothing with the controller: it is given the times of the data sheet
// and the period of the clock, all in fs, and counts no clocks of its own.
//
// The first command that breaks a rule ends the simulation with an error that says the clock, the
// command and the rule. With +sdram_go_on it goes on, and from then on reads give garbage.
//
// Cells never written hold garbage from the simulator's seed, as does the bus while nobody drives
// it. Bursts are of one word; burst terminate, auto precharge, power down and self refresh are not
// modelled, and count as violations.

module sdram_model #(
    parameter longint ROW_BITS,
    parameter longint COLUMN_BITS,
    parameter longint CLOCK,
    parameter longint T_RCD,
    parameter longint T_RP,
    parameter longint T_RAS,
    parameter longint T_RAS_MOST,
    parameter longint T_RC,
    parameter longint T_RRD,
    parameter longint T_RFC,
    parameter longint T_WR,
    parameter longint T_MRD,
    parameter longint T_REFRESH_INTERVAL,
    parameter longint T_POWER_UP,
    parameter longint POWER_UP_REFRESHES,
    // Shortest clock periods with CAS latencies 2 and 3; 0 where the chip has no such latency.
    parameter longint CAS_2_PERIOD,
    parameter longint CAS_3_PERIOD
) (
    input logic clk,
    input logic cke,
    input logic cs_n,
    input logic ras_n,
    input logic cas_n,
    input logic we_n,
    input logic [1:0] ba,
    input logic [12:0] a,
    input logic [1:0] dqm,
    input logic [15:0] dq_i,
    input logic dq_driven,  // from outside
    output logic [15:0] dq_o
);
  localparam longint NEVER = -(64'sd1 << 60);
  localparam logic [2:0] NONE = 3'b111, ACTIVATE = 3'b011, READ = 3'b101, WRITE = 3'b100;
  localparam logic [2:0] PRECHARGE = 3'b010, REFRESH = 3'b001, SET_MODE = 3'b000;
  localparam logic [2:0] BURST_TERMINATE = 3'b110;

  // Without a value to begin with: Verilator fills them from its seed.
  logic [15:0] cells[1 << (ROW_BITS + 2 + COLUMN_BITS)];

  // What the bench reads at the end.
  longint unsigned clocks = 0, violations = 0, refreshes = 0;
  longint unsigned activations = 0, reads = 0, writes = 0;
  longint largest_gap = 0;  // between refreshes, in fs

  bit go_on;
  initial go_on = $test$plusargs("sdram_go_on") != 0;

  longint now = 0;
  longint activated[4] = '{4{NEVER}}, precharged[4] = '{4{NEVER}}, written[4] = '{4{NEVER}};
  longint activated_any = NEVER, refreshed = NEVER, mode_set = NEVER;
  logic [3:0] open = 0;
  logic [ROW_BITS-1:0] row[4];
  // Initialisation.
  bit all_precharged = 0, has_mode = 0;
  int early_refreshes = 0;
  bit initialised;
  assign initialised = all_precharged && has_mode && early_refreshes >= POWER_UP_REFRESHES;
  int cas = 3;
  bit late = 0;

  logic [2:0] command;
  assign command = cs_n ? NONE : {ras_n, cas_n, we_n};

  function automatic string named(input logic [2:0] value);
    case (value)
      NONE: return "no command";
      ACTIVATE: return "activate";
      READ: return "read";
      WRITE: return "write";
      PRECHARGE: return "precharge";
      REFRESH: return "refresh";
      SET_MODE: return "set mode";
      default: return "burst terminate";
    endcase
  endfunction

  task automatic broken(input string rule);
    violations = violations + 1;
    if (!go_on) $error("clock %0d: %s, bank %0d: %s", clocks, named(command), ba, rule);
  endtask

  task automatic need(input bit kept, input string rule);
    if (!kept) broken(rule);
  endtask

  task automatic apart(input longint since, input longint least, input string rule);
    if (now - since < least) broken(rule);
  endtask

  task automatic close(input int bank);
    if (open[bank]) begin
      apart(activated[bank], T_RAS, "tRAS");
      apart(written[bank], T_WR, "tWR");
    end
    open[bank]  = 0;
    precharged[bank] = now;
  endtask

  // On the way out: what is put on the pins in one edge and in two, to be taken an edge later.
  bit [2:1] read = 0;
  logic [15:0] word[1:2];
  // Whether the chip has driven the pins up to this edge, and up to the one before.
  bit drives = 0, drove = 0;
  logic [1:0] mask;  // at the edge before
  logic [ROW_BITS+COLUMN_BITS+1:0] where;

  always @(posedge clk) begin
    need(cke, "clock enable is low");
    if (command != NONE) begin
      apart(0, T_POWER_UP, "power-up: commands before the time");
      apart(mode_set, T_MRD, "tMRD");
      apart(mode_set, 2 * CLOCK, "tMRD");
      apart(refreshed, T_RFC, "tRFC");
    end
    if (initialised && !late && now - refreshed > T_REFRESH_INTERVAL) begin
      late = 1;
      broken("refresh interval");
    end
    for (int bank = 0; bank < 4; bank++)
      if (open[bank] && now - activated[bank] == (T_RAS_MOST / CLOCK + 1) * CLOCK)
        broken("tRAS, the most");

    // The chip lets go of the pins some ns after the edge that takes the word: a clock for that.
    if (dq_driven) need(!drives && !drove, "bus contention");
    drove  = drives;
    drives = read[1];
    dq_o[7:0] <= read[1] && !mask[0] ? word[1][7:0] : 8'($urandom);
    dq_o[15:8] <= read[1] && !mask[1] ? word[1][15:8] : 8'($urandom);
    read = {1'b0, read[2]};
    word[1] = word[2];
    mask = dqm;

    where = {row[ba], ba, a[COLUMN_BITS-1:0]};
    case (command)
      NONE: ;
      BURST_TERMINATE: broken("burst terminate is not modelled");
      PRECHARGE: begin
        if (a[10]) begin
          for (int bank = 0; bank < 4; bank++) close(bank);
          all_precharged = 1;
        end else close(int'(ba));
      end
      REFRESH: begin
        need(all_precharged, "power-up: precharge all first");
        need(open == 0, "bank state: a bank is open");
        for (int bank = 0; bank < 4; bank++) apart(precharged[bank], T_RP, "tRP");
        if (initialised) begin
          if (now - refreshed > largest_gap) largest_gap = now - refreshed;
        end else early_refreshes = early_refreshes + 1;
        refreshed = now;
        late = 0;
        refreshes = refreshes + 1;
      end
      SET_MODE: begin
        need(all_precharged, "power-up: precharge all first");
        need(open == 0, "bank state: a bank is open");
        for (int bank = 0; bank < 4; bank++) apart(precharged[bank], T_RP, "tRP");
        need(ba == 0 && (a & ~13'h70) == 0, "mode: not single words, sequential");
        cas = int'(a[6:4]);
        need(cas == 2 || cas == 3, "CAS latency: neither 2 nor 3");
        if (cas == 2)
          need(CAS_2_PERIOD != 0 && CLOCK >= CAS_2_PERIOD, "CAS latency: too short for the clock");
        if (cas == 3)
          need(CAS_3_PERIOD != 0 && CLOCK >= CAS_3_PERIOD, "CAS latency: too short for the clock");
        has_mode = 1;
        mode_set = now;
      end
      ACTIVATE: begin
        need(initialised, "power-up: not initialised");
        need(!open[ba], "bank state: the bank is open");
        apart(precharged[ba], T_RP, "tRP");
        apart(activated[ba], T_RC, "tRC");
        apart(activated_any, T_RRD, "tRRD");
        activated[ba] = now;
        activated_any = now;
        open[ba] = 1;
        row[ba] = a[ROW_BITS-1:0];
        activations = activations + 1;
      end
      READ, WRITE: begin
        need(open[ba], "bank state: the bank is closed");
        need(!a[10], "auto precharge is not modelled");
        apart(activated[ba], T_RCD, "tRCD");
        if (command == WRITE) begin
          need(dq_driven, "data: nobody drives the bus");
          if (!dqm[0]) cells[where][7:0] = dq_i[7:0];
          if (!dqm[1]) cells[where][15:8] = dq_i[15:8];
          written[ba] = now;
          writes = writes + 1;
        end else begin
          word[cas-1] = violations != 0 ? 16'($urandom) : cells[where];
          read[cas-1] = 1;
          reads = reads + 1;
        end
      end
    endcase
    now = now + CLOCK;
    clocks = clocks + 1;
  end
endmodule
