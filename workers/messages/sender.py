"""Sends the messages that are due: a few at once, by the first provider of their channel that takes them.

A channel has two lanes, one of them for what is urgent. Each has room for so many messages, and is filled anew while
tries are still under way. So nobody's turn waits for a provider that is slow, or for its pace (ADR 166).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import psycopg

from db.messages import queue as sql
from db.messages.addresses import hash_of
from db.messages.kinds import BULK, PUSH, SOON, URGENT, MessageChannel, MessageKind, MessageState, SuppressionReason
from db.messages.queue import Taken, TicketFacts, ticket_facts
from db.sealing.keyring import SealError
from messages.letters import Occasion
from messages.links import Links
from messages.look import Look
from messages.settings import MailSettings, MessageSettings
from messages.writer import Writer, Written
from tickets.keys import TicketKeys
from tickets.signed import SignedTicket
from workers.channels.channel import Connection
from workers.messages.fan_out import after_hours
from workers.messages.provider import Failure, Provider, Tried
from workers.messages.waiting import AtOnce

logger = logging.getLogger(__name__)

LEASE_SECONDS: Final = 120
LANE_ROOM: Final = 4
"""A lane has so many times more messages than tries at once: the others wait for their provider's pace."""
ENDED_ARE_NOTED_EVERY_SECONDS: Final = 0.4
"""What is due is looked for as often, too. A full lane of mails lasts as long at their provider's pace."""
RETRY_FACTOR: Final = 3
JITTER: Final = 0.3
REST_SECONDS: Final = 20.0
"""A provider that was away is only asked again after so long, as long as another one takes its messages."""


def retry_wait_seconds(settings: MessageSettings, tries: int, retry_after_seconds: float = 0) -> float:
    """How long after the ``tries``-th try failed the next one comes, before it is spread by chance."""
    wait: float = settings.retry_first_seconds * RETRY_FACTOR ** min(tries - 1, 30)
    return min(max(wait, retry_after_seconds), settings.retry_seconds_max)


def _quiet_seconds(message: Taken) -> float:
    """How long a message is to wait for the end of its reader's quiet hours. What is of use now does not wait."""
    if message.quiet is None or message.kind.urgency != BULK:
        return 0
    now = dt.datetime.now(dt.UTC)
    return (after_hours(now, message.event.time_zone, *message.quiet) - now).total_seconds()


@dataclass(slots=True)
class _Lane:
    """The messages of one channel that are urgent, or those that are not."""

    channel: MessageChannel
    urgencies: tuple[int, int]
    """The most urgent and the least."""
    at_once: AtOnce
    messages_max: int
    messages: int = 0
    """So many were taken, and their tries have not ended."""
    is_cut_short: bool = False
    """More may be due than there was room for."""

    @property
    def is_urgent(self) -> bool:
        return self.urgencies[1] == URGENT


class Sender:
    """Sends messages, in the running loop in which it is made.

    Args:
        providers: of each channel, the first choice first. A channel without one skips its messages.
        ticket_keys: sign the tickets.
    """

    def __init__(
        self,
        settings: MessageSettings,
        mail: MailSettings,
        providers: Mapping[MessageChannel, Sequence[Provider]],
        look: Look,
        links: Links,
        ticket_keys: TicketKeys,
    ) -> None:
        self._settings = settings
        self._ticket_keys = ticket_keys
        self._providers = providers
        self._writer = Writer(look, links, mail.font)
        self._rests_until: dict[str, float] = {}
        at_once = settings.at_once_max
        self._lanes = [
            _Lane(channel, urgencies, AtOnce(at_once), at_once * LANE_ROOM)
            for urgencies in ((URGENT, URGENT), (SOON, BULK))
            for channel in MessageChannel
        ]
        self._tries: set[asyncio.Task[None]] = set()
        self._ended: list[tuple[Taken, dict[str, Any]]] = []
        """Tries that are not noted yet."""
        self._is_worth_a_turn = asyncio.Event()

    async def turn(self, connection: Connection, *, urgent_only: bool = False) -> int:
        """Note how tries ended, and begin one for each message that is due and has room in its lane; return how many
        were begun.
        """
        await self.note(connection)
        self._is_worth_a_turn.clear()
        lanes = [lane for lane in self._lanes if lane.is_urgent or not urgent_only]
        rooms = [
            {
                "channel": lane.channel,
                "urgency_min": lane.urgencies[0],
                "urgency_max": lane.urgencies[1],
                "messages_max": max(lane.messages_max - lane.messages, 0),
            }
            for lane in lanes
        ]
        found = await connection.execute(
            sql.TAKE, {"lanes": msgspec.json.encode(rooms).decode(), "lease_seconds": LEASE_SECONDS}, prepare=True
        )
        messages = [sql.taken(row) for row in await found.fetchall()]
        tickets = await self._tickets(connection, messages)
        for message in messages:
            lane = self._lane_of(message)
            lane.messages += 1
            task = asyncio.create_task(self._try(lane, message, tickets.get(str(message.message_id), ())))
            self._tries.add(task)
            task.add_done_callback(self._tries.discard)
        for lane in lanes:
            lane.is_cut_short = lane.messages == lane.messages_max
        return len(messages)

    def _lane_of(self, message: Taken) -> _Lane:
        is_urgent = message.kind.urgency == URGENT
        return next(one for one in self._lanes if (one.channel, one.is_urgent) == (message.channel, is_urgent))

    @property
    def is_busy(self) -> bool:
        """Whether tries are under way, or have ended and are not noted."""
        return bool(self._tries or self._ended)

    async def wait(self) -> None:
        """Return when the next turn has something to do: some tries have ended, or it is time to look."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_worth_a_turn.wait(), ENDED_ARE_NOTED_EVERY_SECONDS)

    async def _try(self, lane: _Lane, message: Taken, tickets: Sequence[TicketFacts] | None) -> None:
        try:
            async with lane.at_once.one(message.kind.urgency):
                row = await self._attempt(message, tickets)
            self._ended.append((message, row))
        except Exception:
            # It is due again once its lease has ended.
            logger.exception("the try of message %s", message.message_id)
        finally:
            lane.messages -= 1
            if not lane.messages and (lane.is_cut_short or not any(one.messages for one in self._lanes)):
                self._is_worth_a_turn.set()

    async def note(self, connection: Connection) -> None:
        """Write down how tries ended. Where Postgres is away, a later turn does."""
        ended, self._ended = self._ended, []
        if ended:
            try:
                await self._write_down(connection, ended)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                self._ended = ended + self._ended
                raise

    async def _tickets(self, connection: Connection, messages: Sequence[Taken]) -> dict[str, list[TicketFacts] | None]:
        """The tickets of each message that has some; None where no key of this site opens their codes."""
        found: dict[str, list[TicketFacts] | None] = {}
        for message in messages:
            if message.kind is MessageKind.PURCHASE:
                which = {"purchase_id": message.payload["purchaseId"], "event_id": message.event_id}
                rows = await (await connection.execute(sql.TICKETS, which, prepare=True)).fetchall()
                found[str(message.message_id)] = None
                with contextlib.suppress(SealError):
                    found[str(message.message_id)] = [self._ticket(row) for row in rows]
        return found

    def _ticket(self, row: tuple[Any, ...]) -> TicketFacts:
        facts, issued = ticket_facts(row)
        seat = (issued.ticket_type_id, issued.row_number, issued.seat_number)
        signed = SignedTicket(issued.event_id, issued.purchase_id, seat, issued.issue_number)
        return facts._replace(ticket=self._ticket_keys.sign(signed))

    async def _attempt(self, message: Taken, tickets: Sequence[TicketFacts] | None) -> dict[str, Any]:
        """Try once, and return the row that notes it."""
        providers = self._providers.get(message.channel, ())
        if not message.address or tickets is None:
            return self._row(message, MessageState.DEAD, "no key of this site opens its address, or its tickets")
        if message.is_suppressed:
            return self._row(message, MessageState.SKIPPED, "the address does not want it, or cannot get it")
        if message.is_late:
            return self._row(message, MessageState.SKIPPED, "it came too late to be of use")
        if (quiet_seconds := _quiet_seconds(message)) > 0:
            row = self._row(message, MessageState.QUEUED, "its reader wants to be left alone now")
            return {**row, "wait_seconds": quiet_seconds}
        if not providers:
            return self._row(message, MessageState.SKIPPED, f"this site sends no {message.channel}")
        if message.kind is MessageKind.PURCHASE and not tickets:
            return self._row(message, MessageState.SKIPPED, "the purchase has no tickets any more")
        try:
            letter = self._letter(message, tickets)
        except Exception as error:
            logger.exception("message %s cannot be written", message.message_id)
            return self._row(message, MessageState.DEAD, f"it cannot be written: {error!r}"[:300])
        tried, provider = await self._by_one_of(providers, message, letter)
        if tried.failure is None:
            return self._row(message, MessageState.SENT, "", provider, tried)
        if tried.failure in (Failure.REFUSED, Failure.GONE):
            return self._row(message, MessageState.FAILED, tried.error, provider, tried)
        if message.tries >= self._settings.tries_max:
            return self._row(message, MessageState.DEAD, tried.error, provider, tried)
        wait = retry_wait_seconds(self._settings, message.tries, tried.retry_after_seconds)
        wait *= random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads retries
        return self._row(message, MessageState.QUEUED, tried.error, provider, tried, wait)

    def _letter(self, message: Taken, tickets: Sequence[TicketFacts]) -> Written:
        occasion = Occasion(
            kind=message.kind,
            event_id=message.event_id,
            event=message.event,
            payload=message.payload,
            tickets=tickets,
            user_id=message.user_id,
        )
        return self._writer.write(occasion, message.channel, message.address, message.language)

    async def _by_one_of(self, providers: Sequence[Provider], message: Taken, letter: Written) -> tuple[Tried, str]:
        """Try the providers in turn until one takes or refuses the message; one that was just away comes last."""
        now = asyncio.get_running_loop().time()
        in_order = sorted(providers, key=lambda one: self._rests_until.get(one.name, 0.0) > now)
        tried, name = Tried(Failure.AWAY, "no provider"), ""
        for provider in in_order:
            tried, name = await provider.send(message, letter), provider.name
            if tried.failure is not Failure.AWAY:
                self._rests_until.pop(provider.name, None)
                break
            self._rests_until[provider.name] = asyncio.get_running_loop().time() + REST_SECONDS
            why = sql.without_address(tried.error, message.address)
            logger.warning("provider %s does not take messages: %s", provider.name, why)
        return tried, name

    @staticmethod
    def _row(
        message: Taken,
        state: MessageState,
        error: str,
        provider: str = "",
        tried: Tried | None = None,
        wait_seconds: float = 0,
    ) -> dict[str, Any]:
        return {
            "event_id": message.event_id,
            "message_id": message.message_id,
            "tries": message.tries,
            "state": state,
            "error": sql.without_address(error, message.address),
            "provider": provider,
            "provider_id": tried.provider_id if tried else "",
            "copy": tried.copy if tried else None,
            "wait_seconds": wait_seconds,
            "gone": tried is not None and tried.failure is Failure.GONE,
        }

    async def _write_down(self, connection: Connection, ended: Sequence[tuple[Taken, dict[str, Any]]]) -> None:
        """Write these down, and which addresses turned out to be gone, in one transaction."""
        rows = msgspec.json.encode([row for _, row in ended]).decode()
        async with connection.transaction():
            await connection.execute(sql.NOTE, {"rows": rows}, prepare=True)
            for message, row in ended:
                if not row["gone"]:
                    continue
                if message.channel == PUSH:
                    which = {"hash": hash_of(message.address), "event_id": message.event_id, "user_id": message.user_id}
                    await connection.execute(sql.DROP_SUBSCRIPTION, which, prepare=True)
                else:
                    suppressed = sql.suppression_row(
                        message.channel, message.address, "", SuppressionReason.BOUNCE, row["error"]
                    )
                    await connection.execute(sql.SUPPRESS, suppressed, prepare=True)

    async def close(self) -> None:
        """Break off the tries under way, which are made anew, and close what is open."""
        tries = list(self._tries)
        for task in tries:
            task.cancel()
        await asyncio.gather(*tries, return_exceptions=True)
        for providers in self._providers.values():
            for provider in providers:
                await provider.close()
