"""The simulated fan: `way` says what a fan does, `http` how it speaks, `counts` and `ledger` what it was answered.

The crowd, the rehearsal and the stadium benchmark are plans over it: each says how many fans come, how long they
think, how they misbehave and where their sessions, captchas and seats come from.
"""
