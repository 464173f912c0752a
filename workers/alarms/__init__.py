"""Operators' alarms: the figures are measured, one process decides, and receivers are told."""
