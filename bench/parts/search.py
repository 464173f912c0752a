"""Search over 100,000 events: half of the queries are of the day's favourites, half were never asked before."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import time
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

import psycopg

from admitone.embedded.process import last_lines
from bench.client import request
from bench.load import open_loop, repeat
from bench.parts.edge import reached
from bench.processes import Apart
from bench.report import Part
from bench.servers import Program, System
from bench.stats import Load, percentile
from db.search.writing import index_events

EVENTS: Final = 100_000
PER_SECOND: Final = 200.0
FAVOURITES: Final = 500
AIM_MS: Final = 20
WARM_SECONDS: Final = 5.0
INDEXED_AT_ONCE: Final = 2_000
MEMORY_SECONDS_MAX: Final = 120.0
READ: Final = "events are searched in memory"
"""What a gateway logs once it has read them; before, Postgres answers, and the process has less time for it."""

_SYLLABLES: Final = """
ba be bi bo bra bri bro ca ce chi cho cla cro da de di do dra dre el en fa fe fi flo fra ga ge gi glo gra ha he hi ho
ja jo ka ke ki klo kra la le li lo lu ma me mi mo mu na ne ni no nu o pa pe pi po pra ra re ri ro ru sa se si so sta ste
stro ta te ti to tra tri tu u va ve vi vo wa we wi wo ya za ze zi zo
"""
_ENDINGS: Final = ["n", "r", "s", "t", "l", "ck", "nd", "nt", "rd", "st", "x", "m"] + [""] * 8
_KINDS: Final = ("Band", "Quartet", "Orchestra", "Trio", "Collective", "Ensemble", "", "", "", "", "", "")
_SHOWS: Final = ("Live", "World Tour", "Unplugged", "in Concert", "Open Air", "Winter Tour", "Spring Tour", "The Album")
_HALLS: Final = ("Halle", "Hall", "Arena", "Theater", "Club", "Stadion", "Opera", "Philharmonie")
_TAGS: Final = ("rock", "pop", "jazz", "classical", "metal", "folk", "comedy", "musical", "family", "techno", "hip-hop",
                "opera", "ballet", "blues", "latin", "indie")  # fmt: skip
_MONTHS: Final = ("january", "march", "may", "june", "august", "october", "december")


class World:
    """Made-up artists, venues and towns. A few of each have most of the events, as it is in life."""

    def __init__(self, seed: int = 94) -> None:
        self.chance = random.Random(seed)
        self._syllables = _SYLLABLES.split()
        words = sorted({self._word() for _ in range(24_000)})
        self.chance.shuffle(words)
        title = [word.title() for word in words]
        self.artists = [self._artist(title) for _ in range(15_000)]
        self.towns = title[:400]
        self.venues = [
            (f"{self.chance.choice(title)} {self.chance.choice(_HALLS)}", self._few(self.towns)) for _ in range(3_000)
        ]
        self.songs = title

    def _word(self) -> str:
        chance = self.chance
        return "".join(chance.choices(self._syllables, k=chance.choice((2, 2, 3, 3, 4)))) + chance.choice(_ENDINGS)

    def _artist(self, words: list[str]) -> str:
        parts = self.chance.sample(words, self.chance.choice((1, 2, 2, 2, 3)))
        return " ".join([*parts, self.chance.choice(_KINDS)]).strip()

    def _few(self, things: list[Any]) -> Any:
        """One of them, the first ones much more often."""
        return things[min(int(len(things) ** self.chance.random()), len(things)) - 1]

    def events(self, count: int) -> Iterator[tuple[object, ...]]:
        """Rows of ``event`` for `COPY_EVENTS`."""
        chance, now = self.chance, dt.datetime.now(dt.UTC)
        for _ in range(count):
            venue, town = self.venues[int(len(self.venues) * chance.random() ** 2)]
            artist = self.artists[int(len(self.artists) * chance.random() ** 2)]
            date = now + dt.timedelta(days=chance.uniform(-60, 500))
            on_sale_at = now + dt.timedelta(days=chance.uniform(-120, 30))
            name = f"{chance.choice(self.songs)} {chance.choice(_SHOWS)}"
            tags = chance.sample(_TAGS, chance.choice((1, 2)))
            yield name, artist, venue, town, tags, date, "Europe/Berlin", min(on_sale_at, date), "EUR"

    def queries(self) -> Iterator[str]:
        """Texts as fans type them, without an end."""
        chance = self.chance
        while True:
            match chance.randrange(10):
                case 0 | 1 | 2:
                    yield chance.choice(self.artists)
                case 3 | 4:
                    yield self._misspelt(chance.choice(self.artists))
                case 5:
                    yield chance.choice(self.artists)[: chance.randint(3, 7)]
                case 6:
                    yield chance.choice(self.venues)[0]
                case 7:
                    yield f"{chance.choice(_TAGS)} {self._few(self.towns)}"
                case 8:
                    yield f"{chance.choice(self.artists)} {self._few(self.towns)}"
                case _:
                    yield f"{chance.choice(self.songs)} {chance.choice(_MONTHS)}"

    def _misspelt(self, text: str) -> str:
        at = self.chance.randrange(1, max(2, len(text) - 1))
        left, right = text[:at], text[at:]
        return self.chance.choice((left + right[1:], left + right[1:2] + right[:1] + right[2:], left + "e" + right))


COPY_EVENTS: Final = """
COPY event (name, artist, venue, town, tags, date, time_zone, on_sale_at, currency) FROM STDIN
"""

ADD_TICKETS: Final = """
INSERT INTO ticket (event_id, ticket_type_id, ticket_type, price, quantity, available_count)
SELECT event_id, k, 'Price ' || k, 1500 + (event_id * 37 + k * 2500) % 12000, 200,
       CASE WHEN event_id % 7 = 0 THEN 0 ELSE 150 END
  FROM event, generate_series(1, 2) AS k
"""


def load(connection: psycopg.Connection[Any], world: World, count: int) -> None:
    """Write so many events with two ticket types each, but without seats, and what is found of them."""
    with connection.cursor() as cursor, cursor.copy(COPY_EVENTS) as copy:
        for row in world.events(count):
            copy.write_row(row)
    connection.execute(ADD_TICKETS)
    event_ids = [row[0] for row in connection.execute("SELECT event_id FROM event ORDER BY event_id")]
    for first in range(0, len(event_ids), INDEXED_AT_ONCE):
        with connection.transaction():
            index_events(connection, event_ids[first : first + INDEXED_AT_ONCE])
    connection.execute("VACUUM ANALYZE event, ticket, event_search, search_word")


def _requests(texts: Iterator[str]) -> Iterator[bytes]:
    for text in texts:
        yield request("GET", f"/api/events?sort=relevance&facets=true&q={quote(text)}")


def _await_memory(gateway: Program) -> float:
    """Wait until a gateway that just started finds events in its memory; gives its processor time so far.

    Raises:
        RuntimeError: it does not in time.
    """
    until = time.monotonic() + MEMORY_SECONDS_MAX
    while READ not in gateway.log.read_text():
        if time.monotonic() > until:
            raise RuntimeError(f"the gateway did not read its events:\n{last_lines(gateway.log)}")
        time.sleep(0.2)
    return gateway.use().cpu_seconds


def measure(system: System, *, seconds: float = 20.0, events: int = EVENTS, per_second: float = PER_SECOND) -> Part:
    """Queries a second over HTTP, half of them favourites and half new: how long each kind takes."""
    part = Part("search")
    world = World()
    with system.connect() as connection:
        load(connection, world, events)
    (gateway,) = system.gateways()
    part.add("events into a gateway's memory", _await_memory(gateway), "s", note="processor time of its start")
    texts = dict.fromkeys(
        itertools.islice(world.queries(), int(FAVOURITES + per_second * (seconds + WARM_SECONDS) * 2))
    )
    favourites, fresh = list(texts)[:FAVOURITES], iter(list(texts)[FAVOURITES:])
    chance = random.Random(17)
    popular = (favourites[int(FAVOURITES ** chance.random()) - 1] for _ in itertools.count())
    flows = (
        flow
        for pair in zip(repeat("popular", _requests(popular)), repeat("cold", _requests(fresh)), strict=False)
        for flow in pair
    )
    asked, used = reached(gateway), system.uses()
    measured: Load = Apart(
        lambda: open_loop(
            [gateway.address],
            flows,
            per_second=per_second,
            seconds=seconds,
            connections_max=400,
            warm_seconds=WARM_SECONDS,
        )
    ).result()
    count = max(1, (reached(gateway) - asked)["/api/events"])
    for name, use in system.uses().items():
        cost = (use.cpu_seconds - used[name].cpu_seconds) / count
        note = f"processor time with all else that it does, over {count:,} queries"
        part.add(f"a query at {name}", cost * 1000, "ms", note=note)
    for step in ("popular", "cold"):
        took = sorted(measured.steps[step].seconds) if step in measured.steps else []
        part.add(
            f"{step} queries over {events:,} events, p95",
            percentile(took, 0.95) * 1000,
            "ms",
            aim=f"≤ {AIM_MS}",
            note=f"{measured.rate(step, '200'):.0f}/s, p50 {percentile(took, 0.5) * 1000:.1f} ms",
        )
    every = sorted([*measured.steps["popular"].seconds, *measured.steps["cold"].seconds])
    part.add("all queries, p95", percentile(every, 0.95) * 1000, "ms", aim=f"≤ {AIM_MS}")
    part.details = {"load": measured.document(), "uses": {name: use.cpu_seconds for name, use in system.uses().items()}}
    system.stop(gateway)
    return part
