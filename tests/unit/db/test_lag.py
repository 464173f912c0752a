"""How far a replica is behind, from positions in two logs and one clock."""

from __future__ import annotations

import math

from db.connections.lag import Lag


def test_a_replica_has_what_was_committed_before_the_mark_that_it_reached() -> None:
    lag = Lag()
    assert lag.seconds(10.0) == math.inf, "nothing is known yet"
    lag.on_primary(10.0, 100)
    lag.on_replica(100)
    assert lag.seconds(10.5) == 0.5
    lag.on_primary(11.0, 200)
    lag.on_primary(12.0, 300)
    lag.on_replica(250)
    assert lag.seconds(13.0) == 2.0, "it is at the mark of 11.0, and not at that of 12.0"
    lag.on_replica(300)
    assert lag.seconds(13.0) == 1.0


def test_a_primary_that_writes_nothing_is_no_lag() -> None:
    lag = Lag()
    for second in range(1000):
        lag.on_primary(second, 100)
        lag.on_replica(100)
    assert lag.seconds(1000.0) == 1.0


def test_a_replica_that_stands_still_falls_behind() -> None:
    lag = Lag()
    for second in range(1, 61):
        lag.on_primary(second, 100 * second)
        lag.on_replica(100)
    assert lag.seconds(61.0) == 60.0


def test_a_server_that_is_no_standby_is_not_read() -> None:
    lag = Lag()
    lag.on_primary(1.0, 100)
    lag.on_replica(100)
    lag.on_replica(None)
    assert lag.seconds(2.0) == math.inf


def test_a_replica_that_is_ahead_of_a_new_primary_is_never_taken_for_fresh() -> None:
    """It has what the new primary has lost, and stands still until somebody makes it follow."""
    lag = Lag()
    lag.on_primary(1.0, 500)
    lag.on_replica(500)
    for second, position in ((2.0, 400), (3.0, 450), (4.0, 499), (5.0, 510), (6.0, 600)):
        lag.on_primary(second, position)
        lag.on_replica(500)
        assert lag.seconds(second) == math.inf, position
    lag.on_replica(600)
    assert lag.seconds(7.0) == 1.0, "it follows the new primary"
