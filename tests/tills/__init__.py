"""Local servers that speak what we use of the payment providers' documented interfaces, and make faults."""
