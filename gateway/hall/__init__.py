"""Every event's seats and counts, kept in memory."""
