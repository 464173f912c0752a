"""ALTCHA v1: a proof of work that the gateway itself sets and verifies, without a server of another company.

A challenge is made for one session, or for one network where the request has no session, and for the event and action
that it names. Its work grows with the proofs that the network and the fan gave lately (ADR 68). So nobody can solve
ahead from elsewhere, and who buys for a hundred fans pays for it.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import msgspec
from altcha.v1 import ChallengeOptions, create_challenge
from msgspec import Meta
from redis.asyncio import Redis
from redis.exceptions import RedisError

from db.gathering import answers_in_turn
from gateway.wire.addresses import below
from waiting_room.key_ring import Key, KeyGroup, Secret, ring_of
from waiting_room.limits import Allowance, Allowances, Allowing

from .captcha import REQUIRED_FOR, TOKEN_BYTES_MAX, CaptchaFailed, CaptchaOffer, CaptchaUnavailable, Solver
from .settings import Provider
from .used import UsedTokens

CHALLENGE_PATH = "/api/captcha/challenge"
KEY_LABEL = b"admitone/captcha/altcha/v1"
CLOCK_SLACK_SECONDS = 60
"""A used challenge is remembered this long past its end, for gateways whose clocks differ."""
COUNTED_SECONDS = 600
"""Proofs given in this time make the next ones harder."""
NETWORK_FREE = 50
"""So many proofs of a network are of the ordinary work; each doubling of their number doubles the work."""
FAN_FREE = 5
"""So many proofs of one fan are of the ordinary work; each further one doubles it."""
WORK_TIMES_MAX = 32
SLACK_TIMES = 8
"""A challenge that was made when its network's work was less than an eighth of today's is refused."""
_ANY_NUMBER = 1_000_000_000
_OF_NETWORK = "proofs"
_OF_FAN = "proofs_of_fan"
"""What proofs are counted as."""


class _Solution(msgspec.Struct, frozen=True):
    algorithm: Literal["SHA-256"]
    challenge: Annotated[str, Meta(max_length=64)]
    number: Annotated[int, Meta(ge=0)]
    salt: Annotated[str, Meta(max_length=256)]
    signature: Annotated[str, Meta(max_length=64)]


class Altcha:
    """Signs challenges with a key that is used for nothing else, and accepts each solution for one command.

    Args:
        redis: remembers the used challenges.
        secret: the site's keys, of which the fans' sign; every gateway must have the same.
        work_max: largest number a client has to try; half of it is the mean.
        ttl_seconds: how long a challenge is good.
        now: the clock that ends challenges (Unix time, seconds), the same in every gateway.
    """

    provider: Provider = "altcha"

    def __init__(
        self, redis: Redis, *, secret: Secret, work_max: int, ttl_seconds: int, now: Callable[[], float] = time.time
    ) -> None:
        self._ring = ring_of(secret)
        self._work_max = work_max
        self._ttl_seconds = ttl_seconds
        self._now = now
        self._redis = redis
        self._used = UsedTokens(redis)
        self._counts = {
            name: Allowances(redis, name, _ANY_NUMBER, window_seconds=COUNTED_SECONDS)
            for name in (_OF_NETWORK, _OF_FAN)
        }

    def describe(self) -> CaptchaOffer:
        return CaptchaOffer(provider=self.provider, required_for=REQUIRED_FOR, challenge_href=below(CHALLENGE_PATH))

    async def challenge(self, solver: Solver) -> dict[str, str | int]:
        """A fresh challenge as ALTCHA's widget reads it: algorithm, challenge, maxnumber, salt, signature.

        Raises:
            CaptchaUnavailable: Redis does not answer.
        """
        try:
            counting = [
                Allowing(self._redis, name, counted, _ANY_NUMBER, count=0, window_seconds=COUNTED_SECONDS)
                for name, counted in _counted(solver)
            ]
            times, fan_times = _work_times(*await answers_in_turn(*counting))
        except RedisError as error:
            raise CaptchaUnavailable from error
        work_max = self._work_max * min(times * fan_times * solver.work_times, WORK_TIMES_MAX)
        key = self._keys[0].secret
        params = {"to": _bound_to(key, solver), "work": str(work_max)}
        if solver.event_id:
            params["event"] = str(solver.event_id)
        if solver.action:
            params["action"] = solver.action
        expires = dt.datetime.fromtimestamp(self._now() + self._ttl_seconds, dt.UTC)
        made = create_challenge(ChallengeOptions(max_number=work_max, hmac_key=key, expires=expires, params=params))
        return {
            "algorithm": made.algorithm,
            "challenge": made.challenge,
            "maxnumber": made.max_number,
            "salt": made.salt,
            "signature": made.signature,
        }

    async def verify(self, token: str, solver: Solver, *, command_id: str) -> bool:
        """See `Captcha.verify`. A challenge that was asked for without a session is not bound to one."""
        solution = _read(token)
        key = self._signed_by(solution)
        if key is None:
            raise CaptchaFailed("wrong")
        said = _said(solution.salt)
        expires_at_seconds = int(said["expires"])
        if expires_at_seconds < self._now():
            raise CaptchaFailed("expired")
        by_session = _refuse_foreign(key, said, solver)
        counting: list[Awaitable[Allowance]] = [self._counts[name].count(counted) for name, counted in _counted(solver)]
        taking = self._used.take(solution.challenge, command_id, expires_at_seconds + CLOCK_SLACK_SECONDS)
        try:
            _, *counted = await answers_in_turn(taking, *counting)
        except RedisError as error:
            raise CaptchaUnavailable from error
        times, _ = _work_times(*counted)
        if int(said.get("work", self._work_max)) * SLACK_TIMES < times * self._work_max:
            raise CaptchaFailed("too_weak")
        return by_session

    @property
    def _keys(self) -> tuple[Key, ...]:
        return self._ring.derived(KeyGroup.FANS, KEY_LABEL)

    def _signed_by(self, solution: _Solution) -> bytes | None:
        """Which key signed the challenge that this solves. The library's `verify_solution` decides the same, and takes
        three times as long, because it parses the salt on its way.
        """
        # As the library does: without an end, digits of the number could be moved into the salt.
        salt = solution.salt if solution.salt.endswith("&") else solution.salt + "&"
        solved = hashlib.sha256(f"{salt}{solution.number}".encode()).hexdigest()
        if solved != solution.challenge:
            return None
        for key in self._keys:
            signature = hmac.digest(key.secret, solved.encode(), hashlib.sha256).hex()
            if hmac.compare_digest(signature.encode(), solution.signature.encode()):
                return key.secret
        return None

    async def close(self) -> None:
        """Do nothing: this provider keeps no connection."""


def _counted(solver: Solver) -> list[tuple[str, str]]:
    """What the solver's proofs are counted with: the network, and the fan if there is one."""
    counted = [(_OF_NETWORK, solver.network)]
    if solver.fan:
        counted.append((_OF_FAN, str(solver.fan)))
    return counted


def _work_times(of_network: Allowance, of_fan: Allowance | None = None) -> tuple[int, int]:
    """How many times the ordinary work is due by the proofs that the network gave lately, and by the fan's."""
    network, fan = of_network.used, 0 if of_fan is None else of_fan.used
    times = 1 << (network // NETWORK_FREE).bit_length() - 1 if network > NETWORK_FREE else 1
    fan_times = 1 << min(fan - FAN_FREE, 16) if fan > FAN_FREE else 1
    return min(times, WORK_TIMES_MAX), fan_times


def _said(salt: str) -> dict[str, str]:
    """What a salt says that we signed: numbers and plain words, of which none was escaped."""
    pairs = salt.partition("?")[2].rstrip("&").split("&")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def _refuse_foreign(key: bytes, said: dict[str, str], solver: Solver) -> bool:
    """Return whether the challenge, which this key signed, was made for the solver's session.

    Raises:
        CaptchaFailed: it was made for another session, network, event or action.
    """
    to = said.get("to", "")
    by_session = to.startswith("s")
    if to and to != _bound_to(key, solver, by_session=by_session):
        raise CaptchaFailed("wrong_fan")
    if said.get("event", str(solver.event_id)) != str(solver.event_id):
        raise CaptchaFailed("wrong_event")
    if said.get("action", solver.action) != solver.action:
        raise CaptchaFailed("wrong_action")
    return by_session


def _bound_to(key: bytes, solver: Solver, *, by_session: bool = True) -> str:
    """What stands in a challenge for the session that it was made for, or for the network."""
    if solver.fan and by_session:
        return "s" + hmac.digest(key, f"fan {solver.fan}".encode(), hashlib.sha256).hex()[:20]
    return "n" + hmac.digest(key, f"network {solver.network}".encode(), hashlib.sha256).hex()[:20]


def solved(secret: Secret, *, work_max: int, ttl_seconds: int) -> str:
    """A solved challenge as a client sends it, made without the search, because the site's secret gives the number.

    A rehearsal sends such solutions: its simulated fans would else spend the machine's time on the search. They are
    verified like all others.
    """
    number = 1 + secrets.randbelow(work_max)
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=ttl_seconds)
    key = ring_of(secret).derived(KeyGroup.FANS, KEY_LABEL)[0].secret
    made = create_challenge(ChallengeOptions(max_number=work_max, number=number, hmac_key=key, expires=expires))
    solution = _Solution("SHA-256", made.challenge, number, made.salt, made.signature)
    return base64.b64encode(msgspec.json.encode(solution)).decode()


def is_solution(token: str) -> bool:
    """Whether the token has the form of an ALTCHA solution."""
    try:
        _read(token)
    except CaptchaFailed:
        return False
    return True


def _read(token: str) -> _Solution:
    if len(token) > TOKEN_BYTES_MAX:
        raise CaptchaFailed("malformed")
    try:
        return msgspec.json.decode(base64.b64decode(token, validate=True), type=_Solution)
    except (msgspec.MsgspecError, ValueError):
        raise CaptchaFailed("malformed") from None
