"""The draw is fair: each fan is as likely to draw each place, whatever was done in the lobby."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from itertools import permutations

from waiting_room.draw import draw_value, drawn_order, fan_hash, seed_hash

FANS = 6
DRAWS = 12_000
CHI_SQUARE_999: dict[int, float] = {5: 20.52, 23: 49.73}
"""By degrees of freedom: what chance exceeds once in a thousand. With fixed seeds it does so always or never."""


def seeds(count: int) -> list[bytes]:
    return [hashlib.sha256(b"draw %d" % number).digest() for number in range(count)]


def chi_square(found: Counter[object], kinds: int, total: int) -> float:
    expected = total / kinds
    return sum((count - expected) ** 2 for count in found.values()) / expected + (kinds - len(found)) * expected


def test_the_formula_is_the_published_one() -> None:
    seed, key = bytes(range(32)), bytes(range(32, 64))
    fan = hmac.new(key, b"4503599627370495", hashlib.sha256).hexdigest()[:32]
    assert fan_hash(key, 4503599627370495) == fan == "cce0d22704d2c2473aba903db29c5862"
    assert draw_value(seed, fan).hex() == hmac.new(seed, fan.encode("ascii"), hashlib.sha256).hexdigest()
    assert seed_hash(seed) == hashlib.sha256(seed).hexdigest()


def test_every_fan_draws_every_place_equally_often() -> None:
    hashes = [fan_hash(b"key", fan) for fan in range(FANS)]
    places: list[Counter[object]] = [Counter() for _ in range(FANS)]
    for seed in seeds(DRAWS):
        for place, fan in enumerate(drawn_order(seed, hashes)):
            places[place][fan] += 1
    for found in places:
        assert chi_square(found, FANS, DRAWS) < CHI_SQUARE_999[FANS - 1]


def test_every_order_is_drawn_equally_often() -> None:
    hashes = [fan_hash(b"key", fan) for fan in range(4)]
    orders: Counter[object] = Counter(tuple(drawn_order(seed, hashes)) for seed in seeds(DRAWS))
    assert set(orders) == set(permutations(hashes))
    assert chi_square(orders, 24, DRAWS) < CHI_SQUARE_999[23]


def test_the_test_of_fairness_notices_an_order_of_arrival() -> None:
    """The negative control: one draw in twenty goes by who came first."""
    hashes = [fan_hash(b"key", fan) for fan in range(FANS)]
    first: Counter[object] = Counter()
    for number, seed in enumerate(seeds(DRAWS)):
        first[hashes[0] if number % 20 == 0 else drawn_order(seed, hashes)[0]] += 1
    assert chi_square(first, FANS, DRAWS) > CHI_SQUARE_999[FANS - 1]


def test_the_order_is_of_the_fans_and_not_of_their_coming() -> None:
    hashes = [fan_hash(b"key", fan) for fan in range(100)]
    (seed,) = seeds(1)
    order = drawn_order(seed, hashes)
    assert drawn_order(seed, reversed(hashes)) == order
    without = drawn_order(seed, hashes[:50] + hashes[60:])
    assert without == [fan for fan in order if fan in set(without)], "who is not there moves nobody past another"


def test_events_have_their_own_hashes() -> None:
    assert fan_hash(b"one", 7) != fan_hash(b"two", 7)
