"""Orders: what a purchase is to its fan and to the venue's office."""
