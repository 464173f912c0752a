"""The form of a statement that is about one event alone, for the coordinator of a Citus cluster.

Some statements serve the rows of many events, which travel in one parameter. Citus does not look into that parameter,
so it would ask every node. The form for one event gives the event as a parameter of its own, ``event_id``.

Where a subquery names its event by a column of another table, Citus cannot follow. There the text has a comment that
becomes a condition in the form for one event: ``/* of one event: AND t.event_id = @ */``.
"""

from __future__ import annotations

import functools
import re
from typing import Final

_ROWS: Final = re.compile(r"json_to_recordset\(%\(rows\)s\)(\s+)AS k \(event_id bigint,\s*([^()]+)\)")
_CONDITION: Final = re.compile(r"/\* of one event: ([^@*]+)@ \*/")


@functools.cache
def of_one_event(statement: str) -> str:
    """The statement, with ``%(event_id)s`` in place of the events that its rows name."""
    statement = _ROWS.sub(
        r"(SELECT %(event_id)s::bigint AS event_id, r.*\1   FROM json_to_recordset(%(rows)s) AS r (\2)) AS k", statement
    )
    return _CONDITION.sub(r"\1%(event_id)s::bigint", statement)
