"""What a machine costs: synthesis, place and route with open tools."""
