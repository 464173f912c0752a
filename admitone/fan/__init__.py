"""The simulated fan: `way` is what it does, `http` its client; `counts` and `ledger` keep the answers that it got.

The crowd, the rehearsal and the stadium benchmark are plans over it: each says how many fans come, how long they
think, how they misbehave and where their sessions, captchas and seats come from.
"""
