"""Signed tickets: what a ticket's QR code says, the keys that sign it, and the links that hand a ticket on."""
