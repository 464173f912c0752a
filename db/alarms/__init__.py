"""Operators' alarms: their kinds and thresholds, who is told, and each alarm that stands."""
