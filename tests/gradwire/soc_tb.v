module soc_tb;
  reg aclk = 0, aresetn = 0;
  wire answered, alive;
  always #1 aclk = !aclk;
  soc soc (.aclk(aclk), .aresetn(aresetn), .answered(answered), .alive(alive));
  initial begin
    repeat (3) @(posedge aclk);
    aresetn <= 1;
    repeat (20) @(posedge aclk);
    $display("answered %b alive %b", answered, alive);
    $finish;
  end
endmodule
