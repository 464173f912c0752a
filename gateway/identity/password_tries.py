"""Who may try a password how often: the same for operators and for fans with an account.

Wrong tries alone are limited: by account, with a delay that doubles, and by address prefix. An attacker must not be
able to lock anybody out. So a browser or a network from which the person has signed in before has tries of its own, and
the right password from there is taken whatever the neighbours do. A network that is new has one try of a name whose
tries are delayed, as long as not too many have one (`waiting_room.tries`). An unknown name meets the same limits, the
same work and the same answers as a known one.
"""

from __future__ import annotations

import contextlib
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import msgspec
from redis import asyncio as aioredis

from db.passwords import is_password_of
from gateway.identity.hashing import BUSY_RETRY_SECONDS, WAITING_MAX, HashQueue
from gateway.identity.limits import over
from gateway.wire.problems import ProblemError, limited
from waiting_room.errors import TokenInvalid
from waiting_room.key_ring import KeyGroup, Secret
from waiting_room.limits import allow
from waiting_room.signing import Signer
from waiting_room.tries import FREE_TRIES, forgive, forgive_first, take_try

OUTCOMES: Final = ("signed_in", "wrong", "delayed", "prefix_limited", "busy")
"""What becomes of a sign-in by a password, for the metrics."""
DEVICE_SECONDS: Final = 180 * 24 * 3600
AT_ONCE_MAX: Final = 32
"""Sign-ins under way at a time, of browsers that are known; and as many of all others. From then on a network has one
at a time, or none, if `AT_ONCE_IN_ALL_MAX` are under way.
"""
AT_ONCE_IN_ALL_MAX: Final = 256


class _Device(msgspec.Struct, frozen=True):
    name: str
    device: str


class TakenTry(NamedTuple):
    """A try whose password was right: at whose secret, and the network that had it as its first, if it was one."""

    whose: str
    first_of: str


class PasswordTries:
    """Checks passwords of one kind of account.

    Args:
        kind: names the accounts, in the keys of tries and of devices.
        group: the keys that sign the tokens of devices.
        limit: the name of the limit of address prefixes.
        wrong_per_minute: how many wrong tries an address prefix has in a minute.
        waiting_max: how many hashes wait for their turn.
        outcomes: counts what became of sign-ins.
    """

    def __init__(
        self,
        line_redis: aioredis.Redis,
        secret: Secret,
        *,
        kind: str,
        group: KeyGroup,
        limit: str,
        wrong_per_minute: int,
        now: Callable[[], float],
        outcomes: Counter[str],
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self._redis = line_redis
        # The tries of operators had no kind before fans had accounts.
        self._of_kind = "" if kind == "operator" else f"{kind}\n"
        self._limit = limit
        self._wrong_per_minute = wrong_per_minute
        self._devices = Signer(secret, group, f"admitone {kind} device v1", _Device, now=now)
        self._now = now
        self._known_queue, self._others_queue = HashQueue(waiting_max), HashQueue(waiting_max)
        self._under_way: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
        self._outcomes = outcomes

    def device_of(self, name: str, token: str) -> str:
        """The id of the browser's device, if its token was given to this person; else nothing."""
        with contextlib.suppress(TokenInvalid):
            claims, _ = self._devices.verify(token)
            if claims.name == name:
                return claims.device
        return ""

    def device_token(self, name: str) -> str:
        """A token for the browser of this person to keep."""
        device = _Device(name, secrets.token_urlsafe(9))
        return self._devices.sign(device, int(self._now()) + DEVICE_SECONDS)

    async def prove(
        self, name: str, password: str, password_hash: str | None, *, network: str, device: str, is_known: bool
    ) -> TakenTry | None:
        """Check a password at a sign-in, and count the try.

        Args:
            password_hash: None if there is no such account.
            device: the id of the browser's device; empty for one that is new.
            is_known: the person has signed in from this browser or network before.

        Returns:
            The try, to be forgiven once all is proved; None for a wrong password.

        Raises:
            ProblemError: ``rate_limited`` or ``sign_in_busy``.
            redis.RedisError: Redis does not answer.
        """
        # A browser or network that is known has tries of its own, which no stranger can use up.
        whose = self._of_kind + (f"{name}\n{device or network}" if is_known else name)
        queue = self._known_queue if is_known else self._others_queue
        try:
            async with queue.turn(network):
                is_first = await self._take_try(whose, "" if is_known else network)
                prefix = await allow(self._redis, self._limit, network, self._wrong_per_minute, count=False)
                is_right = await queue.run(lambda: is_password_of(password_hash, password))
        except ProblemError as refused:
            self._outcomes["busy"] += refused.document["code"] == "sign_in_busy"
            raise
        # The hash is made even beyond the prefix' limit: what is refused sooner would tell which names are known.
        if is_right and (is_known or prefix.allowed):
            return TakenTry(whose, network if is_first else "")
        self._outcomes["wrong"] += 1
        await allow(self._redis, self._limit, network, self._wrong_per_minute)
        if not prefix.allowed:
            self._outcomes["prefix_limited"] += 1
            raise over("rate_limited", prefix, "Too many wrong sign-ins from this network; wait and try again.")
        return None

    async def forgive(self, right: TakenTry) -> None:
        """Forget all tries: the last one was right. If it was a network's first, those of others stay delayed."""
        if right.first_of:
            await forgive_first(self._redis, *right)
        else:
            await forgive(self._redis, right.whose)

    async def is_own(self, name: str, password: str, password_hash: str | None, network: str) -> bool:
        """Whether the password of somebody who is signed in is this one; a wrong one counts as at the sign-in.

        Raises:
            ProblemError: ``rate_limited`` or ``sign_in_busy``.
        """
        whose = f"{self._of_kind}{name}\n{network}"
        async with self._known_queue.turn(network):
            await self._take_try(whose)
            is_right = await self._known_queue.run(lambda: is_password_of(password_hash, password))
        if is_right:
            await forgive(self._redis, whose)
        return is_right

    async def hashed(self, work: Callable[[], str], network: str) -> str:
        """Make a hash in the queue of those who are known.

        Raises:
            ProblemError: ``sign_in_busy``.
        """
        async with self._known_queue.turn(network):
            return await self._known_queue.run(work)

    @contextlib.contextmanager
    def counted(self, is_known: bool, network: str) -> Iterator[None]:
        """Count a sign-in that is under way.

        Raises:
            ProblemError: ``sign_in_busy``: there are too many.
        """
        under_way = self._under_way[is_known]
        in_all = under_way.total()
        if in_all >= AT_ONCE_IN_ALL_MAX or (in_all >= AT_ONCE_MAX and under_way[network]):
            self._outcomes["busy"] += 1
            raise ProblemError("sign_in_busy", retry_after_seconds=BUSY_RETRY_SECONDS)
        under_way[network] += 1
        try:
            yield
        finally:
            under_way[network] -= 1
            if not under_way[network]:
                del under_way[network]

    def close(self) -> None:
        """Take no more sign-ins."""
        self._known_queue.close()
        self._others_queue.close()

    async def _take_try(self, whose: str, network: str = "") -> bool:
        """Return whether it is the network's first try, while those of others are delayed."""
        taken = await take_try(self._redis, whose, network)
        if not taken.allowed:
            self._outcomes["delayed"] += 1
            raise limited(
                "rate_limited",
                "Too many wrong passwords for this name; wait and try again.",
                policy="passwords",
                most=FREE_TRIES,
                retry_after_seconds=taken.retry_after_seconds,
            )
        return taken.is_first
