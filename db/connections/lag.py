"""How far a replica is behind the primary, measured without comparing two clocks.

A mark is a position in the primary's log, with the moment at which it was asked for. A replica that has replayed the
position has everything that was committed before that moment. So a primary that writes nothing is no lag, and a replica
that is cut off from its primary is found out even though both still answer us.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, LiteralString

PRIMARY_AT: Final[LiteralString] = "SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint"
"""The primary's position. A server in recovery refuses this."""
REPLICA_AT: Final[LiteralString] = """
SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END
"""
"""The replica's position; null for a server that is no standby, or not any more."""
MARKS_MAX: Final = 1024


class Lag:
    """What is known of one replica; every moment is the caller's own monotonic clock, in seconds.

    Attributes:
        caught_up_at: the replica has everything that was committed before this moment; -inf if that is not known.
    """

    def __init__(self) -> None:
        self.caught_up_at = -math.inf
        self._marks: deque[tuple[float, int]] = deque(maxlen=MARKS_MAX)
        self._replica_at = 0

    def on_primary(self, asked_at: float, position: int) -> None:
        """Note the primary's position, which was asked for at ``asked_at``."""
        if position < self._replica_at:
            # After a failover the replica may have what the new primary lost. It then follows nobody, and only the
            # number of its position looks as if it had caught up.
            self.forget()
            return
        if not self._marks or self._marks[-1][1] < position:
            self._marks.append((asked_at, position))
        else:
            self._marks[-1] = (asked_at, position)

    def on_replica(self, position: int | None) -> None:
        """Note the replica's position; None where it is no standby."""
        if position is None:
            self.forget()
            return
        self._replica_at = position
        while self._marks and self._marks[0][1] <= position:
            self.caught_up_at = self._marks.popleft()[0]

    def seconds(self, now: float) -> float:
        """How old a read of the replica may be; infinite while that is not known."""
        return now - self.caught_up_at

    def forget(self) -> None:
        """Take the replica for one of which nothing is known."""
        self.caught_up_at = -math.inf
        self._marks.clear()
