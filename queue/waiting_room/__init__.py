"""The waiting room of an event: its line in Redis, its passes, its limits.

`line.Line` (asyncio) and `line.Slots` hold every operation; `tokens.Tokens` signs places and passes;
`limits.allow` counts per minute; `eta.eta_in` says how long. What they return is in `model`, what they
raise in `errors`.
"""
