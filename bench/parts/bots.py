"""Fans and bots at one sale: what share of the seats bots get, whom the limits meet, and what fans feel.

Each network has an address of its own in 127.0.0.0/8, and nothing is exempt. Bots act on the API as a program does that
wants seats and not to pay: no proof before it must, proofs without a session, the whole limit each time. Fans act as
the page does: a challenge asked for with the session, a proof again where one is demanded.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from playwright.async_api import Browser

from admitone.fan.captcha import solve
from admitone.fan.http import Broken, HttpClient, Reply
from bench import fans as halls
from bench.parts import chromium
from bench.report import Part
from bench.servers import System
from db.events.seed import RoomSeed

LIMIT: Final = 10
THINK_SECONDS: Final = (0.2, 1.0)
SAMPLE_SECONDS: Final = 0.3
TRIES_MAX: Final = 40
DEFENCES: Final = halls.GUARD_DEFAULTS | {
    "ADMITONE_SESSIONS_PER_MINUTE": "12000",
    "ADMITONE_HOLD_SECONDS": "8",
    "ADMITONE_HOLD_GRACE_SECONDS": "1",
}
"""The defaults, which the other parts raise; and a hold that lapses within the measurement."""
PLAIN, HIDDEN = "chromium", "chromium that hides it"
"""Bots in a real browser, by whether it says that it is steered."""
FANS: Final = ("fan", "campus", "carrier", "refresher")
CARRIER_NETWORKS: Final = 4
"""So many networks share all telephones of a carrier."""
SMALL_SLOTS: Final = 100
SMALL_LINE: Final = 200
SMALL_SECONDS_MAX: Final = 45.0
"""The room in which a bot joins without pause, and for how long."""
ASKED: Final = frozenset({"captcha_required", "too_many_holds", "rate_limited", "conduct_refused"})


SMALL: Final = "a bot that joins a small room"
CAMPUS: Final = "a campus behind one address"


@dataclass
class Session:
    """One session of a fan or a bot, and what became of it."""

    role: str
    client: HttpClient
    event_id: int
    token: str = ""
    admission: str = ""
    seats: int = 0
    was_asked: bool = False
    refused: str = ""
    has_place: bool = False
    waits_ms: dict[str, float] = field(default_factory=dict)

    async def ask(self, step: str, method: str, path: str, body: object = None, *, captcha: str = "") -> Reply:
        headers = "Accept: application/json\r\nPrefer: wait=10\r\n"
        if self.token:
            headers += f"Authorization: Bearer {self.token}\r\n"
        if self.admission:
            headers += f"X-Admission-Pass: {self.admission}\r\n"
        if captcha:
            headers += f"X-Captcha-Token: {captcha}\r\n"
        data = None if body is None else msgspec.json.encode(body)
        began = time.perf_counter()
        reply = await self.client.call(self.client.request(method, path, headers, data))
        self.waits_ms[step] = (time.perf_counter() - began) * 1000
        if code_of(reply) in ASKED:
            self.was_asked = True
        return reply

    async def arrive(self) -> bool:
        self.token = (await self.ask("session", "POST", "/api/session")).document().get("token", "")
        return bool(self.token)

    async def enter(self, *, proves: bool) -> bool:
        """Join, and wait for the pass; return whether the session is inside."""
        body: dict[str, Any] = {}
        for _ in range(TRIES_MAX):
            place = await self.ask("join", "POST", f"/api/queue/{self.event_id}", body)
            body = {}
            if code_of(place) == "captcha_required":
                if not proves:
                    return False
                body = {"captchaToken": await self.proof("join")}
                continue
            state = place.document().get("state")
            if state == "called":
                place = await self.ask("claim", "POST", f"/api/queue/{self.event_id}/claim")
            self.admission = place.document().get("pass") or ""
            if self.admission:
                return True
            if "sold_out" in (state, code_of(place)):
                self.refused = "sold_out"
                return False
            if state == "closed":
                return False
            await asyncio.sleep(0.3)
        return False

    async def proof(self, action: str, *, of_session: bool = True) -> str:
        kept = self.token
        if not of_session:
            self.token = ""
        query = f"?eventId={self.event_id}&action={action}" if of_session else ""
        challenge = (await self.ask("challenge", "GET", f"/api/captcha/challenge{query}")).document()
        self.token = kept
        return solve(challenge) or ""

    async def hold(self, quantity: int, *, proves: bool) -> str | None:
        """The reservation's id; None where it was refused."""
        body: dict[str, Any] = {"eventId": self.event_id, "bestAvailable": {"ticketTypeId": 1, "quantity": quantity}}
        captcha = ""
        for _ in range(2):
            job = await self.ask("reserve", "POST", "/api/reserve", body, captcha=captcha)
            if job.document().get("status") == "succeeded":
                return str(job.document()["result"]["reservationId"])
            self.refused = code_of(job)
            if self.refused != "captcha_required" or not proves:
                return None
            captcha = await self.proof("reserve")
        return None

    async def buy(self, reservation_id: str, quantity: int, *, of_session: bool, solved: str = "") -> bool:
        body = {"eventId": self.event_id, "reservationId": reservation_id}
        token = solved or await self.proof("checkout", of_session=of_session)
        job = await self.ask("checkout", "POST", "/api/checkout", {**body, "captchaToken": token})
        if job.document().get("status") != "succeeded":
            self.refused = code_of(job)
            return False
        self.seats += quantity
        return True


def code_of(reply: Reply) -> str:
    document = reply.document()
    return str(document.get("code") or document.get("problem", {}).get("code") or "")


class Sale:
    """One sale with its fans and bots."""

    def __init__(self, url: str, event_id: int, seats: int, seconds: float) -> None:
        self.url = url
        self.event_id = event_id
        self.seats = seats
        self.ends_at = time.monotonic() + seconds
        self.sessions: list[Session] = []
        self.clients: dict[str, HttpClient] = {}
        self.chance = random.Random(7)
        self.free: list[int] = []

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.ends_at or bool(self.free and not self.free[-1])

    def session(self, role: str, address: str) -> Session:
        client = self.clients.setdefault(address, HttpClient(self.url, connections_max=24, sources=(address,)))
        made = Session(role, client, self.event_id)
        self.sessions.append(made)
        return made

    async def fan(self, role: str, address: str, starts_in: float, *, reloads: int = 0) -> None:
        await asyncio.sleep(starts_in)
        fan = self.session(role, address)
        try:
            if not await fan.arrive():
                fan.refused = "no session"
                return
            for _ in range(reloads):
                await fan.ask("again", "POST", f"/api/queue/{self.event_id}", {})
            if not await fan.enter(proves=True):
                fan.refused = fan.refused or "not let in"
                return
            for quantity in (2, 2, 1):
                await asyncio.sleep(self.chance.uniform(*THINK_SECONDS))
                held = await fan.hold(quantity, proves=True)
                if held and await fan.buy(held, quantity, of_session=True):
                    fan.refused = ""
                    return
                if fan.refused in ("sold_out", "no_block") and self.is_over:
                    return
        except Broken as broken:
            fan.refused = str(broken)

    async def scalper(self, role: str, address: str) -> None:
        """Session after session, each takes its whole limit and buys it."""
        while not self.is_over:
            bot = self.session(role, address)
            try:
                if not await bot.arrive() or not await bot.enter(proves=False):
                    await asyncio.sleep(1)
                    continue
                held = await bot.hold(LIMIT, proves=False)
                if held is None or not await bot.buy(held, LIMIT, of_session=False):
                    await asyncio.sleep(0.5)
            except Broken:
                await asyncio.sleep(1)

    async def solver(self, role: str, address: str) -> None:
        """A scalper who solves the proofs of its sessions, that of the checkout ahead of the seats."""
        while not self.is_over:
            bot = self.session(role, address)
            try:
                if not await bot.arrive() or not await bot.enter(proves=True):
                    await asyncio.sleep(1)
                    continue
                ahead = await bot.proof("checkout")
                held = await bot.hold(LIMIT, proves=True)
                if held is None or not await bot.buy(held, LIMIT, of_session=True, solved=ahead):
                    await asyncio.sleep(0.5)
            except Broken:
                await asyncio.sleep(1)

    async def joiner(self, role: str, address: str) -> None:
        """Session after session takes a place and does nothing with it."""
        while not self.is_over:
            bot = self.session(role, address)
            try:
                if await bot.arrive():
                    place = await bot.ask("join", "POST", f"/api/queue/{self.event_id}", {})
                    bot.has_place = place.status == 201
                if not bot.has_place:
                    await asyncio.sleep(0.1)
            except Broken:
                await asyncio.sleep(1)

    async def chromium(self, role: str, address: str, browser: Browser, *, hides: bool) -> None:
        """Session after session in a real browser, each for its whole limit."""
        while not self.is_over:
            bot = self.session(role, address)
            bot.token = role

            def refuse(code: str, bot: Session = bot) -> None:
                bot.refused = code
                bot.was_asked |= code in ASKED

            url = f"{self.url}/events/{self.event_id}"
            if await chromium.buy(browser, url, address, LIMIT, hides=hides, on_problem=refuse):
                bot.seats += LIMIT

    async def hoarder(self, role: str, address: str) -> None:
        """Holds its limit, lets it lapse, and holds it again; a new session where the old one is asked for a proof."""
        bot: Session | None = None
        while not self.is_over:
            try:
                if bot is None:
                    bot = self.session(role, address)
                    if not await bot.arrive() or not await bot.enter(proves=False):
                        bot = None
                        await asyncio.sleep(1)
                        continue
                if await bot.hold(LIMIT, proves=False) is None:
                    bot = None if bot.refused in ASKED or bot.refused == "not_admitted" else bot
                    await asyncio.sleep(0.5)
            except Broken:
                await asyncio.sleep(1)

    async def watch(self) -> None:
        client = HttpClient(self.url, connections_max=2, sources=("127.250.1.1",))
        while time.monotonic() < self.ends_at:
            reply = await client.call(client.request("GET", f"/api/initial-call/{self.event_id}", ""))
            self.free.append(sum(one["availableCount"] for one in reply.document().get("tickets", [])))
            if self.free[-1] == 0:
                return
            await asyncio.sleep(SAMPLE_SECONDS)


async def _sell(sale: Sale, fans_count: int, mix: dict[str, int], over_seconds: float, campus: int) -> None:
    """Let so many fans come over that time, so many more from a campus, and the bots of ``mix`` all the while."""
    tasks = [asyncio.create_task(sale.watch())]
    for number in range(campus):
        at = sale.chance.uniform(0, over_seconds)
        tasks.append(asyncio.create_task(sale.fan("campus", f"127.200.1.{number % 250 + 1}", at)))
    for number in range(fans_count):
        kind = number % 5
        at = sale.chance.uniform(0, over_seconds)
        if kind == 0:
            tasks.append(asyncio.create_task(sale.fan("campus", f"127.200.1.{number % 250 + 1}", at)))
        elif kind == 1:
            address = f"127.210.{number % CARRIER_NETWORKS + 1}.{number % 250 + 1}"
            tasks.append(asyncio.create_task(sale.fan("carrier", address, at)))
        else:
            reloads = 8 if kind == 2 else 0
            address = f"127.{100 + number // 200}.{number % 200 + 1}.9"
            tasks.append(asyncio.create_task(sale.fan("refresher" if reloads else "fan", address, at, reloads=reloads)))
    in_browsers = any(role in (PLAIN, HIDDEN) for role in mix)
    async with contextlib.AsyncExitStack() as closing:
        browsers = await closing.enter_async_context(chromium.launched()) if in_browsers else {}
        tasks += [
            asyncio.create_task(_bot(sale, role, network, browsers))
            for role, networks in mix.items()
            for network in range(networks)
        ]
        await asyncio.gather(*tasks)


async def _bot(sale: Sale, role: str, network: int, browsers: Mapping[bool, Browser]) -> None:
    if role in (PLAIN, HIDDEN):
        hides = role == HIDDEN
        await sale.chromium(role, f"198.{18 + hides}.{network + 1}.9", browsers[hides], hides=hides)
        return
    acts = {"hoarder": sale.hoarder, "solver": sale.solver, "joiner": sale.joiner}
    act = next((acts[kind] for kind in acts if role.startswith(kind)), sale.scalper)
    base = 20 + sum(map(ord, role)) % 60
    await act(role, f"127.{base}.{network % 250 + 1}.{network // 250 + 1}")


def _hoarded_max(system: System, event_id: int, sale: Sale) -> int:
    """The most seats that hoarders' holds had at a moment, by the times of the holds themselves."""
    of_hoarders = [one for one in sale.sessions if one.role.startswith("hoarder") and one.token]
    if not of_hoarders:
        return 0
    with system.connect() as connection:
        rows = connection.execute(
            """
            SELECT created_at, coalesce(ended_at, expires_at), cardinality(seat_numbers)
              FROM reservation WHERE event_id = %s AND state <> 'purchased' AND cardinality(seat_numbers) = %s
            """,
            (event_id, LIMIT),
        ).fetchall()
    changes = sorted([(begins, seats) for begins, _, seats in rows] + [(ends, -seats) for _, ends, seats in rows])
    most = now = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def measure(system: System, *, fans_count: int, seats: int, seconds: float, campus: int = 0, browsers: int = 0) -> Part:
    """Sell a hall to fans and each mix of bots, one hall after the other.

    Args:
        campus: so many fans of one address more come to a sale of their own, whose hall has seats for them; 0: none.
        browsers: so many bots in real Chromium have a sale of their own; 0: none.
    """
    part = Part("bots")
    # Halls have whole rows, and shares are of the hall that there is.
    seats = -(-seats // halls.SEATS_OF_ROW) * halls.SEATS_OF_ROW
    gateway = system.gateways(1, place_seconds=None, unguarded=False, **DEFENCES, **chromium.TRUSTED)[0]
    system.worker(ADMITONE_HOLD_SECONDS="8", ADMITONE_HOLD_GRACE_SECONDS="1")
    host, port = gateway.address
    mixes: dict[str, dict[str, int]] = {
        "no bots": {},
        "scalper of one address": {"scalper1": 1},
        "scalpers of 30 prefixes": {"scalper30": 30},
        "scalpers of 300 prefixes": {"scalper300": 300},
        "scalpers of 30 prefixes who solve": {"solver30": 30},
        "hoarders of 3 prefixes": {"hoarder3": 3},
        "one bot for each fan": {"scalper": fans_count // 2, "hoarder": fans_count // 2},
        "ten bots a fan": {"scalper": 10, "hoarder": 10},
        SMALL: {"joiner1": 1},
    }
    if campus:
        mixes[CAMPUS] = {"scalper30": 30}
    if browsers:
        chromium.require()
        mixes["bots in Chromium"] = {PLAIN: -(-browsers // 2), HIDDEN: browsers // 2}
    for name, mix in mixes.items():
        with system.connect() as connection:
            room = RoomSeed(rate_per_minute=60_000, capacity=2_000, line_cap=10_000)
            if name == SMALL:
                room = RoomSeed(rate_per_minute=6_000, capacity=SMALL_SLOTS, line_cap=SMALL_LINE)
            more = campus if name == CAMPUS else 0
            # Five for each of the campus.
            in_hall = seats + 100 * -(-more // 20)
            event_id = halls.new_event(connection, in_hall, room)
        # Joins count by the minute.
        lasts = min(seconds, SMALL_SECONDS_MAX) if name == SMALL else seconds
        sale = Sale(f"http://{host}:{port}", event_id, in_hall, lasts)
        asyncio.run(_sell(sale, fans_count, mix, seconds / 3, more))
        if not any(one.seats for one in sale.sessions):
            raise RuntimeError(f"{name}: nobody bought: {Counter(one.refused for one in sale.sessions)}")
        _report(part, name, sale, _hoarded_max(system, event_id, sale), event_id)
    return part


def _report(part: Part, name: str, sale: Sale, hoarded: int, event_id: int) -> None:
    fans = [one for one in sale.sessions if one.role in FANS]
    bots = [one for one in sale.sessions if one not in fans]
    of_bots = sum(one.seats for one in bots)
    if name == SMALL:
        places = sum(1 for one in bots if one.has_place)
        part.add(f"{name}: places", 100 * places / (SMALL_SLOTS + SMALL_LINE), "%", "of the room", None, "≤ 25")
    if any(one.role.startswith(("scalper", "solver", PLAIN)) for one in bots):
        aim = {"scalper of one address": f"≤ {2 * LIMIT}"}.get(name, "")
        proves = any(one.role.startswith(("solver", PLAIN)) for one in bots)
        what = "solving the page's proofs" if proves else "without proofs of a session"
        part.add(f"{name}: seats", of_bots, "", what, None, aim)
        share_aim = "≤ 10" if name == "scalpers of 30 prefixes" else ""
        part.add(f"{name}: share of the hall", 100 * of_bots / sale.seats, "%", "", None, share_aim)
    if any(one.role.startswith("hoarder") for one in bots):
        aim = "≤ 5" if name.startswith("hoarders") else ""
        part.add(f"{name}: blocked at most", 100 * hoarded / sale.seats, "%", "of the seats at a time", None, aim)
    refused = [one for one in fans if one.refused and one.refused not in ("sold_out", "no_block", "seats_taken")]
    part.add(
        f"{name}: fans refused", 100 * len(refused) / max(1, len(fans)), "%", "not for want of seats", None, "≤ 0.1"
    )
    flagged = [one for one in sale.sessions if one.was_asked]
    right = sum(1 for one in flagged if one in bots)
    if bots:
        part.add(
            f"{name}: precision", 100 * right / max(1, len(flagged)), "%", "bots of those asked or refused", None, ""
        )
        acted = [one for one in bots if one.token]
        part.add(f"{name}: recall", 100 * right / max(1, len(acted)), "%", "of the bots' sessions", None, "")
    for step in ("join", "reserve", "checkout"):
        waits = sorted(one.waits_ms[step] for one in fans if step in one.waits_ms)
        if waits:
            part.add(f"{name}: fans' {step} p95", waits[int(len(waits) * 0.95)], "ms", "", None, "")
    part.details[name] = {
        "eventId": event_id,
        "fans": len(fans),
        "fansBought": sum(1 for one in fans if one.seats),
        "fansAsked": sum(1 for one in fans if one.was_asked),
        "fansRefused": dict(Counter(one.refused for one in refused)),
        "botSessions": len(bots),
        "botsRefused": dict(Counter(one.refused for one in bots if one.refused)),
    }
