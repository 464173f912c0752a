"""The passes that this gateway process has verified, so that a pass is verified once and then found by its bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from waiting_room.limits import address_prefix
from waiting_room.model import News

PASSES_MAX: Final = 50_000
"""About 40 MB; of more the oldest are verified again."""
ENDED_MAX: Final = 100_000
NETWORKS_MAX: Final = 8
"""A pass, with all that it was renewed to, is used from so many networks at most: a phone changes them, a crowd that
shares one has more."""
ADDRESSES_MAX: Final = 64


@dataclass(slots=True)
class Crowd:
    """From where a pass and its renewals were used."""

    addresses: set[str] = field(default_factory=set)
    networks: set[str] = field(default_factory=set)

    def takes(self, address: str) -> bool:
        """Note the address; False if that makes too many networks."""
        network = address_prefix(address)
        if network not in self.networks:
            if len(self.networks) >= NETWORKS_MAX:
                return False
            self.networks.add(network)
        if len(self.addresses) >= ADDRESSES_MAX:
            self.addresses.clear()
        self.addresses.add(address)
        return True


@dataclass(slots=True)
class SeenPass:
    """A pass that was verified.

    Attributes:
        agent: the ``User-Agent`` that it is bound to, whole.
        good_until: until then it is good without another look, Unix time.
        ends: of the token itself, Unix time.
        is_refused: it is signed, and is refused all the same.
    """

    event_id: int
    fan: int
    agent: bytes
    good_until: float
    ends: int
    crowd: Crowd = field(default_factory=Crowd)
    is_refused: bool = False


class SeenPasses:
    """The verified passes, in bounded memory, and what the line said of passes that ended.

    A pass may have ended before this process began to listen, or while it heard nothing. So the first look at a pass
    that was signed before ``heard_from`` asks Redis.
    """

    def __init__(self, now: float) -> None:
        self.heard_from = now
        self.by_token: dict[bytes, SeenPass] = {}
        self._tokens: dict[tuple[int, int], set[bytes]] = {}
        self._ended: dict[tuple[int, int], float] = {}

    def keep(self, token: bytes, seen: SeenPass) -> None:
        if len(self.by_token) >= PASSES_MAX and token not in self.by_token:
            self._drop(next(iter(self.by_token)))
        self.by_token[token] = seen
        self._tokens.setdefault((seen.event_id, seen.fan), set()).add(token)

    def _drop(self, token: bytes) -> None:
        seen = self.by_token.pop(token)
        tokens = self._tokens[seen.event_id, seen.fan]
        tokens.discard(token)
        if not tokens:
            del self._tokens[seen.event_id, seen.fan]

    def must_ask(self, event_id: int, fan: int, signed_at: int) -> bool:
        """Whether the line may have ended the pass since it was signed."""
        # A second holds a signature and an end in either order.
        return signed_at <= max(self.heard_from, self._ended.get((event_id, fan), 0.0))

    def end(self, event_id: int, fan: int, now: float) -> None:
        """The fan's slot has ended: what was signed for it before is good no more."""
        for token in [*self._tokens.get((event_id, fan), ())]:
            self._drop(token)
        if len(self._ended) >= ENDED_MAX:
            self._ended.clear()
            self.heard_from = now
        self._ended[event_id, fan] = now

    def on_news(self, news: News, now: float) -> None:
        """Take the line's word of fans who are inside no more."""
        for fan in (*(fan for fan, _ in news.ended), *news.waiting):
            self.end(news.event, fan, now)

    def forget(self, now: float) -> None:
        """Verify and ask anew: news may have been missed, or the keys changed."""
        self.by_token.clear()
        self._tokens.clear()
        self._ended.clear()
        self.heard_from = now
