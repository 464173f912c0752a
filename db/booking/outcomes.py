"""Recorded outcomes of commands: a batch that runs twice repeats the answers of its first run."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

READ_OUTCOMES: Final = """
SELECT c.command_id, c.event_id, c.user_id, c.kind, c.body_hash, c.outcome::text
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, command_id uuid)
  JOIN booking_command c USING (event_id, command_id)
"""


class OutcomeRow(NamedTuple):
    """``body`` is JSON: `{"status": "succeeded", "result": …}` or `{"status": "failed", "problem": …}`."""

    command_id: uuid.UUID
    event_id: int
    user_id: int
    kind: str
    body_hash: bytes
    body: bytes


def outcome_row(row: Sequence[Any]) -> OutcomeRow:
    command_id, event_id, user_id, kind, body_hash, body = row
    return OutcomeRow(command_id, event_id, user_id, kind, bytes(body_hash), body.encode())


WRITE_OUTCOMES: Final = """
INSERT INTO booking_command (event_id, command_id, kind, user_id, body_hash, outcome, recorded_at)
SELECT k.event_id, k.command_id, k.kind, k.user_id, k.body_hash, k.outcome::jsonb, %(now)s
  FROM json_to_recordset(%(rows)s)
       AS k (event_id bigint, command_id uuid, kind text, user_id bigint, body_hash bytea,
             outcome json)
"""

RECORD_OUTCOMES: Final = WRITE_OUTCOMES + "ON CONFLICT DO NOTHING\n"


def new_outcome(
    command_id: uuid.UUID, event_id: int, user_id: int, kind: str, body_hash: bytes, body: bytes
) -> dict[str, Any]:
    """A row of `WRITE_OUTCOMES`."""
    return {
        "event_id": event_id,
        "command_id": command_id,
        "kind": kind,
        "user_id": user_id,
        "body_hash": "\\x" + body_hash.hex(),
        "outcome": msgspec.Raw(body),
    }
