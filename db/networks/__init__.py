"""Networks that operators let through or turn away."""
