"""Who changed what, when, and why: one log for rooms, events and webhooks."""
