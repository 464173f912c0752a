"""The bounds and defaults of a rehearsal, and the plan that each generator gets."""

from __future__ import annotations

from typing import Final

import msgspec

from db.keys.signing_keys import KeyRow

FANS_MAX: Final = 200_000
MINUTES_MAX: Final = 240.0
THINK_SECONDS_MAX: Final = 900.0
GENERATORS_MAX: Final = 32
FANS_A_GENERATOR: Final = 10_000
"""Unless the operator says how many, one generator is started for each so many fans."""
FRONT_SHARE: Final = 0.2
BEST_SHARE: Final = 0.3
THINK_SECONDS: Final = 90.0
"""A person's mean time from the call to the ticket, as docs/performance.md reckons with it."""


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """One generator's fans, as it reads them from its input.

    ``first``: the number of its first fan.
    ``think_seconds``: the mean time of a person from the call to the ticket; 0: fans do not think.
    ``no_shows``: the share of fans that are called and never answer. ``idle``: the share that come in and do
    nothing with their pass. ``front``: the share that want the first rows. ``best``: the share that let the server
    choose. ``session_seconds``: how long the fans' sessions last. ``keys``: those of the
    site, sealed with its secret.
    """

    base_url: str
    event_id: int
    first: int
    fans: int
    arrive_seconds: float
    think_seconds: float
    no_shows: float
    idle: float
    seats_per_fan: int
    front: float
    best: float
    session_seconds: int
    solves_captcha: bool
    captcha_work_max: int
    captcha_ttl_seconds: int
    ledger: str
    seed: int
    keys: tuple[KeyRow, ...]
