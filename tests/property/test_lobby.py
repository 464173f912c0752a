"""Whatever fans do in a lobby, whatever Redis loses and whoever draws: the order is the seed's, newcomers behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.property.scripts import SMALL, START_MS, Change, Scripts, Valkey
from waiting_room import operations
from waiting_room.draw import drawn_order, fan_hash
from waiting_room.keys import room_keys
from waiting_room.model import RoomConfig, Standing
from waiting_room.tokens import PlaceToken

EVENT = 42
SALE_MS = START_MS + 60_000
EPOCH = SALE_MS // 1000
CONFIG = RoomConfig(rate_per_minute=0, draw_at_ms=SALE_MS, lobby_at_ms=START_MS)
SEED, FAN_KEY = bytes(32), bytes(range(32))

fans = st.integers(1, 9)
in_lobby = st.lists(st.tuples(st.sampled_from(["join", "join", "leave", "lose"]), fans), max_size=30)
in_draw = st.lists(st.tuples(st.sampled_from(["join", "leave", "place", "place", "stale", "list"]), fans), max_size=25)


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, socket_timeout=10) as client:
        yield client


class Sale:
    """A lobby, its fans' tokens, and what should come of it."""

    def __init__(self, client: Redis, *changes: Change) -> None:
        self.valkey = Valkey(client, Scripts(*SMALL, *changes))
        self.valkey.do(operations.configure(EVENT, CONFIG))
        self.lobby: dict[int, PlaceToken] = {}
        self.behind: list[int] = []

    def lose(self) -> None:
        """Redis loses all, and everybody shows the token, the last to come first."""
        self.valkey.client.delete(*room_keys(EVENT))
        self.valkey.do(operations.configure(EVENT, CONFIG, 1, 0))
        for fan in reversed(list(self.lobby)):
            standing = self.valkey.do(operations.join(EVENT, fan, self.lobby[fan]))
            assert (standing.state, standing.joined) == ("lobby", "restored")

    def act(self, what: str, fan: int) -> None:
        """Before the on-sale."""
        self.valkey.set_clock(self.valkey.now_ms + 1)
        if what == "join":
            standing = self.valkey.do(operations.join(EVENT, fan, None))
            assert (standing.state, standing.shown) == ("lobby", 0)
            self.lobby.setdefault(fan, token_of(fan, standing))
        elif what == "leave":
            assert self.valkey.do(operations.leave(EVENT, fan)) == (self.lobby.pop(fan, None) is not None)
        else:
            self.lose()

    def draw(self, between: list[tuple[str, int]], size: int) -> list[int]:
        """The draw, with other things between its chunks; who took part, in the drawn order."""
        self.valkey.set_clock(SALE_MS)
        hashes = {fan_hash(FAN_KEY, fan): fan for fan in self.listed(size)}
        order = [hashes[one] for one in drawn_order(SEED, hashes)]
        assert sorted(order) == sorted(self.lobby)
        rest = iter(between)
        at, done = 1, False
        while not done:
            what, fan = next(rest, ("place", 0))
            if what == "join":
                known = fan in self.lobby or fan in self.behind
                standing = self.valkey.do(operations.join(EVENT, fan, None))
                assert (standing.joined == "known", standing.shown) == (known, 0)
                self.behind += [] if known else [fan]
            elif what == "leave":
                self.valkey.do(operations.leave(EVENT, fan))
                self.lobby.pop(fan, None)
                self.behind = [one for one in self.behind if one != fan]
            elif what == "list":
                self.listed(size)
            else:
                # Another gateway, which has not heard, may send what was placed already.
                first = at if what == "place" else max(1, at - size)
                chunk = order[first - 1 : first - 1 + size]
                last = first - 1 + size >= len(order)
                told = self.valkey.do(operations.place_drawn(EVENT, EPOCH, first, chunk, last=last))
                assert told is not None
                at, done = told.next_number, told.done
        return order

    def listed(self, size: int) -> list[int]:
        found: list[int] = []
        after = 0
        while (page := self.valkey.do(operations.lobby_page(EVENT, after, size))) is not None:
            found += [int(fan) for fan in page.fans]
            if page.last:
                return found
            after = page.after
        raise AssertionError("no draw is due")

    def check(self, order: list[int]) -> None:
        """In line stand those who are left, as drawn, and behind them who came later."""
        due = [fan for fan in order if fan in self.lobby] + self.behind
        assert self.valkey.do(operations.positions(EVENT, due)).ranks == list(range(len(due)))
        counts = self.valkey.do(operations.counts(EVENT))
        assert (counts.waiting, counts.lobby, counts.draw, counts.state) == (len(due), 0, "done", "open")
        for fan in self.lobby:
            standing = self.valkey.do(operations.standing(EVENT, fan, touch=False))
            assert (standing.epoch, standing.number) == (EPOCH, order.index(fan) + 1)


def token_of(fan: int, standing: Standing) -> PlaceToken:
    assert standing.joined_at_ms is not None
    return PlaceToken(
        event=EVENT,
        fan=fan,
        epoch=standing.epoch,
        number=standing.number,
        joined_at_ms=standing.joined_at_ms,
        session="",
        lobby=True,
    )


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=in_lobby, between=in_draw, size=st.integers(1, 4))
def test_the_order_is_the_seeds(
    client: Redis, before: list[tuple[str, int]], between: list[tuple[str, int]], size: int
) -> None:
    sale = Sale(client)
    for what, fan in before:
        sale.act(what, fan)
    sale.check(sale.draw(between, size))


@pytest.mark.parametrize(
    "change",
    [
        Change("place_drawn", "if first ~= room.drawn + 1 then", "if false then"),
        Change("place_drawn", "if inside[i] then", "if places[i] then"),
        Change("room", "if room.draw_at_ms > 0 and now >= room.draw_at_ms and room.epoch", "if false and room.epoch"),
    ],
    ids=["any chunk is taken", "who came back behind is moved to the front", "newcomers get an epoch of the lobby"],
)
def test_each_guard_is_needed(client: Redis, change: Change) -> None:
    """The negative controls: with the guard off the same check fails."""
    before = [("join", fan) for fan in range(1, 7)]
    between = [("place", 0), ("stale", 0), ("leave", 3), ("join", 3), ("join", 8), ("leave", 1), ("join", 1)]
    Sale(client).act("join", 1)
    sale = Sale(client)
    for what, fan in before:
        sale.act(what, fan)
    sale.check(sale.draw(between, 2))
    Scripts(change)("place_drawn")  # what is exchanged is there
    sabotaged = Sale(client, change)
    for what, fan in before:
        sabotaged.act(what, fan)
    with pytest.raises(AssertionError):
        sabotaged.check(sabotaged.draw(between, 2))
