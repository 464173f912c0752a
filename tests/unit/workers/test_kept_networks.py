"""Counts of networks are kept for a moment, far from their bounds, and only of the version that they were kept with."""

from __future__ import annotations

from workers.engine.kept_networks import KEPT_SECONDS, NEVER, KeptNetworks, NetworkCounts

EVENT, VERSION, SEATS_MAX = 7, 41, 40


class Kept:
    def __init__(self) -> None:
        self.seconds = 1000.0
        self.networks = KeptNetworks(lambda: self.seconds)

    def keep(self, **seats: int) -> None:
        counts = NetworkCounts()
        for network, number in seats.items():
            counts.put(network, number, 0.0, self.seconds)
        self.networks.keep(EVENT, VERSION, counts, SEATS_MAX)


def test_what_is_fresh_and_far_from_its_bound_is_kept() -> None:
    kept = Kept()
    kept.keep(few=20, many=21)
    assert kept.networks.version_of(EVENT, "few") == VERSION
    assert kept.networks.version_of(EVENT, "many") == kept.networks.version_of(EVENT, "unknown") == NEVER
    kept.seconds += KEPT_SECONDS - 0.1
    assert kept.networks.version_of(EVENT, "few") == VERSION
    kept.seconds += 0.1
    assert kept.networks.version_of(EVENT, "few") == NEVER, "read anew, because holds lapse"


def test_a_batch_takes_the_counts_of_its_own_version_once() -> None:
    kept = Kept()
    kept.keep(few=3)
    assert kept.networks.take(EVENT, VERSION).seats == {"few": 3}
    assert kept.networks.take(EVENT, VERSION).seats == {}, "a batch that fails puts nothing back"
    kept.keep(few=3)
    assert kept.networks.take(EVENT, VERSION + 1).seats == {}
    assert kept.networks.version_of(EVENT, "few") == NEVER


def test_what_let_many_seats_end_unbought_is_read_each_time() -> None:
    kept = Kept()
    counts = NetworkCounts()
    counts.put("hoarder", 0, SEATS_MAX / 2 + 1, kept.seconds)
    kept.networks.keep(EVENT, VERSION, counts, SEATS_MAX)
    assert kept.networks.version_of(EVENT, "hoarder") == NEVER


def test_what_nears_its_bound_in_a_later_batch_is_kept_no_more() -> None:
    kept = Kept()
    kept.keep(few=10, other=3)
    counts = kept.networks.take(EVENT, VERSION)
    counts.add("few", 11)
    counts.add("unread", 5)
    kept.networks.keep(EVENT, VERSION + 1, counts, SEATS_MAX)
    assert kept.networks.version_of(EVENT, "few") == kept.networks.version_of(EVENT, "unread") == NEVER
    assert kept.networks.version_of(EVENT, "other") == VERSION + 1


def test_what_is_not_fresh_is_forgotten_in_time() -> None:
    kept = Kept()
    kept.keep(old=3)
    kept.seconds += KEPT_SECONDS + 1
    counts = kept.networks.take(EVENT, VERSION)
    counts.put("new", 3, 0.0, kept.seconds)
    kept.networks.keep(EVENT, VERSION, counts, SEATS_MAX)
    assert counts.seats == {"new": 3}
