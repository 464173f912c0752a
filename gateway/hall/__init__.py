"""Keeps the seats and counts of events in memory, for every answer about them."""
