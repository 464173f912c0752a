"""Reads of one fan's part in an event, for the operators who help the fan."""
