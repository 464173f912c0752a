"""The search of events: one interface, what implements it, and the answers that are made of it."""
