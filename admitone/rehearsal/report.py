"""Writes a verdict in plain words and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from admitone.rehearsal.verdict import Bottleneck, Phase, Verdict


def as_json(verdict: Verdict) -> str:
    return msgspec.json.format(msgspec.json.encode(verdict), indent=1).decode()


def words(verdict: Verdict) -> Iterator[str]:
    """The verdict as lines to print."""
    facts = verdict.facts
    yield ""
    yield f"VERDICT: {'FIT' if verdict.fit else 'NOT FIT'}"
    yield verdict.says
    yield ""
    yield f"Rate sustained as configured: {facts.configured.purchases_per_minute:.0f} purchases a minute"
    yield f"  {_phase(facts.configured)}"
    yield f"Expected duration: {verdict.expected}"
    if facts.tail is not None:
        tail = facts.tail
        yield (
            f"The last 5 % of the seats sold in {tail.last_seconds:.1f} s, "
            f"{tail.ratio:.1f} times what 5 % took at half-time ({tail.half_seconds:.1f} s)"
        )
    yield from _bottleneck("Bottleneck", verdict.bottleneck)
    if facts.limit_end:
        highest = verdict.limit_per_minute
        limit = "none found" if highest is None else f"{highest:.0f} purchases a minute held"
        yield f"Limit: {limit}; {facts.limit_end}"
        for phase in facts.limit:
            yield f"  {phase.rate_per_minute} fans a minute: {_phase(phase)}"
        if verdict.limit_bottleneck is not None:
            yield from _bottleneck("Bottleneck at the limit", verdict.limit_bottleneck)
    yield "Suggested settings:"
    for one in verdict.suggestions:
        change = f"{one.value}" if one.now in (None, one.value) else f"{one.now} -> {one.value}"
        yield f"  {one.setting:<14} {change:<16} {one.why}"
    cpu = facts.configured.cpu_ms
    if cpu:
        yield "CPU of a purchase: " + ", ".join(f"{part} {ms:.1f} ms" for part, ms in cpu.items())
    yield (
        "Audit with the ledger: clean"
        if not facts.audit
        else "Audit with the ledger: BROKEN\n" + "\n".join(f"  {one}" for one in facts.audit)
    )
    for warning in verdict.warnings:
        yield f"Warning: {warning}"


def _bottleneck(title: str, bottleneck: Bottleneck) -> Iterator[str]:
    yield f"{title}: {bottleneck.says} ({bottleneck.code})"
    yield f"  {bottleneck.evidence}"


def _phase(phase: Phase) -> str:
    p95 = "none" if phase.p95_ms is None else f"p50 {phase.p50_ms:.0f} ms, p95 {phase.p95_ms:.0f} ms"
    inside = "" if phase.inside_seconds is None else f", {phase.inside_seconds:.1f} s from call to ticket"
    refused = sum(phase.refused.values())
    return (
        f"{phase.purchases} purchases in {phase.seconds:.0f} s ({phase.purchases_per_minute:.0f} a minute), "
        f"bookings {p95}{inside}; {refused} refused, {sum(phase.errors.values())} errors"
    )
