"""When an alarm begins and ends, by the second; what it is measured by; and what its message says."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booking_lane.figures import WAIT_BOUNDS_MS
from db.alarms.kinds import FOR_SECONDS_MAX, KINDS, AlarmKind, AlarmScope, ReceiverChannel, Unit, sentence_of, words_of
from db.alarms.receivers import ReceiverRow, shown_address
from db.alarms.rules import SITE, Rule, RuleRefusedError, Rules, default_rule
from db.alarms.standing import AlarmRow, WatchedEvent
from db.alarms.states import AlarmState, Notice
from workers.alarms.deciding import CALM_SECONDS_MIN, UNSEEN_SECONDS_MAX, Decision, Look, decide
from workers.alarms.sight import LaneReading, Memory, Reading, decode_memory, encode_memory, looks_of
from workers.alarms.watch import decisions_of, payload_of
from workers.messages.alarm_letters import SHOWN_MAX, Told, chat_body, occasion_of
from workers.messages.chat import DISCORD, DISCORD_AS_SLACK, PLAIN, SLACK, TEAMS, TEXT_CHARS_MAX, Form, escaped, form_of

NOON = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
ABOUT: dict[str, Any] = {"names": ["Gala"], "more": 0, "timeZone": "Europe/Berlin", "eventId": 7}
CONSOLE = "https://venue.example/ops/alarms"
CHATS = {
    "https://hooks.slack.com/services/T0/B0/x": SLACK,
    "https://mattermost.venue.example/hooks/key": SLACK,
    "https://discord.com/api/webhooks/1/token": DISCORD,
    "https://discord.com/api/webhooks/1/token/slack": DISCORD_AS_SLACK,
    "https://rocket.venue.example/hooks/65f0/token": PLAIN,
    "https://venue.example/rocket/hooks/65f0/token": PLAIN,
    "https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=t": PLAIN,
    "https://0a.4a.environment.api.powerplatform.com:443/powerautomate/automations/direct/workflows/b/invoke": TEAMS,
    "https://prod-01.westus.logic.azure.com/workflows/b/triggers/manual/paths/invoke": TEAMS,
}
LINE = Rule(AlarmKind.LINE_LONG, True, 1000, 60)


def at(seconds: float) -> dt.datetime:
    return NOON + dt.timedelta(seconds=seconds)


def run(figures: Sequence[tuple[float, float | None]], rule: Rule = LINE) -> list[tuple[float, AlarmState]]:
    """The moments at which the alarm came into another state, for figures at their seconds."""
    alarm: AlarmRow | None = None
    changes: list[tuple[float, AlarmState]] = []
    for seconds, figure in figures:
        before = None if alarm is None else alarm.state
        decision = decide(alarm, Look(rule.kind, 7, figure, ABOUT), rule, at(seconds))
        if decision is not None and decision.alarm.state is not before and not decision.drops:
            changes.append((seconds, decision.alarm.state))
        is_over = decision is not None and decision.alarm.state is AlarmState.ENDED
        alarm = None if decision is None or is_over else decision.alarm
    return changes


def steps(*parts: tuple[int, float | None]) -> list[tuple[float, float | None]]:
    """Figures each five seconds; a part is for how long which one stands."""
    found: list[tuple[float, float | None]] = []
    for seconds, figure in parts:
        begin = len(found) * 5.0
        found += [(begin + n * 5, figure) for n in range(seconds // 5)]
    return found


def test_every_kind_is_whole() -> None:
    assert len(KINDS) == len(AlarmKind) == 12
    for kind in AlarmKind:
        assert kind.threshold_min <= kind.threshold <= kind.threshold_max
        assert 0 <= kind.for_seconds <= FOR_SECONDS_MAX
        assert 0 < kind.calm_share <= 1
        assert kind.has_threshold == (kind.unit is not Unit.NONE)
        assert ("{figure}" in kind.sentence) == kind.has_threshold
        assert sentence_of(kind, 41).endswith(".")


def test_words_have_their_unit() -> None:
    assert words_of(2140.7, Unit.MS) == "2,140 ms"
    assert words_of(41, Unit.PERCENT) == "41 %"
    assert words_of(5.25, Unit.PERCENT) == "5.2 %"
    assert words_of(1, Unit.FANS) == "1 fan"
    assert words_of(5120, Unit.FANS) == "5,120 fans"


def test_an_alarm_fires_after_its_time_and_only_once() -> None:
    assert run(steps((600, 1000))) == [(0, AlarmState.PENDING), (60, AlarmState.FIRING)]


def test_a_short_rise_is_no_alarm() -> None:
    assert run(steps((55, 5000), (60, 10))) == [(0, AlarmState.PENDING)]


def test_without_a_time_it_fires_at_once() -> None:
    assert run(steps((10, 1000)), Rule(AlarmKind.LINE_LONG, True, 1000, 0)) == [(0, AlarmState.FIRING)]


def test_a_figure_about_its_threshold_is_one_alarm() -> None:
    moving = [(n * 5.0, 1001.0 if n % 2 else 950.0) for n in range(100)]
    fired = [*steps((65, 1000)), *((65 + seconds, figure) for seconds, figure in moving)]
    assert [state for _, state in run(fired)] == [AlarmState.PENDING, AlarmState.FIRING]


def test_it_ends_once_it_has_been_calm_for_as_long() -> None:
    # Calm from 65 s on, disturbed at 100 s, and then calm for good.
    figures = [*steps((65, 1000), (35, 899), (5, 901), (300, 0))]
    assert run(figures) == [(0, AlarmState.PENDING), (60, AlarmState.FIRING), (165, AlarmState.ENDED)]


def test_an_alarm_without_a_time_ends_no_sooner_than_a_minute() -> None:
    rule = Rule(AlarmKind.LINE_LONG, True, 1000, 0)
    assert run(steps((5, 1000), (200, 0)), rule) == [(0, AlarmState.FIRING), (5 + CALM_SECONDS_MIN, AlarmState.ENDED)]


def test_what_is_not_known_neither_begins_nor_ends_an_alarm() -> None:
    assert run(steps((300, None))) == []
    assert run(steps((65, 1000), (600, None))) == [(0, AlarmState.PENDING), (60, AlarmState.FIRING)]
    # The calm time begins anew after a time in which nothing is known.
    figures = steps((65, 1000), (50, 0), (5, None), (55, 0), (20, 0))
    assert run(figures)[-1] == (65 + 50 + 5 + 60, AlarmState.ENDED)


def test_a_time_without_looks_is_no_time_that_was_seen() -> None:
    gap = UNSEEN_SECONDS_MAX + 600
    figures = [(0.0, 2000.0), (5.0, 2000.0), (5.0 + gap, 2000.0), (10.0 + gap, 2000.0), (65.0 + gap, 2000.0)]
    assert run(figures) == [(0, AlarmState.PENDING)], "a look after 55 s without another one is no minute either"
    figures = [*figures[:3], *((5.0 + gap + n * 5, 2000.0) for n in range(1, 13))]
    assert run(figures) == [(0, AlarmState.PENDING), (65 + gap, AlarmState.FIRING)]


@given(st.lists(st.one_of(st.none(), st.floats(0, 3000)), max_size=200))
def test_states_follow_each_other_whatever_is_seen(figures: list[float | None]) -> None:
    after: AlarmState = AlarmState.ENDED
    for _, state in run([(n * 5.0, figure) for n, figure in enumerate(figures)], Rule(LINE.kind, True, 1000, 10)):
        allowed = {
            AlarmState.ENDED: {AlarmState.PENDING},
            AlarmState.PENDING: {AlarmState.FIRING, AlarmState.PENDING},
            AlarmState.FIRING: {AlarmState.ENDED},
        }
        assert state in allowed[after]
        after = state


def firing(kind: AlarmKind = AlarmKind.LINE_LONG, **values: Any) -> AlarmRow:
    decision = decide(None, Look(kind, 7, 1e9, ABOUT), Rule(kind, True, kind.threshold_min, 0), NOON)
    assert decision is not None
    return decision.alarm._replace(**values)


def test_what_is_watched_no_more_is_over() -> None:
    rules = Rules()
    (ended,) = decisions_of([firing()], [], rules, at(5))
    assert ended.alarm.state is AlarmState.ENDED
    assert not ended.is_calm
    assert not ended.drops
    (dropped,) = decisions_of([firing(state=AlarmState.PENDING)], [], rules, at(5))
    assert dropped.drops
    (unknown,) = decisions_of([firing()._replace(kind="of_another_release")], [], rules, at(5))
    assert unknown.drops
    off = Rules([("line_long", 7, False, 1000, 60)])
    (switched_off,) = decisions_of([firing()], [Look(AlarmKind.LINE_LONG, 7, 9999, ABOUT)], off, at(5))
    assert switched_off.alarm.state is AlarmState.ENDED


def test_an_event_may_have_a_threshold_of_its_own() -> None:
    rules = Rules([("line_long", SITE, True, 800, 30), ("line_long", 7, False, 10, 0), ("gone", SITE, True, 1, 1)])
    assert rules.of(AlarmKind.LINE_LONG) == Rule(AlarmKind.LINE_LONG, True, 800, 30)
    assert rules.of(AlarmKind.LINE_LONG, 8).threshold == 800
    assert not rules.of(AlarmKind.LINE_LONG, 7).enabled
    assert rules.of(AlarmKind.SOLD_OUT) == default_rule(AlarmKind.SOLD_OUT)
    assert list(rules.exceptions()) == [("line_long", 7)]
    narrowed = Rules([("no_shows", SITE, True, 100_000, 0)])
    assert narrowed.of(AlarmKind.NO_SHOWS).threshold == AlarmKind.NO_SHOWS.threshold_max


def test_a_threshold_has_bounds() -> None:
    with pytest.raises(RuleRefusedError, match="from 1 to 99"):
        Rule(AlarmKind.SOLD_SHARE, True, 100, 0)
    with pytest.raises(RuleRefusedError, match="no threshold"):
        Rule(AlarmKind.SOLD_OUT, True, 99, 0)


# -- measuring


def reading(
    seconds: float, *, ended: int = 0, faults: int = 0, taken: int = 0, slow: int = 0, jobs: int = 0
) -> Reading:
    """A lane's counters: so many bookings within 10 ms, and so many as slow as can be counted."""
    counters = {
        "batches": ended + faults + taken,
        "command:reserve:succeeded": ended,
        "command:reserve:timed_out": faults,
        "command:reserve:seats_taken": taken,
        "command:sweep:succeeded": 1000,
        "wait:3": ended + faults + taken - slow,
        f"wait:{len(WAIT_BOUNDS_MS) - 1}": slow,
    }
    return Reading(seconds, [LaneReading(counters, jobs)])


def of_lane(*readings: Reading) -> dict[AlarmKind, float | None]:
    """The lane's figures at the last of the readings."""
    memory = Memory()
    found: dict[AlarmKind, float | None] = {}
    for one in readings:
        memory = decode_memory(encode_memory(memory))
        found = {look.kind: look.figure for look in looks_of(memory, one, [], {})}
    return found


def test_bookings_are_measured_over_the_last_minute() -> None:
    before = [reading(0, ended=5000, faults=5000, slow=5000), reading(60, ended=5000, faults=5000, slow=5000)]
    found = of_lane(*before, reading(120, ended=5090, faults=5010, taken=0, slow=5010))
    assert found[AlarmKind.BOOKING_ERRORS] == 10
    assert (found[AlarmKind.BOOKING_P95] or 0) > 20_000
    fine = of_lane(*before, reading(120, ended=5050, faults=5000, taken=50, slow=5000))
    assert fine[AlarmKind.BOOKING_ERRORS] == 0, "that seats are taken is no error"
    assert (fine[AlarmKind.BOOKING_P95] or 0) < 20


def test_of_a_few_bookings_nothing_is_said() -> None:
    assert of_lane(reading(0), reading(60, faults=3))[AlarmKind.BOOKING_ERRORS] == 0
    assert of_lane(reading(0), reading(60, faults=3, jobs=2))[AlarmKind.BOOKING_ERRORS] is None, "more are under way"
    assert of_lane(reading(0), reading(10, ended=500))[AlarmKind.BOOKING_P95] is None, "ten seconds are too short"
    assert of_lane(reading(0), reading(600, ended=500))[AlarmKind.BOOKING_P95] is None, "and ten minutes too long"


def test_a_lane_that_stands_still_is_seen() -> None:
    still = [reading(seconds, ended=10, jobs=1) for seconds in range(0, 40, 5)]
    assert of_lane(*still)[AlarmKind.BOOKINGS_STUCK] == 35
    assert of_lane(*still, reading(40, ended=11, jobs=1))[AlarmKind.BOOKINGS_STUCK] == 0
    assert of_lane(*still, reading(40, ended=10))[AlarmKind.BOOKINGS_STUCK] == 0, "nothing waits"


def test_seats_are_measured_without_a_line() -> None:
    def seats(free: int, held: int) -> dict[AlarmKind, float | None]:
        event = WatchedEvent(7, "Gala", "UTC", False, 200, free, held)
        return {look.kind: look.figure for look in looks_of(Memory(), reading(0), [event], {}) if look.subject_id == 7}

    assert seats(20, 0) == {AlarmKind.SOLD_SHARE: 90, AlarmKind.SOLD_OUT: 0}
    assert seats(0, 1) == {AlarmKind.SOLD_SHARE: 99.5, AlarmKind.SOLD_OUT: 0}
    assert seats(0, 0) == {AlarmKind.SOLD_SHARE: 100, AlarmKind.SOLD_OUT: 100}


def test_a_line_that_cannot_be_read_is_not_known() -> None:
    event = WatchedEvent(7, "Gala", "UTC", True, 200, 20, 0)
    found = {look.kind: look.figure for look in looks_of(Memory(), reading(0), [event], {7: None})}
    assert {kind for kind, figure in found.items() if figure is None} >= {
        AlarmKind.LINE_LONG,
        AlarmKind.NO_SHOWS,
        AlarmKind.REBUILDING,
        AlarmKind.DOOR_STALLED,
    }


# -- messages


def told(what: Notice, kind: AlarmKind = AlarmKind.LINE_LONG, *, is_calm: bool = True, **values: Any) -> Told:
    ended = {"ended_at": at(300), "state": AlarmState.ENDED} if what is Notice.RESOLVED else {}
    row = firing(kind, figure=5120.0, threshold=5000, **ended)._replace(**values)
    return Told(what, payload_of(Decision(row, is_calm=is_calm)))


def test_a_message_says_what_and_since_when() -> None:
    payload = occasion_of([told(Notice.FIRING)]).payload
    assert payload["title"] == "Alarm: The line is long · Gala"
    assert payload["short"] == "The line has 5,120 fans."
    assert payload["path"] == "/ops#7"
    facts = dict(payload["alarms"][0]["facts"])
    assert facts == {"Event": "Gala", "Threshold": "5,000 fans", "Since": "Sun 29 Nov 2026, 13:00 CET"}


def test_a_message_of_the_end_says_how_it_is_now() -> None:
    payload = occasion_of([told(Notice.RESOLVED, figure=320.0)]).payload
    assert payload["title"] == "Over: The line is long · Gala"
    assert payload["short"] == "It is over: 320 fans now."
    assert dict(payload["alarms"][0]["facts"])["Until"] == "Sun 29 Nov 2026, 13:05 CET"
    assert "watched no more" in occasion_of([told(Notice.RESOLVED, is_calm=False)]).payload["short"]


def test_several_alarms_are_one_message() -> None:
    many = [told(Notice.RESOLVED), *(told(Notice.FIRING) for _ in range(SHOWN_MAX)), told(Notice.FIRING)]
    payload = occasion_of(many).payload
    assert payload["title"] == f"Alarm: The line is long · Gala, and {SHOWN_MAX + 1} more"
    assert len(payload["alarms"]) == SHOWN_MAX
    assert payload["more"].startswith("And 2 more")
    both = occasion_of([told(Notice.FIRING), told(Notice.FIRING, about={**ABOUT, "eventId": 8})]).payload
    assert both["path"] == "/ops/alarms", "they are about two events"


@pytest.mark.parametrize("url", list(CHATS))
def test_nobody_in_a_chat_is_called_by_an_events_name(url: str) -> None:
    name = "<!channel> @here [all](https://evil.example) <users/all> & friends"
    body = chat_body([told(Notice.FIRING, about={**ABOUT, "names": [name]})], CONSOLE, form_of(url))
    text = json.dumps(body, ensure_ascii=False)
    for sign in ("<!channel>", "@here", "](", "<users/"):
        assert sign not in text
    assert ("&amp; friends" in text) == (CHATS[url].quoted is escaped), "entities are for chats that read them"
    assert CONSOLE in text


@pytest.mark.parametrize(("url", "form"), CHATS.items())
def test_an_address_says_which_chat_it_is(url: str, form: Form) -> None:
    assert form_of(url) is form


def test_a_long_text_is_cut_to_what_every_chat_takes() -> None:
    many = [told(Notice.FIRING, about={**ABOUT, "names": ["x" * 1000]}) for _ in range(SHOWN_MAX)]
    text = chat_body(many, CONSOLE, PLAIN)["text"]
    assert len(text) <= TEXT_CHARS_MAX + 100
    assert text.endswith(f"…\n\n{CONSOLE}")


def test_a_receiver_hears_of_its_kinds_unless_it_is_quiet() -> None:
    row = ReceiverRow(1, ReceiverChannel.MAIL, "", "", (), None, NOON, None, None, "", None)
    assert row.wants(AlarmKind.SOLD_OUT, NOON)
    assert not row._replace(kinds=("line_long",)).wants(AlarmKind.SOLD_OUT, NOON)
    assert not row._replace(quiet_until=at(1)).wants(AlarmKind.SOLD_OUT, NOON)
    assert row._replace(quiet_until=at(-1)).wants(AlarmKind.SOLD_OUT, NOON)
    assert not row._replace(gone_at=NOON).wants(AlarmKind.SOLD_OUT, NOON)


def test_a_chats_address_is_not_shown() -> None:
    shown = shown_address(ReceiverChannel.CHAT, "https://hooks.slack.example/services/T0/B0/secretABCD")
    assert shown == "hooks.slack.example/…ABCD"
    assert shown_address(ReceiverChannel.MAIL, "ops@venue.example") == "ops@venue.example"


def test_scopes_are_of_kinds() -> None:
    assert {kind.scope for kind in AlarmKind} == set(AlarmScope)


def kinds_markdown() -> str:
    """The kinds as the table of docs/alarms.md."""
    rows = []
    for kind in AlarmKind:
        threshold = words_of(kind.threshold, kind.unit) if kind.has_threshold else "–"
        bounds = f"{kind.threshold_min:,} to {kind.threshold_max:,}" if kind.has_threshold else "–"
        about = "an event" if kind.scope is AlarmScope.EVENT else "a lane"
        rows.append(
            f"| `{kind}` | {kind.headline} | {kind.meaning} | {about} | {threshold} | {bounds} | {kind.for_seconds} s |"
        )
    head = [
        "| kind | it says | what is measured | about | threshold | from … to | for |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows]) + "\n"


def test_the_documentation_has_every_kind() -> None:
    page = (Path(__file__).parents[3] / "docs" / "alarms.md").read_text()
    assert kinds_markdown() in page, "put what kinds_markdown gives into docs/alarms.md"
