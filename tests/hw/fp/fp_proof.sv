// What an adder or a multiplier must give, in exact fixed-point arithmetic with one rounding, and
// the assertion that the pipelined unit gives it, LATENCY clocks later, whatever its inputs are.
//
// Before it stand, generated for each unit: UNIT (the unit's module), MULTIPLY (1 or 0), FLUSH (1 or
// 0), EXPONENT_BITS, FRACTION_BITS, LATENCY.

module specification #(
    parameter E = `EXPONENT_BITS,
    parameter F = `FRACTION_BITS
) (
    input  [E+F:0] a,
    input  [E+F:0] b,
    output [E+F:0] o
);
  localparam TOP = (1 << E) - 1;  // the exponent field of infinities and NaNs
  localparam BIAS = (1 << (E - 1)) - 1;
  localparam W = F + TOP;  // of a finite magnitude, in units of the least positive number

  // Fields; in "flush", subnormal operands are zeros.
  wire [E-1:0] a_exponent = a[F+:E], b_exponent = b[F+:E];
  wire [F-1:0] a_fraction = (`FLUSH && a_exponent == 0) ? 0 : a[F-1:0];
  wire [F-1:0] b_fraction = (`FLUSH && b_exponent == 0) ? 0 : b[F-1:0];
  wire a_sign = a[E+F], b_sign = b[E+F];
  wire a_special = a_exponent == TOP, b_special = b_exponent == TOP;
  wire a_infinite = a_special && a_fraction == 0, b_infinite = b_special && b_fraction == 0;
  wire a_nan = a_special && a_fraction != 0, b_nan = b_special && b_fraction != 0;

  wire [W-1:0] a_magnitude =
      a_exponent == 0 ? {{(W-F){1'b0}}, a_fraction}
                      : {{(W-F-1){1'b0}}, 1'b1, a_fraction} << (a_exponent - 1);
  wire [W-1:0] b_magnitude =
      b_exponent == 0 ? {{(W-F){1'b0}}, b_fraction}
                      : {{(W-F-1){1'b0}}, 1'b1, b_fraction} << (b_exponent - 1);
  wire a_zero = a_magnitude == 0, b_zero = b_magnitude == 0;

  // The exact result: a magnitude with so many bits below the unit, and a sign.
  localparam BELOW = `MULTIPLY ? BIAS - 1 + F : 0;
  wire [2*W-1:0] product = {{W{1'b0}}, a_magnitude} * {{W{1'b0}}, b_magnitude};
  wire signed [W+1:0] sum = (a_sign ? -$signed({2'b0, a_magnitude}) : $signed({2'b0, a_magnitude}))
                          + (b_sign ? -$signed({2'b0, b_magnitude}) : $signed({2'b0, b_magnitude}));
  wire [W+1:0] sum_magnitude = sum < 0 ? -sum : sum;
  wire [2*W-1:0] exact = `MULTIPLY ? product : {{(W-2){1'b0}}, sum_magnitude};
  wire sign = `MULTIPLY ? a_sign ^ b_sign : (sum == 0 ? a_sign & b_sign : sum < 0);
  wire infinite = a_infinite || b_infinite;
  wire infinite_sign = `MULTIPLY ? a_sign ^ b_sign : (a_infinite ? a_sign : b_sign);
  wire nan = a_nan || b_nan || (`MULTIPLY
      ? (a_infinite && b_zero) || (b_infinite && a_zero)
      : a_infinite && b_infinite && a_sign != b_sign);

  // The exponent: the least at which the significand has no more than its F + 1 bits.
  reg [E:0] exponent;
  integer e;
  always @* begin
    exponent = 1;
    for (e = 2; e <= TOP; e = e + 1)
      if ((exact >> (BELOW + e - 1 + F)) != 0) exponent = e;
  end

  // One rounding, to nearest, ties to even.
  wire [2*W-1:0] place = {{(2*W-1){1'b0}}, 1'b1} << (BELOW + exponent - 1);
  wire [2*W-1:0] quotient = exact >> (BELOW + exponent - 1);
  wire [2*W-1:0] remainder = exact & (place - 1);
  wire up = {remainder, 1'b0} > {1'b0, place} || ({remainder, 1'b0} == {1'b0, place} && quotient[0]);
  wire [2*W-1:0] rounded = quotient + up;
  wire carried = rounded >> (F + 1) != 0;
  wire [E:0] final_exponent = exponent + carried;
  wire [F-1:0] final_fraction = carried ? 0 : rounded[F-1:0];
  wire subnormal = rounded >> F == 0;

  wire [E+F:0] canonical = {1'b0, {E{1'b1}}, 1'b1, {(F-1){1'b0}}};
  wire [E+F:0] infinity = {infinite ? infinite_sign : sign, {E{1'b1}}, {F{1'b0}}};
  wire [E+F:0] finite = {sign, subnormal ? {E{1'b0}} : final_exponent[E-1:0],
                         (subnormal && `FLUSH) ? {F{1'b0}} : final_fraction};
  assign o = nan ? canonical : (infinite || final_exponent >= TOP) ? infinity : finite;
endmodule

module proof (
    input clk,
    input rst,
    input [`EXPONENT_BITS+`FRACTION_BITS:0] a,
    input [`EXPONENT_BITS+`FRACTION_BITS:0] b
);
  localparam WIDTH = 1 + `EXPONENT_BITS + `FRACTION_BITS;
  wire [WIDTH-1:0] o, expected;
  `UNIT unit (.clk(clk), .rst(rst), .a(a), .b(b), .o(o));

  // The operands of LATENCY clocks ago, once there have been so many.
  reg [`LATENCY*WIDTH-1:0] as, bs;
  reg [`LATENCY-1:0] filled = 0;
  always @(posedge clk) begin
    as <= {as, a};
    bs <= {bs, b};
    filled <= {filled, 1'b1};
  end
  specification specification (
      .a(as[`LATENCY*WIDTH-1-:WIDTH]),
      .b(bs[`LATENCY*WIDTH-1-:WIDTH]),
      .o(expected)
  );
  always @* if (filled[`LATENCY-1]) assert (o == expected);
endmodule
