"""``admitone alarm``: the alarms that stand, their thresholds, and who is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from admitone.commands.environment import fail, load_settings, sentence
from admitone.settings import Settings
from db.alarms.kinds import KINDS, AlarmKind, ReceiverChannel, Unit, sentence_of, words_of
from db.alarms.receivers import (
    RECEIVERS_MAX,
    TooManyReceiversError,
    add_receiver,
    read_receivers,
    remove_receiver,
    send_test,
    shown_address,
)
from db.alarms.rules import (
    EXCEPTIONS_MAX,
    SITE,
    Rule,
    TooManyExceptionsError,
    read_rules,
    remove_rule,
    set_rule,
)
from db.alarms.standing import read_alarms
from db.alarms.states import AlarmState
from db.connections.engines import transaction
from db.sealing.keyring import Keyring, use
from db.webhooks.urls import check_outward

APPLICATION = "admitone-alarm"
MADE_BY = "command line"
ENDED_SHOWN = 20

T = TypeVar("T")

Kind = Annotated[AlarmKind, typer.Argument(help="See `admitone alarm rules`.")]
Event = Annotated[int | None, typer.Option(min=1, help="For this event alone; for the site without it.")]


def _within(do: Callable[[AsyncConnection], Awaitable[T]], settings: Settings | None = None) -> T:
    """What comes of a call within one transaction. Refusals end the command with their sentence."""
    settings = settings or load_settings()
    use(Keyring.of(settings.site))

    async def run() -> T:
        async with transaction(settings.db.url, APPLICATION) as connection:
            return await do(connection)

    try:
        return asyncio.run(run())
    except TooManyExceptionsError:
        raise fail(f"{EXCEPTIONS_MAX} events have thresholds of their own, and more are not kept.") from None
    except TooManyReceiversError:
        raise fail(f"There are {RECEIVERS_MAX} receivers already.") from None
    except (LookupError, ValueError) as error:
        raise fail(sentence(error)) from None


def list_all() -> None:
    """List the alarms that stand, and the last ones that are over."""
    for alarm in _within(lambda connection: read_alarms(connection, ENDED_SHOWN)):
        kind = KINDS[alarm.kind]
        state = "stands" if alarm.state is AlarmState.FIRING else "over"
        names = ", ".join(alarm.about["names"])
        since = f"{alarm.since:%Y-%m-%d %H:%M} UTC"
        typer.echo(f"{state:6}  since {since}  {kind}  {sentence_of(kind, alarm.figure)}  {names}".rstrip())


def rules() -> None:
    """List from which threshold on there is an alarm of each kind, and what events have of their own."""
    found = _within(read_rules)
    for kind in AlarmKind:
        typer.echo(_line(found.of(kind)))
    for (_, event_id), rule in found.exceptions().items():
        typer.echo(f"{_line(rule)}  (event {event_id})")


def _line(rule: Rule) -> str:
    kind = rule.kind
    threshold = "" if kind.unit is Unit.NONE else f"  from {words_of(rule.threshold, kind.unit)}"
    return f"{kind}  {'on' if rule.enabled else 'off'}{threshold}  for {rule.for_seconds} s  {kind.headline}"


def set_one(
    kind: Kind,
    threshold: Annotated[int | None, typer.Option(help="In the kind's unit; as it was without it.")] = None,
    for_seconds: Annotated[int | None, typer.Option(min=0, max=3600, help="How long the figure must stand.")] = None,
    off: Annotated[bool, typer.Option("--off", help="No alarm of this kind.")] = False,
    event: Event = None,
) -> None:
    """Set a kind's threshold, for the site or for one event; it holds within seconds."""

    event_id = event or SITE

    async def change(connection: AsyncConnection) -> Rule:
        before = (await read_rules(connection)).of(kind, event_id)
        rule = Rule(
            kind,
            not off,
            before.threshold if threshold is None else threshold,
            before.for_seconds if for_seconds is None else for_seconds,
        )
        await set_rule(connection, rule, event_id, MADE_BY)
        return rule

    typer.echo(_line(_within(change)))


def reset(kind: Kind, event: Event = None) -> None:
    """Let the default hold again, or for an event the site's threshold."""
    if not _within(lambda connection: remove_rule(connection, kind, event or SITE, MADE_BY)):
        raise fail("Nothing was set.")


def receivers() -> None:
    """List who is told; of a chat's address only the host and the last letters are shown."""
    for row in _within(read_receivers):
        kinds = ", ".join(row.kinds) or "all kinds"
        state = "gone" if row.gone_at is not None else "fails" if row.failing_since is not None else "told"
        typer.echo(
            f"{row.receiver_id}  {row.channel}  {shown_address(row.channel, row.address)}  {row.name}  {kinds}  {state}"
        )


def add(
    mail: Annotated[str, typer.Option(help="A mail address.")] = "",
    chat: Annotated[str, typer.Option(help="A chat's incoming webhook.")] = "",
    name: Annotated[str, typer.Option(help="Whose it is.")] = "",
    kind: Annotated[list[AlarmKind] | None, typer.Option(help="May be given again; all kinds without it.")] = None,
) -> None:
    """Tell an address of alarms from now on, and of those that stand. Browsers are added at /ops/alarms."""
    from gateway.contacts.contacts import tidy_mail
    from gateway.wire.problems import ProblemError

    settings = load_settings()
    if bool(mail) == bool(chat):
        raise fail("Name either --mail or --chat.")
    if mail and not settings.mail.url:
        raise fail("The site sends no mail: ADMITONE_MAIL_URL is not set.")
    try:
        if chat:
            check_outward(chat, production=settings.site.production)
        address = chat or tidy_mail(mail)
    except ProblemError:
        raise fail("This is no e-mail address.") from None
    except ValueError as error:
        raise fail(sentence(error)) from None
    row = _within(
        lambda connection: add_receiver(
            connection,
            channel=ReceiverChannel.CHAT if chat else ReceiverChannel.MAIL,
            address=address,
            name=name,
            kinds=kind or [],
            operator=MADE_BY,
        ),
        settings,
    )
    typer.echo(row.receiver_id)


def remove(receiver_id: int) -> None:
    """Tell an address nothing more."""
    _within(lambda connection: remove_receiver(connection, receiver_id, MADE_BY))


def test(receiver_id: int) -> None:
    """Send a test alarm; a worker delivers it."""
    _within(lambda connection: send_test(connection, receiver_id, MADE_BY))
