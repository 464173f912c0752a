"""Tells fans: a process of its own writes messages for what happened, and sends them through providers."""
