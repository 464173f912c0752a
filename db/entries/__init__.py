"""Check-in: which tickets were let in, at which gate and when."""
