"""Weighs each step of a fan by the table of signals, and says what the points are answered with.

A request costs some looks into this process's memory. What is ordinary stays there; what is not is counted together
with the other gateways (`gateway.identity.sightings`), and read from Redis every two seconds, beside the requests.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from redis.exceptions import RedisError

from gateway.identity.answers import POINTS, WORK_TIMES, Answer, Step, Weighed, answer_of
from gateway.identity.devices import Devices
from gateway.identity.networks import Networks
from gateway.identity.settings import GuardSettings
from gateway.identity.sightings import ANSWERED, BOUGHT, FLUSH_SECONDS, JOIN, PROOF, SESSION, Sightings
from gateway.identity.signals import (
    ACCOUNT,
    CANCELS,
    CHURN,
    HOSTED,
    IDLE,
    IGNORED,
    LINES,
    OTHERS_MOST,
    PACE,
    PARDONED,
    PLACES,
    PROVEN,
    QUICK,
    REFUSED,
    TELLS,
    TRIES,
    WRONG,
    YOUNG,
    Reason,
    reasons_of,
)
from gateway.wire.addresses import below
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest
from waiting_room.limits import address_prefix

logger = logging.getLogger(__name__)

FANS_MAX: Final = 20_000
"""Fans in this process's memory; of more the ones that came first are forgotten."""
LATELY_SECONDS: Final = 600
CHURN_SECONDS: Final = 3600
"""Holds that were not bought count for so long, as the engine counts them: a hold may live for ten minutes."""
QUICK_SECONDS: Final = 0.25
"""Nobody goes from one step of a sale to the next within so little time."""
YOUNG_SECONDS: Final = 2.0
BLOCKED_PART: Final = 0.5
"""A hold that was given back after this part of its life counts as one that blocked its seats."""
PARDON_TIMES: Final = 1000
"""What is counted so often is not forgotten for want of room in Redis."""
SUSPECTS_MAX: Final = 100
"""Sessions in the operators' picture."""
_SCOPE: Final = "admitone.verdict"
_OF_CODES: Final = {"captcha_failed": WRONG, "captcha_required": IGNORED}
_NOT_REFUSALS: Final = frozenset({SESSION, JOIN, PROOF, BOUGHT})
_ANEW: Final = frozenset({Step.JOIN, Step.CLAIM, Step.RESERVE})
"""Steps of a fan who wants seats, so that a hold of before has lapsed if it is not over yet."""
_HEAVY: Final = frozenset({TELLS, CHURN, CANCELS, IDLE, IGNORED, WRONG, PACE})
"""Without one of these nobody comes near the points of a proof."""
_SHARED: Final = _HEAVY | {PARDONED}
"""What is rare at ordinary fans, and so is counted by all gateways together."""


class Verdict(NamedTuple):
    """What a step is answered, the points, and the reasons for them."""

    answer: Answer
    points: int = 0
    reasons: tuple[Reason, ...] = ()

    @property
    def is_answered(self) -> bool:
        """Whether the step is answered at all."""
        return self.answer is not Answer.NOTHING

    @property
    def is_behind(self) -> bool:
        """Whether the step's command waits behind those of others."""
        return self.answer >= Answer.BEHIND

    def require_proof(self, proof: int, *, fresh: int) -> None:
        """Return if the request's proof suffices.

        Args:
            proof: how well the fan proved to be a person (`booking_lane.commands.Proof`); ``fresh``: the best.

        Raises:
            ProblemError: ``captcha_required``, with the reasons.
        """
        if self.answer is Answer.NOTHING or proof >= fresh or (self.answer is Answer.PROOF and proof):
            return
        raise ProblemError(
            "captcha_required",
            "Solve the captcha of /api/captcha for this action in this session; send it in X-Captcha-Token."
            f" The reasons: {_sentence(self.reasons)}.",
            href=below("/api/captcha"),
            reasons=[reason.signal for reason in self.reasons if reason.points > 0],
        )


NOTHING: Final = Verdict(Answer.NOTHING)


def verdict_of(request: AnyRequest) -> Verdict:
    """The verdict on this request; a route that declares no step has none."""
    scope: Any = request.scope
    found: Verdict = scope.get(_SCOPE, NOTHING)
    return found


@dataclass(slots=True)
class _Doings:
    """What a fan did at this gateway: counts by signal, and moments on this process's clock (0: never)."""

    began_at: float
    since: float
    churn_since: float
    network: str
    step: Step | None = None
    step_at: float = 0.0
    held_at: float = 0.0
    has_idle_pass: bool = False
    device: str = ""
    counts: dict[str, int] = field(default_factory=dict)

    def mark(self, signal: str, times: int = 1) -> None:
        self.counts[signal] = self.counts.get(signal, 0) + times


class Suspect(NamedTuple):
    """A fan with points, as operators see it."""

    user_id: int
    network: str
    verdict: Verdict
    answered: dict[str, int]


class Suspicions:
    """The points of fans, from what this gateway and the others saw in the last ten minutes.

    Args:
        seen: what networks did.
        suspects: what suspicious fans and kinds of devices did.
        hold_seconds: how long a hold lives.
        now: a clock that never goes back (seconds).
    """

    def __init__(
        self,
        seen: Sightings,
        suspects: Sightings,
        networks: Networks,
        devices: Devices,
        settings: GuardSettings,
        *,
        hold_seconds: float,
        now: Callable[[], float],
    ) -> None:
        self._seen = seen
        self._suspects = suspects
        self._networks = networks
        self._devices = devices
        self._settings = settings
        self._hold_seconds = hold_seconds
        self._now = now
        # To find the first key of a plain dict takes the longer the more were deleted before it: 5 µs for a fan here.
        self._fans: OrderedDict[int, _Doings] = OrderedDict()
        self._others: dict[tuple[str, str], tuple[Reason, ...]] = {}
        self._of_others: dict[int, tuple[str, Counter[str]]] = {}

    async def keep(self) -> None:
        """Share what was counted with the other gateways, and read theirs, for as long as the process runs."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.refresh()
            except (RedisError, OSError) as error:
                logger.warning("what suspicious fans did is not counted: %s", error)

    async def refresh(self) -> None:
        """Share and read once.

        Raises:
            redis.RedisError: Redis does not answer.
        """
        await self._suspects.flush()
        await self._suspects.refresh()
        await self._devices.refresh()
        self._others.clear()
        fans: dict[int, tuple[str, Counter[str]]] = {}
        for subject, found in self._suspects.latest.items():
            if subject.startswith("fan:"):
                number, _, network = subject[4:].partition("@")
                before = fans.get(int(number))
                fans[int(number)] = (network, found if before is None else before[1] + found)
        self._of_others = fans

    # -- what is seen

    def weigh(
        self,
        request: AnyRequest,
        user_id: int,
        weighed: Weighed,
        address: str,
        *,
        has_account: bool,
        is_exempt: Callable[[], bool],
    ) -> None:
        """Count the step, and keep the verdict for the route (`verdict_of`).

        Args:
            is_exempt: whether the fan is a rehearsal's simulated one; asked only where there is an answer.

        Raises:
            ProblemError: ``conduct_refused``.
        """
        if self._settings.answers == "off":
            return
        network = address_prefix(address)
        doings = self._doings(user_id, network)
        now = self._now()
        step = weighed.step
        # The page claims a turn by itself, and soon.
        is_next = doings.step not in (None, step) and step is not Step.CLAIM
        if is_next and now - doings.step_at < QUICK_SECONDS:
            doings.mark(QUICK)
        doings.step, doings.step_at = step, now
        if has_account:
            doings.counts[ACCOUNT] = 1
        if step is Step.RESERVE:
            doings.mark(TRIES)
            doings.has_idle_pass = False
            if now - doings.began_at < YOUNG_SECONDS:
                doings.counts[YOUNG] = 1
        elif step is Step.CANCEL:
            self._mark(user_id, doings, CANCELS)
        if step in _ANEW and doings.held_at and now - doings.held_at >= self._hold_seconds:
            self._mark(user_id, doings, CHURN)
            doings.held_at = 0.0
        if weighed.highest is Answer.NOTHING:
            return
        verdict = self.verdict(user_id, doings, address, highest=weighed.highest)
        if verdict.answer is Answer.NOTHING or is_exempt():
            return
        self._seen.note(network, ANSWERED + verdict.answer.word)
        self._suspects.note(_fan(user_id, network), ANSWERED + verdict.answer.word)
        if self._settings.answers == "watch":
            return
        if verdict.answer is Answer.REFUSE:
            raise self._refusal(user_id, verdict)
        scope: Any = request.scope
        scope[_SCOPE] = verdict

    def note_device(self, event_id: int, user_id: int, address: str, fingerprint: str, tells: int) -> None:
        """Count what a page says of its browser: a hash of a few things, and how many of them only programs have."""
        doings = self._doings(user_id, address_prefix(address))
        if tells and not doings.counts.get(TELLS):
            self._mark(user_id, doings, TELLS, min(tells, 2))
        name = self._devices.name(event_id, fingerprint) if fingerprint else None
        if name is not None and doings.device != name:
            doings.device = name
            self._suspects.note(f"device:{name}", PLACES)

    def refused(self, user_id: int, code: str, step: Step) -> None:
        """Count a problem that the fan's request was answered with."""
        doings = self._fans.get(user_id)
        if doings is None:
            return
        signal = _OF_CODES.get(code)
        if signal is not None:
            self._mark(user_id, doings, signal)
        elif code == "rate_limited" and step is not Step.JOIN:
            self._mark(user_id, doings, PACE)

    def proved(self, user_id: int) -> None:
        """Count a good proof of the fan. It answers one that was asked for."""
        doings = self._fans.get(user_id)
        if doings is None:
            return
        doings.mark(PROVEN)
        if doings.counts.get(IGNORED, 0) > 0:
            self._mark(user_id, doings, IGNORED, -1)

    def ended(self, user_id: int, step: Step, *, succeeded: bool, code: str = "") -> None:
        """Count how a step of the fan ended: a join that made a place, a claim, and a command whose request waited for
        its end.
        """
        doings = self._fans.get(user_id)
        if doings is None:
            return
        if not succeeded:
            self.refused(user_id, code, step)
        elif step is Step.JOIN:
            doings.mark(LINES)
        elif step is Step.CLAIM:
            if doings.has_idle_pass:
                self._mark(user_id, doings, IDLE)
            doings.has_idle_pass = True
        elif step is Step.RESERVE:
            doings.held_at = self._now()
        elif step is Step.CHECKOUT:
            doings.held_at = 0.0
            self._seen.note(doings.network, BOUGHT)
        elif step is Step.RELEASE and doings.held_at:
            if self._now() - doings.held_at >= BLOCKED_PART * self._hold_seconds:
                self._mark(user_id, doings, CHURN)
            doings.held_at = 0.0

    def pardon(self, user_id: int, network: str = "") -> None:
        """Let the fan go on for ten minutes, whatever was counted; other gateways do so within seconds."""
        self._mark(user_id, self._doings(user_id, network), PARDONED, PARDON_TIMES)

    # -- what comes of it

    def verdict(
        self, user_id: int, doings: _Doings | None, address: str, *, highest: Answer = Answer.REFUSE
    ) -> Verdict:
        """The fan's verdict at present. What others did never brings a refusal."""
        if user_id not in self._of_others and (doings is None or _HEAVY.isdisjoint(doings.counts)):
            return NOTHING
        own = self._own(user_id, doings)
        points = sum([reason.points for reason in own])
        # With this few of one's own nothing that others did can bring an answer.
        if points + OTHERS_MOST < POINTS[Answer.PROOF] or self._networks.lets_through(address):
            return NOTHING
        others = self._of_network(address)
        if doings is not None and doings.device:
            others += self._of_device(doings.device)
        of_others = min(OTHERS_MOST, sum([reason.points for reason in others]))
        answer = answer_of(points)
        if answer is not Answer.REFUSE:
            answer = min(answer_of(points + of_others), Answer.BEHIND)
        if self._settings.answers == "proofs":
            highest = min(highest, Answer.CAPTCHA)
        return Verdict(min(answer, highest), points + of_others, own + others)

    def work_times(self, user_id: int, address: str) -> int:
        """How many times the ordinary work a challenge costs the fan."""
        doings = self._fans.get(user_id)
        if self._settings.answers in ("off", "watch") or (doings is None and user_id not in self._of_others):
            return 1
        return WORK_TIMES[self.verdict(user_id, doings, address).answer]

    def suspects(self) -> tuple[Suspect, ...]:
        """The fans who have most points, as far as all gateways counted them together."""
        found = []
        for user_id, (network, counted) in self._of_others.items():
            own = reasons_of("fan", lambda signal, counted=counted: counted[signal])  # type: ignore[misc]
            points = sum(reason.points for reason in own)
            answered = _answered(counted)
            if points > 0 or answered:
                found.append(Suspect(user_id, network, Verdict(answer_of(points), points, own), answered))
        return tuple(sorted(found, key=lambda one: -one.verdict.points)[:SUSPECTS_MAX])

    def _own(self, user_id: int, doings: _Doings | None) -> tuple[Reason, ...]:
        here = {} if doings is None else doings.counts
        elsewhere = self._of_others.get(user_id)
        if elsewhere is None:
            return reasons_of("fan", lambda signal: here.get(signal, 0))
        counted = elsewhere[1]
        return reasons_of("fan", lambda signal: max(here.get(signal, 0), counted[signal]))

    def _of_network(self, address: str) -> tuple[Reason, ...]:
        network = address_prefix(address)
        found = self._others.get(("network", network))
        if found is None:
            counted = dict(self._seen.latest.get(network, {}))
            counted[REFUSED] = sum(number for what, number in counted.items() if _is_refusal(what))
            counted[HOSTED] = int(self._networks.is_hosted(address))
            found = self._others["network", network] = reasons_of("network", lambda signal: counted.get(signal, 0))
        return found

    def _of_device(self, device: str) -> tuple[Reason, ...]:
        found = self._others.get(("device", device))
        if found is None:
            counted = self._suspects.latest.get(f"device:{device}", Counter())
            found = self._others["device", device] = reasons_of("device", lambda signal: counted[signal])
        return found

    def _doings(self, user_id: int, network: str) -> _Doings:
        now = self._now()
        doings = self._fans.get(user_id)
        if doings is None:
            if len(self._fans) >= FANS_MAX:
                self._fans.popitem(last=False)
            doings = self._fans[user_id] = _Doings(now, now, now, network)
        elif now - doings.since >= LATELY_SECONDS:
            churned = doings.counts.get(CHURN, 0)
            doings.counts.clear()
            doings.since = now
            if now - doings.churn_since >= CHURN_SECONDS:
                doings.churn_since = now
            elif churned:
                doings.counts[CHURN] = churned
        if network:
            doings.network = network
        return doings

    def _mark(self, user_id: int, doings: _Doings, signal: str, times: int = 1) -> None:
        doings.mark(signal, times)
        if signal in _SHARED:
            self._suspects.note(_fan(user_id, doings.network), signal, times)

    def _refusal(self, user_id: int, verdict: Verdict) -> ProblemError:
        appeal = self._settings.appeal
        write = f"write to {appeal}" if appeal else "write to the organiser"
        return ProblemError(
            "conduct_refused",
            f"What was done in this session looks like a program's: {_sentence(verdict.reasons)}. It ends by itself"
            f" within ten minutes. If you are a person, {write}, and name {user_id}.",
            retry_after_seconds=LATELY_SECONDS,
            reasons=[reason.signal for reason in verdict.reasons if reason.points > 0],
            appeal=appeal,
            reference=str(user_id),
        )


def _fan(user_id: int, network: str) -> str:
    return f"fan:{user_id}@{network}"


def _is_refusal(what: str) -> bool:
    return what not in _NOT_REFUSALS and not what.startswith(ANSWERED)


def _answered(counted: Counter[str]) -> dict[str, int]:
    return {what.removeprefix(ANSWERED): number for what, number in counted.items() if what.startswith(ANSWERED)}


def _sentence(reasons: tuple[Reason, ...]) -> str:
    return "; ".join(reason.sentence for reason in reasons if reason.points > 0)
