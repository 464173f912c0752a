"""Webhooks: the channel that posts news, signed, to addresses that operators registered."""
