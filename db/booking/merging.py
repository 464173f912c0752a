"""What a fan has of an event becomes another fan's, because the accounts of the two were joined (ADR 157)."""

from __future__ import annotations

from typing import Any, Final

from db.lanes.maps import OF_LANE

MERGE_AFTER_SECONDS: Final = 3
"""What an account has is moved so long after it was joined to another: by then no gateway takes its sessions, and the
news of what it bought have found its addresses.
"""
MERGED_AT_ONCE_MAX: Final = 100

MERGING: Final = """
SELECT user_id, merged_into
  FROM account
 WHERE merged_into IS NOT NULL AND merge_done_at IS NULL
   AND merged_at < clock_timestamp() - make_interval(secs => %(after_seconds)s)
 ORDER BY merged_at
 LIMIT %(accounts_max)s
"""
"""The accounts that are being joined, and to which others."""

EVENTS_OF_MERGING: Final = f"""
SELECT event_id, user_id FROM reservation WHERE user_id = ANY (%(user_ids)s) AND {OF_LANE}
 UNION
SELECT event_id, user_id FROM purchase WHERE user_id = ANY (%(user_ids)s) AND {OF_LANE}
 UNION
SELECT event_id, holder_user_id FROM purchase_detail WHERE holder_user_id = ANY (%(user_ids)s) AND {OF_LANE}
 UNION
SELECT event_id, user_id FROM ticket_issue WHERE user_id = ANY (%(user_ids)s) AND {OF_LANE}
 UNION
SELECT event_id, user_id FROM waiting_entry WHERE user_id = ANY (%(user_ids)s) AND {OF_LANE}
 UNION
SELECT event_id, user_id FROM order_answers WHERE user_id = ANY (%(user_ids)s) AND {OF_LANE}
 LIMIT %(events_max)s
"""  # noqa: S608 - of constants alone
"""The events of a lane at which an account that is being joined still has something of which a batch decides."""

_OF_TABLE: Final = """
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, from_user_id bigint, user_id bigint)
 WHERE t.event_id = k.event_id AND t.user_id = k.from_user_id
"""

WRITE_MERGED_HOLDS: Final = f"""
UPDATE reservation t
   SET user_id = k.user_id, merged_from = t.merged_from || k.from_user_id {_OF_TABLE}
"""  # noqa: S608 - of constants alone

WRITE_MERGED_PURCHASES: Final = f"""
UPDATE purchase t
   SET user_id = k.user_id {_OF_TABLE}
"""  # noqa: S608 - of constants alone

WRITE_MERGED_TICKETS: Final = """
UPDATE purchase_detail t
   SET holder_user_id = nullif(k.user_id, (SELECT p.user_id
                                             FROM purchase p
                                            WHERE p.purchase_id = t.purchase_id AND p.event_id = t.event_id))
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, from_user_id bigint, user_id bigint)
 WHERE t.event_id = k.event_id AND t.holder_user_id = ANY (ARRAY[k.from_user_id, k.user_id])
"""
"""Comes after the purchases: a ticket that one of the two handed to the other is that fan's again who bought it."""

WRITE_MERGED_ISSUES: Final = f"""
UPDATE ticket_issue t
   SET user_id = k.user_id {_OF_TABLE}
"""  # noqa: S608 - of constants alone

WRITE_MERGED_PAYMENTS: Final = f"""
UPDATE payment t
   SET user_id = k.user_id {_OF_TABLE}
"""  # noqa: S608 - of constants alone

WRITE_MERGED_ENTRIES: Final = f"""
UPDATE waiting_entry t
   SET user_id = k.user_id {_OF_TABLE}
"""  # noqa: S608 - of constants alone

WRITE_MERGED_ANSWERS: Final = f"""
UPDATE order_answers t
   SET user_id = k.user_id {_OF_TABLE}
"""  # noqa: S608 - of constants alone


def merged_row(event_id: int, from_user_id: int, user_id: int) -> dict[str, Any]:
    """A row of the statements."""
    return {"event_id": event_id, "from_user_id": from_user_id, "user_id": user_id}
