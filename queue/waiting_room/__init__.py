"""The waiting room of an event: its line in Redis, its passes, its limits.

`line.Line` (asyncio) and `line.Slots` have every operation. `tokens.Tokens` signs places and passes, `limits.allow`
counts requests per minute, and `eta.eta_in` estimates waits. The values that they return are in `model`, and the errors
that they raise in `errors`.
"""
