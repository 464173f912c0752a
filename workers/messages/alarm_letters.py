"""What receivers read: one message of all that they are told together. Operators are told in English."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from db.alarms.kinds import KINDS, AlarmKind, Unit, sentence_of, words_of
from db.alarms.states import Notice
from db.messages.kinds import MessageKind
from db.messages.queue import NO_EVENT
from messages.languages import ENGLISH, locale_of
from messages.letters import Occasion
from messages.moments import moment_in
from workers.messages.chat import Form

SHOWN_MAX: Final = 10
"""Alarms that one message names; of more it says how many."""
CONSOLE_PAGE: Final = "/ops/alarms"
TEST_TITLE: Final = "Test alarm"
_FIRST_WORDS: Final = {Notice.FIRING: "Alarm", Notice.REMINDER: "Still an alarm", Notice.RESOLVED: "Over"}
_SIGNS: Final = {Notice.FIRING: "🔴", Notice.REMINDER: "🔴", Notice.RESOLVED: "✅"}


class Told(NamedTuple):
    """One notice: what it is, and what it says (`workers.alarms.watch.payload_of`)."""

    what: Notice
    payload: Mapping[str, Any]


def occasion_of(notices: Sequence[Told]) -> Occasion:
    """What the letter is about. Alarms that begin come first, those that are over last."""
    return Occasion(kind=MessageKind.ALARM, event_id=0, event=NO_EVENT, payload=_payload(notices))


def chat_body(notices: Sequence[Told], console: str, form: Form) -> dict[str, Any]:
    """The same for a chat, with the address of the console's page."""
    payload = _payload(notices)
    lines = []
    for one, told in zip(payload["alarms"], _in_order(notices), strict=False):
        sign = _SIGNS.get(told.what, "🔔")
        lines.append(f"{sign} {form.quoted(one['heading'])}")
        lines.append(form.quoted(one["sentence"]))
        if one["facts"]:
            lines.append(" · ".join(f"{name}: {form.quoted(value)}" for name, value in one["facts"]))
        lines.append("")
    if payload["more"]:
        lines += [payload["more"], ""]
    text = "\n".join(lines)
    chars_max = form.chars_max - len(console) - len("…\n\n")
    return form.body(text if len(text) <= chars_max else f"{text[:chars_max]}…\n", console)


def _in_order(notices: Sequence[Told]) -> list[Told]:
    order = list(Notice)
    return sorted(notices, key=lambda one: order.index(one.what))


def _payload(notices: Sequence[Told]) -> dict[str, Any]:
    shown = _in_order(notices)[:SHOWN_MAX]
    parts = [_part(one) for one in shown]
    rest = len(notices) - 1
    beside = f", and {rest} more" if rest else ""
    events = {one.payload.get("eventId") for one in notices}
    (event_id,) = events if len(events) == 1 else (None,)
    left_off = len(notices) - len(shown)
    return {
        "title": parts[0]["heading"] + beside,
        "short": parts[0]["sentence"] + (f" And {rest} more." if rest else ""),
        "alarms": parts,
        "more": f"And {left_off} more: the console names them." if left_off else "",
        "path": CONSOLE_PAGE if event_id is None else f"/ops#{event_id}",
        "tag": "alarms" if rest else _tag(shown[0]),
    }


def _tag(told: Told) -> str:
    """Notifications of one alarm take each other's place."""
    return f"alarm-{told.payload.get('kind', 'test')}-{told.payload.get('eventId')}"


def _part(told: Told) -> dict[str, Any]:
    payload = told.payload
    if told.what is Notice.TEST:
        sentence = f"{payload['by']} sent this from the console. Alarms will reach you here."
        return {"title": TEST_TITLE, "heading": TEST_TITLE, "sentence": sentence, "facts": []}
    kind = KINDS[payload["kind"]]
    names = list(payload["names"])
    events = ", ".join(names) + (f" and {payload['more']} more" if payload["more"] else "")
    first = _FIRST_WORDS[told.what]
    facts = [("Event" if len(names) == 1 else "Events", events)] if names else []
    if kind.unit is not Unit.NONE:
        facts.append(("Threshold", words_of(payload["threshold"], kind.unit)))
    facts.append(("Since", _moment(payload["since"], payload["timeZone"])))
    if told.what is Notice.RESOLVED:
        facts.append(("Until", _moment(payload["until"], payload["timeZone"])))
    return {
        "title": f"{first}: {kind.headline}",
        "heading": f"{first}: {kind.headline}" + (f" · {events}" if names else ""),
        "sentence": _resolved(kind, payload) if told.what is Notice.RESOLVED else sentence_of(kind, payload["figure"]),
        "facts": facts,
    }


def _resolved(kind: AlarmKind, payload: Mapping[str, Any]) -> str:
    if not payload["isCalm"]:
        return "This is watched no more: the sale or its line is over, or the alarm was switched off."
    if kind.unit is Unit.NONE or not payload["figure"]:
        return "It is over."
    return f"It is over: {words_of(payload['figure'], kind.unit)} now."


def _moment(at: str, zone: str) -> str:
    return moment_in(locale_of(ENGLISH), dt.datetime.fromisoformat(at), zone)
