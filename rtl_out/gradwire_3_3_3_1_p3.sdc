# Constraints of gradwire_3_3_3_1_p3 alone.
# 50 MHz:
set period 20.000
create_clock -name clk -period $period [get_ports clk]

# What is outside takes these shares of a clock; within a system, its own timing takes their place.
set input_share 0.5
set output_share 0.5
# rst is among the inputs: it is synchronous, so that its paths count like all others.
set_input_delay [expr {$input_share * $period}] -clock clk [get_ports {rst start samples[*] infer stop rate[*] halve_every[*] floor[*] age[*] i__payload[*] i__valid weight_address[*] weight_write weight_data[*]}]
set_output_delay [expr {$output_share * $period}] -clock clk [get_ports {busy done loaded clocks[*] trained[*] stalls[*] i__ready released prediction[*] prediction_valid weight[*]}]
