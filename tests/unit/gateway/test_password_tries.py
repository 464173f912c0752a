"""Sign-ins under way are bounded, and a network that has none comes in beside those that have many."""

from __future__ import annotations

import contextlib
import time
from collections import Counter

import pytest
from redis import asyncio as aioredis

from gateway.identity.password_tries import AT_ONCE_IN_ALL_MAX, AT_ONCE_MAX, PasswordTries
from gateway.wire.problems import ProblemError
from waiting_room.key_ring import KeyGroup

SECRET = "a secret of this test alone, of no other use"


def test_a_flood_of_sign_ins_leaves_each_other_network_one() -> None:
    outcomes: Counter[str] = Counter()
    tries = PasswordTries(
        aioredis.Redis(),
        SECRET,
        kind="operator",
        group=KeyGroup.OPERATORS,
        limit="operator",
        wrong_per_minute=10,
        now=time.time,
        outcomes=outcomes,
    )
    with contextlib.ExitStack() as under_way:
        for _ in range(AT_ONCE_MAX):
            under_way.enter_context(tries.counted(False, "flood"))
        with pytest.raises(ProblemError, match="sign_in_busy"), tries.counted(False, "flood"):
            pass
        # Known browsers are counted by themselves.
        under_way.enter_context(tries.counted(True, "flood"))
        for number in range(AT_ONCE_IN_ALL_MAX - AT_ONCE_MAX):
            under_way.enter_context(tries.counted(False, f"network {number}"))
        for network in ("network 1", "one more"):
            with pytest.raises(ProblemError, match="sign_in_busy"), tries.counted(False, network):
                pass
    with tries.counted(False, "flood"):
        assert outcomes["busy"] == 3
    tries.close()
