"""Counts of networks are kept for a while, far from their bounds, and only of the version that they were kept with."""

from __future__ import annotations

from workers.engine.kept_networks import (
    EVENTS_KEPT_MAX,
    KEPT_SECONDS,
    NETWORKS_KEPT_MAX,
    KeptNetworks,
    NetworkCounts,
)

EVENT, VERSION, SEATS_MAX = 7, 41, 40


class Kept:
    def __init__(self) -> None:
        self.seconds = 1000.0
        self.networks = KeptNetworks(lambda: self.seconds)

    def keep(self, event: int = EVENT, **seats: int) -> None:
        counts = NetworkCounts()
        for network, number in seats.items():
            counts.put(network, number, 0.0, self.seconds)
        self.networks.keep(event, VERSION, counts, SEATS_MAX)

    def due(self, *networks: str) -> set[str]:
        """Which of them the next batch reads; it keeps what it has."""
        counts = self.networks.take(EVENT, VERSION)
        due = set(self.networks.due(counts, {*networks}))
        self.networks.keep(EVENT, VERSION, counts, SEATS_MAX)
        return due


def test_what_is_fresh_and_far_from_its_bound_is_kept() -> None:
    kept = Kept()
    kept.keep(few=20, many=21)
    assert kept.due("few", "many", "unknown") == {"many", "unknown"}
    kept.seconds += KEPT_SECONDS - 0.1
    assert kept.due("few") == set()
    kept.seconds += 0.1
    assert kept.due("few") == {"few"}, "read anew, because holds lapse"


def test_a_batch_takes_the_counts_of_its_own_version_once() -> None:
    kept = Kept()
    kept.keep(few=3)
    assert kept.networks.take(EVENT, VERSION).seats == {"few": 3}
    assert kept.networks.take(EVENT, VERSION).seats == {}, "a batch that fails puts nothing back"
    kept.keep(few=3)
    assert kept.networks.take(EVENT, VERSION + 1).seats == {}


def test_what_let_many_seats_end_unbought_is_read_each_time() -> None:
    kept = Kept()
    counts = NetworkCounts()
    counts.put("hoarder", 0, SEATS_MAX / 2, kept.seconds)
    kept.networks.keep(EVENT, VERSION, counts, SEATS_MAX)
    assert kept.due("hoarder") == {"hoarder"}


def test_what_nears_its_bound_in_a_later_batch_is_kept_no_more() -> None:
    kept = Kept()
    kept.keep(few=10, other=3)
    counts = kept.networks.take(EVENT, VERSION)
    counts.add("few", 11)
    counts.add("unread", 5)
    kept.networks.keep(EVENT, VERSION, counts, SEATS_MAX)
    assert kept.due("few", "unread", "other") == {"few", "unread"}


def test_seats_that_are_given_back_may_count_as_unbought_and_are_read_when_they_are_many() -> None:
    kept = Kept()
    kept.keep(churns=0)
    for times in range(1, 3):
        counts = kept.networks.take(EVENT, VERSION)
        counts.add("churns", 10)
        counts.give_back("churns", 10)
        assert counts.seats["churns"] == 0
        kept.networks.keep(EVENT, VERSION, counts, SEATS_MAX)
        assert kept.due("churns") == (set() if times == 1 else {"churns"})
    kept.keep(churns=0)
    assert kept.due("churns") == set(), "Postgres knows for how much of them it answers"


def test_only_so_many_are_kept_and_the_event_that_was_kept_first_goes_first() -> None:
    kept = Kept()
    kept.keep(few=3)
    for event in range(100, 100 + EVENTS_KEPT_MAX):
        kept.keep(event, few=3)
    assert kept.due("few") == {"few"}
    kept.keep(few=3)
    kept.keep(8, **{f"n{number}": 1 for number in range(NETWORKS_KEPT_MAX)})
    assert kept.due("few") == {"few"}
    assert len(kept.networks.take(8, VERSION).seats) == NETWORKS_KEPT_MAX
    kept.keep(few=3)
    assert kept.due("few") == set()
