"""Operators' alarms: what stands, from which threshold on, and who is told."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar.params import Parameter

from db.alarms import receivers as db
from db.alarms import rules as thresholds
from db.alarms.kinds import KINDS, AlarmKind, ReceiverChannel, Unit, sentence_of, words_of
from db.alarms.rules import SITE, Rule
from db.alarms.standing import LOOKED_KEY, AlarmRow, read_alarms
from db.alarms.states import AlarmState
from db.change_log.changes import Subject, change_rows, select_changes
from db.events.catalogue import names_of
from db.webhooks.urls import UrlRefusedError, check_url
from gateway.contacts.contacts import tidy_mail
from gateway.contract.alarms import (
    AlarmAnswer,
    AlarmExceptionAnswer,
    AlarmList,
    AlarmLogLine,
    AlarmLogList,
    AlarmReceiverAnswer,
    AlarmReceiverBody,
    AlarmReceiverList,
    AlarmReceiverPatch,
    AlarmRuleAnswer,
    AlarmRuleBody,
    AlarmRuleList,
)
from gateway.contract.values import ID_MAX
from gateway.identity.sessions import Session
from gateway.line.moments import from_ms
from gateway.routes.outward import check_outward
from gateway.routes.routers import operator_router
from gateway.services import Services, services_of
from gateway.wire.problems import ProblemError, invalid
from gateway.wire.requests import AnyRequest

operators = operator_router("alarms")

ENDED_SHOWN: Final = 20
TESTS_PER_MINUTE: Final = 10
BODY_REFUSED: Final = ("invalid_request", "body_too_large", "unsupported_media_type")
RULE_REFUSED: Final = (*BODY_REFUSED, "unknown_alarm")
RECEIVER_REFUSED: Final = ("invalid_request", "unknown_receiver")
LOG_SUBJECTS: Final = (Subject.ALARM_RULE, Subject.ALARM_RECEIVER)

PathKind = Annotated[str, Parameter(max_length=40, description="the alarm's kind, e.g. line_long")]
PathEvent = Annotated[int, Parameter(ge=1, le=ID_MAX, description="event id")]
PathReceiver = Annotated[int, Parameter(ge=1, le=ID_MAX, description="receiver's id")]


def _kind(word: str) -> AlarmKind:
    kind = KINDS.get(word)
    if kind is None:
        raise ProblemError("unknown_alarm")
    return kind


@contextlib.contextmanager
def _problems() -> Iterator[None]:
    """What Postgres knows not, or takes no more of, as a problem."""
    try:
        yield
    except thresholds.RuleRefusedError as refused:
        raise invalid(str(refused), f"$.{refused.field}") from None
    except thresholds.TooManyExceptionsError:
        raise ProblemError("too_many_exceptions") from None
    except db.UnknownReceiverError:
        raise ProblemError("unknown_receiver") from None
    except db.TooManyReceiversError:
        raise ProblemError("too_many_receivers") from None
    except LookupError:
        raise ProblemError("unknown_event") from None


# -- what stands


@operators.get("/api/ops/alarms")
async def alarms(request: AnyRequest) -> AlarmList:
    """The alarms that stand, the newest first, and the latest ones that are over."""
    services = services_of(request)
    async with services.engine.connect() as connection:
        rows = await read_alarms(connection, ENDED_SHOWN)
    looked = await services.jobs.get(LOOKED_KEY)
    firing = sorted((row for row in rows if row.state is AlarmState.FIRING), key=lambda row: row.since, reverse=True)
    return AlarmList(
        firing=tuple(map(_alarm, firing)),
        ended=tuple(_alarm(row) for row in rows if row.state is AlarmState.ENDED),
        looked_at=None if looked is None else from_ms(int(looked)),
    )


def _alarm(row: AlarmRow) -> AlarmAnswer:
    kind = KINDS[row.kind]
    return AlarmAnswer(
        kind=kind,
        headline=kind.headline,
        sentence=sentence_of(kind, row.figure),
        threshold="" if kind.unit is Unit.NONE else words_of(row.threshold, kind.unit),
        is_trouble=kind.is_trouble,
        events=tuple(row.about["names"]),
        more=row.about["more"],
        event_id=row.about["eventId"],
        time_zone=row.about["timeZone"],
        since=row.since.astimezone(dt.UTC),
        ended_at=None if row.ended_at is None else row.ended_at.astimezone(dt.UTC),
    )


# -- rules


@operators.get("/api/ops/alarms/rules")
async def rules(request: AnyRequest) -> AlarmRuleList:
    """From which threshold on there is an alarm of each kind."""
    return await _rules(services_of(request))


async def _rules(services: Services) -> AlarmRuleList:
    async with services.engine.connect() as connection:
        found = await thresholds.read_rules(connection)
        exceptions = found.exceptions()
        names = await names_of(connection, [event_id for _, event_id in exceptions])
    return AlarmRuleList(
        rules=tuple(_rule(found.of(kind)) for kind in AlarmKind),
        exceptions=tuple(
            AlarmExceptionAnswer(
                kind=rule.kind,
                event_id=event_id,
                event=names.get(event_id, ""),
                enabled=rule.enabled,
                threshold=rule.threshold,
                for_seconds=rule.for_seconds,
            )
            for (_, event_id), rule in exceptions.items()
        ),
    )


def _rule(rule: Rule) -> AlarmRuleAnswer:
    kind = rule.kind
    return AlarmRuleAnswer(
        kind=kind,
        headline=kind.headline,
        meaning=kind.meaning,
        scope=msgspec.convert(kind.scope.value, Literal["event", "lane"]),
        unit=msgspec.convert(kind.unit.value, Literal["ms", "%", "fans", "s", ""]),
        enabled=rule.enabled,
        threshold=rule.threshold,
        for_seconds=rule.for_seconds,
        threshold_min=kind.threshold_min,
        threshold_max=kind.threshold_max,
        default_threshold=kind.threshold,
        default_for_seconds=kind.for_seconds,
    )


async def _set(services: Services, word: str, data: AlarmRuleBody, event_id: int, operator: str) -> AlarmRuleList:
    kind = _kind(word)
    with _problems():
        rule = Rule(
            kind,
            data.enabled,
            kind.threshold if isinstance(data.threshold, msgspec.UnsetType) else data.threshold,
            kind.for_seconds if isinstance(data.for_seconds, msgspec.UnsetType) else data.for_seconds,
        )
        async with services.engine.begin() as connection:
            await thresholds.set_rule(connection, rule, event_id, operator)
    return await _rules(services)


async def _unset(services: Services, word: str, event_id: int, operator: str) -> None:
    kind = _kind(word)
    async with services.engine.begin() as connection:
        await thresholds.remove_rule(connection, kind, event_id, operator)


@operators.put("/api/ops/alarms/rules/{kind:str}", refuses=RULE_REFUSED)
async def set_rule(request: AnyRequest, operator: Session, kind: PathKind, data: AlarmRuleBody) -> AlarmRuleList:
    """Set the threshold of a kind for the whole site. It holds from the next look on, within seconds."""
    return await _set(services_of(request), kind, data, SITE, operator.name)


@operators.delete("/api/ops/alarms/rules/{kind:str}", refuses=("invalid_request", "unknown_alarm"))
async def unset_rule(request: AnyRequest, operator: Session, kind: PathKind) -> None:
    """Let the kind's defaults hold again."""
    await _unset(services_of(request), kind, SITE, operator.name)


@operators.put(
    "/api/ops/alarms/rules/{kind:str}/events/{event_id:int}",
    refuses=(*RULE_REFUSED, "unknown_event", "too_many_exceptions"),
)
async def set_event_rule(
    request: AnyRequest, operator: Session, kind: PathKind, event_id: PathEvent, data: AlarmRuleBody
) -> AlarmRuleList:
    """Set the threshold of a kind for one event, in the place of the site's."""
    return await _set(services_of(request), kind, data, event_id, operator.name)


@operators.delete(
    "/api/ops/alarms/rules/{kind:str}/events/{event_id:int}", refuses=("invalid_request", "unknown_alarm")
)
async def unset_event_rule(request: AnyRequest, operator: Session, kind: PathKind, event_id: PathEvent) -> None:
    """Let the site's threshold hold for the event again."""
    await _unset(services_of(request), kind, event_id, operator.name)


# -- receivers


def _receiver(row: db.ReceiverRow) -> AlarmReceiverAnswer:
    def utc(at: dt.datetime | None) -> dt.datetime | None:
        return None if at is None else at.astimezone(dt.UTC)

    return AlarmReceiverAnswer(
        receiver_id=row.receiver_id,
        channel=row.channel,
        address=db.shown_address(row.channel, row.address),
        name=row.name,
        kinds=tuple(KINDS[word] for word in row.kinds if word in KINDS),
        quiet_until=utc(row.quiet_until),
        made_at=row.made_at.astimezone(dt.UTC),
        delivered_at=utc(row.delivered_at),
        failing_since=utc(row.failing_since),
        error=row.error,
        gone=row.gone_at is not None,
    )


@operators.get("/api/ops/alarms/receivers")
async def receivers(request: AnyRequest) -> AlarmReceiverList:
    """Who is told, the oldest first."""
    async with services_of(request).engine.connect() as connection:
        found = await db.read_receivers(connection)
    return AlarmReceiverList(receivers=tuple(map(_receiver, found)))


@operators.post(
    "/api/ops/alarms/receivers",
    status_code=201,
    refuses=(*BODY_REFUSED, "url_refused", "too_many_receivers", "messages_off", "push_off"),
)
async def add(request: AnyRequest, operator: Session, data: AlarmReceiverBody) -> AlarmReceiverAnswer:
    """Tell an address of alarms from now on, and of the ones that stand."""
    services = services_of(request)
    channel, address, keys = await _address(services, data)
    with _problems():
        async with services.engine.begin() as connection:
            row = await db.add_receiver(
                connection,
                channel=channel,
                address=address,
                name=data.name,
                kinds=_without_doubles(data.kinds),
                operator=operator.name,
                **keys,
            )
    return _receiver(row)


async def _address(services: Services, data: AlarmReceiverBody) -> tuple[ReceiverChannel, str, dict[str, str]]:
    """The receiver's channel and address, and a browser's keys.

    Raises:
        ProblemError: ``invalid_request``, ``url_refused``, ``messages_off`` or ``push_off``.
    """
    if isinstance(data.mail, str):
        address = tidy_mail(data.mail)
        if not services.contacts.takes_mail:
            raise ProblemError("messages_off")
        return ReceiverChannel.MAIL, address, {}
    if isinstance(data.chat, str):
        await check_outward(services, data.chat)
        return ReceiverChannel.CHAT, data.chat, {}
    assert not isinstance(data.push, msgspec.UnsetType)
    if not services.alerts.public_key:
        raise ProblemError("push_off")
    try:
        check_url(data.push.endpoint, production=True)
    except UrlRefusedError as error:
        raise invalid(str(error), "$.push.endpoint") from None
    return ReceiverChannel.PUSH, data.push.endpoint, {"p256dh": data.push.keys.p256dh, "auth": data.push.keys.auth}


def _without_doubles(kinds: Sequence[AlarmKind]) -> list[AlarmKind]:
    return [kind for kind in AlarmKind if kind in kinds]


@operators.patch("/api/ops/alarms/receivers/{receiver_id:int}", refuses=(*RECEIVER_REFUSED, *BODY_REFUSED))
async def change(
    request: AnyRequest, operator: Session, receiver_id: PathReceiver, data: AlarmReceiverPatch
) -> AlarmReceiverAnswer:
    """Change what a receiver hears of, or keep it quiet for a time."""
    changes: dict[str, Any] = {
        name: value for name in ("name", "kinds", "quiet_until") if (value := getattr(data, name)) is not msgspec.UNSET
    }
    if not changes:
        raise invalid("nothing to change is named")
    if "kinds" in changes:
        changes["kinds"] = _without_doubles(changes["kinds"])
    with _problems():
        async with services_of(request).engine.begin() as connection:
            return _receiver(await db.change_receiver(connection, receiver_id, changes, operator.name))


@operators.delete("/api/ops/alarms/receivers/{receiver_id:int}", refuses=RECEIVER_REFUSED)
async def remove(request: AnyRequest, operator: Session, receiver_id: PathReceiver) -> None:
    """Tell a receiver nothing more."""
    with _problems():
        async with services_of(request).engine.begin() as connection:
            await db.remove_receiver(connection, receiver_id, operator.name)


@operators.post(
    "/api/ops/alarms/receivers/{receiver_id:int}/test",
    status_code=204,
    refuses=(*RECEIVER_REFUSED, "rate_limited"),
)
async def test(request: AnyRequest, operator: Session, receiver_id: PathReceiver) -> None:
    """Send a receiver a test alarm, even where it is quiet. Whether it arrived is in its ``deliveredAt`` or ``error``
    some seconds later.
    """
    services = services_of(request)
    await services.limits.count("alarm-test", str(receiver_id), TESTS_PER_MINUTE)
    with _problems():
        async with services.engine.begin() as connection:
            await db.send_test(connection, receiver_id, operator.name)


@operators.get("/api/ops/alarms/log")
async def log(request: AnyRequest) -> AlarmLogList:
    """Who changed which rule and which receiver, the newest first."""
    async with services_of(request).engine.connect() as connection:
        lines = [
            AlarmLogLine(
                at=line.at,
                operator=line.operator,
                subject=msgspec.convert(subject.value, Literal["alarm_rule", "alarm_receiver"]),
                id=line.subject_id,
                field=line.field,
                before=line.before,
                after=line.after,
            )
            for subject in LOG_SUBJECTS
            for line in change_rows(await connection.exec_driver_sql(*select_changes(subject)))
        ]
    return AlarmLogList(entries=tuple(sorted(lines, key=lambda line: line.at, reverse=True)))


ROUTERS = (operators,)
