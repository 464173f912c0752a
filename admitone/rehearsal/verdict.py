"""Judges a rehearsal by its measurements: pure arithmetic, by the formula of docs/performance.md."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec

from admitone.rehearsal.tail import Tail

BUSY: Final = 0.85
"""A part of the site that uses this share of a core, or of a lane's time, counts as the bottleneck."""
GENERATOR_BUSY: Final = 0.9
MACHINE_BUSY: Final = 0.85
DOOR_HELD: Final = 0.5
"""A room that is at its capacity for this share of the time is held back by its capacity."""
OCCUPIED: Final = 0.7
TICK_SECONDS: Final = 0.25
"""The door lets fans in once in this time."""
WAITED: Final = 0.5
"""Fans waited in line in this share of the seconds or more: there were enough fans to show what the site bears."""
REACHED: Final = 0.85
"""The sale reached the door's rate if it came to this share of it."""
MARGIN: Final = 0.8
"""The suggested rate is this share of the rate that was sustained, because real fans come less steadily."""
CAPACITY_MARGIN: Final = 1.1
LINE_MARGIN: Final = 1.25
"""The line should take so many times the fans expected: people join from two devices, and come back."""
GATEWAY_SHARE: Final = 0.7
"""A gateway process may use this share of a core; the rest is for bursts."""
PERSON_SECONDS: Final = 90.0
"""A person needs this long from the call to the ticket; it counts where the rehearsal's fans did not think."""


class Busy(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How busy each part of the site was, in cores; None where this machine cannot see it.

    ``gateway`` is the busiest gateway process and ``generator`` the busiest generator; ``gateways`` are all gateways
    together. ``lane`` is the share of the time in which the lane's worker had a batch, ``worker`` its processor time.
    ``machine`` is the share of all this machine's cores. ``backlog`` is the highest number of batches queued for the
    lane.
    """

    gateway: float | None = None
    gateways: float | None = None
    lane: float = 0.0
    worker: float | None = None
    postgres: float | None = None
    redis: float | None = None
    machine: float = 0.0
    generator: float = 0.0
    backlog: int = 0


class Phase(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A stretch of the sale with one rate and one capacity of the door.

    ``p50_ms``, ``p95_ms``: how long bookings took for fans, from the request to the outcome; ``lane_p95_ms``: how long
    they took in the lane. ``inside_seconds``: the mean time from the call to the ticket. ``waiting_share``: the share
    of the seconds in which fans were in line; ``full_share``: the share of these in which the room was at its
    capacity. ``refused``: how many answers were 429 or 503, by step and code. ``cpu_ms``: processor time of one
    purchase, by part of the site.
    """

    seconds: float
    rate_per_minute: int
    capacity: int
    purchases: int = 0
    seats: int = 0
    called_per_minute: float = 0.0
    p50_ms: float | None = None
    p95_ms: float | None = None
    lane_p95_ms: float | None = None
    inside_seconds: float | None = None
    full_share: float = 0.0
    waiting_share: float = 0.0
    refused: Mapping[str, int] = {}
    errors: Mapping[str, int] = {}
    busy: Busy = Busy()
    cpu_ms: Mapping[str, float] = {}

    @property
    def purchases_per_minute(self) -> float:
        return self.purchases * 60 / self.seconds if self.seconds else 0.0


class Facts(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Everything that a verdict is made from. ``expected_fans`` and ``seats`` are the real sale's; ``fans`` were
    simulated.

    ``limit`` has a phase for each rate tried beyond the configured one; the last may have failed.
    ``limit_end``: why no higher rate was tried. ``turned_away``: how many fans a full line refused.
    ``steady``: the sale as configured went on for longer than a fan needs from the call to the ticket.
    ``tail``: how fast the end of the sale was; None unless it was sold out.
    ``audit``: a sentence for each invariant that is broken.
    """

    fans: int
    expected_fans: int
    seats: int
    no_shows: float
    think_seconds: float
    target_p95_ms: float
    line_cap: int
    gateways: int
    streams_max: int
    configured: Phase
    limit: tuple[Phase, ...] = ()
    limit_end: str = ""
    turned_away: int = 0
    joined: int = 0
    sold_out: bool = False
    tail: Tail | None = None
    steady: bool = True
    violations: tuple[str, ...] = ()
    audit: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class Bottleneck(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What kept the sale from going faster. ``code`` is stable: one of `BOTTLENECKS`."""

    code: str
    says: str
    evidence: str


BOTTLENECKS: Final = (
    "line_cap", "capacity", "rate", "fans", "seats", "generator", "lane", "postgres", "gateways", "redis", "machine",
    "unseen",
)  # fmt: skip


class Suggestion(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A setting with its value now, the value it should have, and the arithmetic that gives it."""

    setting: str
    now: int | None
    value: int
    why: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether the site is fit for the sale, and why.

    ``minutes_expected``: how long it takes, at the rate sustained, until the hall is sold out or every fan was inside;
    None: it never ends. ``limit_per_minute``: purchases a minute at the highest rate that held; None where the limit
    was not looked for. ``reasons``: why the site is not fit.
    """

    fit: bool
    says: str
    sustained_per_minute: float
    limit_per_minute: float | None
    limit_end: str
    minutes_expected: float | None
    expected: str
    bottleneck: Bottleneck
    limit_bottleneck: Bottleneck | None
    suggestions: tuple[Suggestion, ...]
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: Facts


def judge(facts: Facts) -> Verdict:
    """Judge whether the site is fit for the sale, name its bottleneck, and suggest settings."""
    configured = facts.configured
    reasons = _reasons(facts)
    held = [phase for phase in facts.limit if holds(phase, facts.target_p95_ms)]
    limit = max((phase.purchases_per_minute for phase in held), default=None) if facts.limit else None
    sustained = configured.purchases_per_minute
    minutes, expected = _duration(facts, sustained)
    failed = facts.limit[-1] if facts.limit and facts.limit[-1] not in held else None
    return Verdict(
        fit=not reasons,
        says=_says(facts, reasons, sustained),
        sustained_per_minute=round(sustained, 1),
        limit_per_minute=None if limit is None else round(limit, 1),
        limit_end=facts.limit_end,
        minutes_expected=minutes,
        expected=expected,
        bottleneck=bottleneck(facts, configured),
        limit_bottleneck=None if failed is None else bottleneck(facts, failed),
        suggestions=_suggestions(facts, sustained, limit),
        reasons=reasons,
        warnings=(*_warnings(facts), *facts.warnings),
        facts=facts,
    )


def holds(phase: Phase, target_p95_ms: float) -> bool:
    """Whether the site bore this phase: bookings were in time, without errors, and no answer said "overloaded"."""
    return (
        phase.p95_ms is not None
        and phase.p95_ms <= target_p95_ms
        and not phase.errors
        and not any(code in refusal for refusal in phase.refused for code in ("overloaded", "unavailable", "timed_out"))
    )


def _reasons(facts: Facts) -> tuple[str, ...]:
    phase = facts.configured
    reasons = []
    if facts.audit:
        reasons.append(f"the audit found {len(facts.audit)} broken invariants, the first: {facts.audit[0]}")
    if facts.violations:
        reasons.append(f"a promise was broken: {facts.violations[0]}")
    if not phase.purchases:
        reasons.append("nobody bought anything")
    if phase.p95_ms is not None and phase.p95_ms > facts.target_p95_ms:
        reasons.append(f"95 % of bookings took up to {phase.p95_ms:.0f} ms, the target is {facts.target_p95_ms:.0f} ms")
    if phase.errors:
        error, number = max(phase.errors.items(), key=lambda item: item[1])
        reasons.append(f"{sum(phase.errors.values())} errors, most of them: {error} ({number})")
    overloads = {refusal: number for refusal, number in phase.refused.items() if "line_full" not in refusal}
    if overloads:
        refusal, number = max(overloads.items(), key=lambda item: item[1])
        reasons.append(f"{sum(overloads.values())} answers told fans to come back, most of them: {refusal} ({number})")
    if facts.turned_away:
        reasons.append(f"the full line turned {facts.turned_away} of {facts.fans} fans away")
    elif facts.expected_fans > facts.line_cap:
        reasons.append(f"the line takes {facts.line_cap} fans, and {facts.expected_fans} are expected")
    return tuple(reasons)


def bottleneck(facts: Facts, phase: Phase) -> Bottleneck:
    """What kept this phase from going faster."""
    busy = phase.busy
    if phase is facts.configured and facts.turned_away:
        return Bottleneck(
            code="line_cap",
            says="The line is too small for the crowd",
            evidence=f"line cap {facts.line_cap}: {facts.turned_away} of {facts.fans} fans were turned away",
        )
    if busy.generator >= GENERATOR_BUSY:
        return Bottleneck(
            code="generator",
            says="The simulated fans themselves were the bottleneck: the site bears at least what was measured",
            evidence=f"the busiest generator used {busy.generator:.0%} of a core; give more with --generators",
        )
    if holds(phase, facts.target_p95_ms):
        return _bottleneck_before_site(facts, phase)
    return _busiest_part(phase)


def _bottleneck_before_site(facts: Facts, phase: Phase) -> Bottleneck:
    """The site bore the phase, so the door, the number of fans or the hall set the pace."""
    called = f"{phase.called_per_minute:.0f} fans a minute were let in of the {phase.rate_per_minute} set"
    full = f"full in {phase.full_share:.0%} of the seconds with fans in line"
    # Quick fans are in and out between two samples, so Little's law gives how many were inside on the mean. A slot
    # that becomes free waits for the door's next tick.
    inside = phase.called_per_minute / 60 * max(phase.inside_seconds or 0.0, TICK_SECONDS)
    is_full = phase.full_share >= DOOR_HELD or inside >= OCCUPIED * phase.capacity
    if is_full and phase.called_per_minute < REACHED * phase.rate_per_minute:
        return Bottleneck(
            code="capacity",
            says="The door's capacity sets the pace: fans stay inside for longer than the rate reckons with",
            evidence=f"capacity {phase.capacity}, {inside:.0f} inside on the mean, {full}; {called}",
        )
    if phase.called_per_minute >= REACHED * phase.rate_per_minute:
        return Bottleneck(
            code="rate", says="The door's rate sets the pace, as it should", evidence=f"{called}; capacity {full}"
        )
    if phase.waiting_share >= WAITED and not facts.sold_out:
        return _busiest_part(phase)
    if facts.sold_out:
        return Bottleneck(
            code="seats", says="The hall was sold out before anything else held it up", evidence=f"{called}"
        )
    waited = f"fans stood in line in {phase.waiting_share:.0%} of the seconds"
    return Bottleneck(
        code="fans",
        says="Too few fans to hold anything up: rehearse with more (--fans)",
        evidence=f"{facts.fans} fans; {waited}; {called}",
    )


def _busiest_part(phase: Phase) -> Bottleneck:
    """Bookings came too late, or not at all, so the busiest part of the site is the bottleneck."""
    busy = phase.busy
    late = f"p95 {phase.p95_ms:.0f} ms" if phase.p95_ms is not None else "no booking ended"
    lane = f"the lane was busy {busy.lane:.0%} of the time, {busy.backlog} batches behind at worst"
    if busy.lane >= BUSY:
        if busy.worker is None:
            return Bottleneck(
                code="lane",
                says="The event's lane: its worker, or the Postgres it waits for (neither runs on this machine)",
                evidence=f"{late}; {lane}",
            )
        share = busy.worker / busy.lane
        waits = f"of that its processor {share:.0%}, the rest waiting for Postgres"
        if share >= 0.5:
            return Bottleneck(
                code="lane", says="The worker of the event's lane: one process", evidence=f"{late}; {lane}, {waits}"
            )
        return Bottleneck(code="postgres", says="Postgres", evidence=f"{late}; {lane}, {waits}")
    if busy.gateway is not None and busy.gateway >= BUSY:
        return Bottleneck(
            code="gateways",
            says="The gateways: too few processes",
            evidence=f"{late}; the busiest used {busy.gateway:.0%} of a core; {lane}",
        )
    if busy.redis is not None and busy.redis >= BUSY:
        return Bottleneck(code="redis", says="Redis", evidence=f"{late}; it used {busy.redis:.0%} of a core; {lane}")
    parts = {
        "gateways": busy.gateways,
        "worker": busy.worker,
        "Postgres": busy.postgres,
        "Redis": busy.redis,
        "the busiest generator": busy.generator,
    }
    used = ", ".join(f"{name} {share:.2f}" for name, share in parts.items() if share is not None)
    if busy.machine >= MACHINE_BUSY:
        return Bottleneck(
            code="machine",
            says="This machine: all of its cores were busy",
            evidence=f"{late}; {busy.machine:.0%} busy, cores used: {used}",
        )
    return Bottleneck(
        code="unseen",
        says="No part that this machine sees was busy: look at proxies, the network, and servers elsewhere",
        evidence=f"{late}, as the lane sees it {phase.lane_p95_ms or 0:.0f} ms; {lane}; "
        f"this machine was {busy.machine:.0%} busy, cores used: {used}",
    )


def _says(facts: Facts, reasons: tuple[str, ...], sustained: float) -> str:
    if reasons:
        return f"Not fit: {'; '.join(reasons)}."
    phase = facts.configured
    return (
        f"Fit: the sale as configured sold {sustained:.0f} purchases a minute, 95 % of bookings within "
        f"{phase.p95_ms or 0:.0f} ms, without an error, and every fan was told the truth."
    )


def _duration(facts: Facts, per_minute: float) -> tuple[float | None, str]:
    """How many minutes the sale takes, and a sentence about it."""
    seats_each = _seats_each(facts)
    purchases = min(facts.expected_fans * (1 - facts.no_shows), facts.seats / seats_each)
    what = "sold out" if purchases < facts.expected_fans * (1 - facts.no_shows) else "everybody was in"
    if per_minute <= 0:
        return None, "no purchase was seen, so none can be reckoned with"
    minutes = purchases / per_minute + facts.think_seconds / 60
    return round(minutes, 1), (
        f"{facts.expected_fans} fans and {facts.seats} seats, {seats_each:.1f} a purchase: {what} after about "
        f"{_span(minutes)} ({purchases:.0f} purchases / {per_minute:.0f} a minute + {facts.think_seconds:.0f} s)"
    )


def _seats_each(facts: Facts) -> float:
    phases = (facts.configured, *facts.limit)
    purchases = sum(phase.purchases for phase in phases)
    return sum(phase.seats for phase in phases) / purchases if purchases else 1.0


def _span(minutes: float) -> str:
    if minutes < 2:
        return f"{minutes * 60:.0f} seconds"
    return f"{minutes:.0f} minutes" if minutes < 180 else f"{minutes / 60:.1f} hours"


def _suggestions(facts: Facts, sustained: float, limit: float | None) -> tuple[Suggestion, ...]:
    phase = facts.configured
    rate, proven = _rate(facts, sustained, limit)
    cap = max(facts.line_cap, math.ceil(LINE_MARGIN * facts.expected_fans))
    line_cap = Suggestion(
        setting="lineCap",
        now=facts.line_cap,
        value=cap,
        why=f"{facts.expected_fans} fans expected, and a quarter more",
    )
    return (
        rate,
        _capacity(facts, rate.value, proven >= REACHED * phase.rate_per_minute),
        line_cap,
        _gateways(facts, proven),
    )


def _rate(facts: Facts, sustained: float, limit: float | None) -> tuple[Suggestion, float]:
    """The suggested rate, and how many fans a minute the site was seen to bear."""
    phase = facts.configured
    came = 1 - facts.no_shows
    now = phase.rate_per_minute
    proven = min(now, phase.called_per_minute)
    if limit is not None:
        proven = value = MARGIN * limit / came
        why = f"{MARGIN:.0%} of the {limit:.0f} purchases a minute that held"
        if facts.no_shows:
            why += f" / {came:.0%} who come when called"
    elif bottleneck(facts, phase).code == "generator":
        value, why = float(now), "not judged: the simulated fans were slower than the site"
    elif not holds(phase, facts.target_p95_ms):
        proven = value = MARGIN * sustained / came
        why = f"{MARGIN:.0%} of the {sustained:.0f} purchases a minute that were seen"
    elif proven >= REACHED * now:
        value, why = float(now), "it held; --limit looks for how much more would"
    else:
        value, why = float(now), f"not reached: {proven:.0f} a minute were let in, and that held; try --limit"
    return Suggestion(setting="ratePerMinute", now=now, value=max(1, math.floor(value)), why=why), proven


def _capacity(facts: Facts, rate: int, is_proven: bool) -> Suggestion:
    phase = facts.configured
    # People take a minute and a half, even if the simulated fans were quicker.
    inside = max(facts.think_seconds or PERSON_SECONDS, phase.inside_seconds or 0.0)
    needed = math.ceil(CAPACITY_MARGIN * rate / 60 * inside)
    if not facts.limit and holds(phase, facts.target_p95_ms) and needed <= phase.capacity:
        return Suggestion(setting="capacity", now=phase.capacity, value=phase.capacity, why="it held")
    why = f"r x the seconds from call to ticket = {rate} / 60 x {inside:.0f} s, and a tenth for windows of no-shows"
    if not facts.limit and not is_proven:
        why += "; not proven yet, rehearse with it"
    return Suggestion(setting="capacity", now=phase.capacity, value=needed, why=why)


def _gateways(facts: Facts, proven_per_minute: float) -> Suggestion:
    """Suggest a number of gateways by the processor time of a purchase, measured where most purchases were made:
    there a gateway's work that belongs to no purchase matters least.
    """
    by_streams = math.ceil(facts.expected_fans / max(1, facts.streams_max))
    why = f"F / {facts.streams_max} streams = {by_streams}"
    held = [one for one in facts.limit if holds(one, facts.target_p95_ms)]
    g = (held[-1] if held else facts.configured).cpu_ms.get("gateways")
    by_cpu = 0
    if g is not None:
        r = proven_per_minute / 60 * (1 - facts.no_shows)
        by_cpu = math.ceil(r * g / 1000 / GATEWAY_SHARE)
        why += f"; r x g / share of a core each = {r:.1f} x {g:.1f} ms / {GATEWAY_SHARE} = {by_cpu}"
    return Suggestion(setting="gateways", now=facts.gateways, value=max(facts.gateways, 1, by_streams, by_cpu), why=why)


def _warnings(facts: Facts) -> tuple[str, ...]:
    warnings = []
    if not facts.steady:
        warnings.append(
            "The sale as configured was too short to be steady: fans of its beginning were still choosing at its end. "
            "Give it more --minutes, or fans who think less (--think)."
        )
    if facts.fans < facts.expected_fans:
        warnings.append(
            f"{facts.fans} fans stood in for {facts.expected_fans}: the line's own cost (positions sent over "
            "streams) was that much smaller."
        )
    if facts.configured.busy.generator >= GENERATOR_BUSY:
        warnings.append("The generator was at its limit: latencies are partly its own.")
    return tuple(warnings)
