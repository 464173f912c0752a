"""The log of changes to rooms, events and webhooks, with the operator, the time and the reason of each."""
