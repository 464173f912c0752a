"""Seals rows that are plain, and seals rows anew with the newest key: a bounded number at a time, by their keys.

Each step is one transaction. A step that finds a row locked leaves it to a later run. On a Citus cluster a step is
about one event where the table is distributed, because no statement locks rows at several nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql
from psycopg.errors import UniqueViolation

from db.booking.ticket_codes import BEGINNING_CHARS, open_code, stored_code
from db.citus.tables import DISTRIBUTED
from db.messages.addresses import hash_of
from db.orders.answers import open_content, words_in
from db.sealing.keyring import PREFIX, PREFIX_BYTES, SealedField, SealError, keyring

HASH: Final = "address_hash"
CODE: Final = "ticket_code"
ORDERS: Final = "order_answers"
AUTHENTICATORS: Final = "operator_totp"


@dataclass(frozen=True, slots=True)
class SealedTable:
    """A table with sealed columns. ``keys`` and ``columns`` name Postgres' types.

    Attributes:
        address: the column whose hash is in ``address_hash``; empty where there is none.
    """

    name: str
    keys: Mapping[str, str]
    columns: Mapping[str, tuple[str, SealedField]]
    address: str = ""


_ADDRESS: Final = ("text", SealedField.ADDRESS)
_PUSH_KEY: Final = ("text", SealedField.PUSH_KEY)
_RECEIVER: Final = ("text", SealedField.RECEIVER)
_SECRET: Final = ("bytea", SealedField.WEBHOOK_SECRET)
_DRAW_KEY: Final = ("bytea", SealedField.DRAW_KEY)

# What an address does not want comes first: messages may only be sealed, and so be sent, once it can be looked up.
TABLES: Final = (
    SealedTable(
        "suppression", {"address": "text", "channel": "text", "kind": "text"}, {"address": _ADDRESS}, "address"
    ),
    SealedTable("quiet_hours", {"address": "text", "channel": "text"}, {"address": _ADDRESS}, "address"),
    SealedTable(
        "contact", {"event_id": "bigint", "user_id": "bigint", "channel": "text"}, {"address": _ADDRESS}, "address"
    ),
    SealedTable("follower", {"follower_id": "uuid"}, {"address": _ADDRESS}, "address"),
    SealedTable(
        "push_subscription",
        {"event_id": "bigint", "user_id": "bigint", "endpoint": "text"},
        {"endpoint": _ADDRESS, "p256dh": _PUSH_KEY, "auth": _PUSH_KEY},
        "endpoint",
    ),
    SealedTable(
        ORDERS,
        {"reservation_id": "uuid", "event_id": "bigint"},
        {"address": _ADDRESS, "content": ("text", SealedField.ORDER)},
        "address",
    ),
    SealedTable(
        "invoice",
        {"series": "text", "number": "bigint"},
        {"payer": ("text", SealedField.INVOICE), "mail": _ADDRESS},
    ),
    SealedTable("account", {"user_id": "bigint"}, {"mail": _ADDRESS}, "mail"),
    SealedTable("message", {"message_id": "uuid", "event_id": "bigint"}, {"address": _ADDRESS}, "address"),
    SealedTable(
        "alarm_receiver", {"receiver_id": "bigint"}, {"address": _RECEIVER, "p256dh": _RECEIVER, "auth": _RECEIVER}
    ),
    SealedTable("webhook_endpoint", {"endpoint_id": "bigint"}, {"secret": _SECRET, "secret_before": _SECRET}),
    SealedTable(
        "payment",
        {"payment_id": "uuid", "event_id": "bigint"},
        {"client_secret": ("text", SealedField.PAYMENT_SECRET)},
    ),
    SealedTable("draw", {"event_id": "bigint"}, {"seed": _DRAW_KEY, "fan_key": _DRAW_KEY}),
    SealedTable(AUTHENTICATORS, {"name": "text"}, {"secret": ("bytea", SealedField.AUTHENTICATOR)}),
    SealedTable(
        "purchase_detail",
        {
            "purchase_id": "uuid",
            "event_id": "bigint",
            "ticket_type_id": "int",
            "row_number": "int",
            "seat_number": "int",
        },
        {CODE: ("text", SealedField.TICKET_CODE)},
    ),
)
"""All tables with sealed columns, in the order in which their rows are sealed."""


@dataclass(slots=True)
class Sealed:
    """What was done to a table's rows. ``lost`` are rows that no key of this site opens; they stay as they are.
    ``twins`` are plain rows that were removed, because a sealed one said the same.
    """

    rows: int = 0
    lost: int = 0
    twins: int = 0

    def add(self, step: Sealed) -> None:
        self.rows += step.rows
        self.lost += step.lost
        self.twins += step.twins


def seal_plain(
    connection: psycopg.Connection[Any], rows_max: int, steps_max: int, *, is_citus: bool = False
) -> Mapping[str, Sealed]:
    """Seal the addresses, and the secrets of endpoints and receivers, that an older release wrote. Ticket codes are
    many and are left to `seal_anew`; authenticators of that release are not plain, and ``admitone data rotate`` opens
    them first.
    """
    done = {}
    for table in TABLES:
        if CODE in table.columns or table.name == AUTHENTICATORS:
            continue
        done[table.name] = sealed = Sealed()
        for number, step in enumerate(_steps(connection, table, rows_max, plain_only=True, is_citus=is_citus), 1):
            sealed.add(step)
            if number == steps_max:
                # A later table waits for this one.
                return done
    return done


def seal_anew(
    connection: psycopg.Connection[Any], rows_max: int, *, is_citus: bool = False
) -> Iterator[tuple[str, Sealed]]:
    """Seal every row with the newest key, and make the hashes of addresses anew; yields each step."""
    for table in TABLES:
        for step in _steps(connection, table, rows_max, plain_only=False, is_citus=is_citus):
            yield table.name, step


def _steps(
    connection: psycopg.Connection[Any], table: SealedTable, rows_max: int, *, plain_only: bool, is_citus: bool
) -> Iterator[Sealed]:
    if not is_citus or table.name not in DISTRIBUTED:
        yield from _steps_of(connection, table, rows_max, None, plain_only=plain_only)
        return
    for (event_id,) in connection.execute(_events(table, plain_only=plain_only)).fetchall():
        yield from _steps_of(connection, table, rows_max, event_id, plain_only=plain_only)


def _steps_of(
    connection: psycopg.Connection[Any], table: SealedTable, rows_max: int, event_id: int | None, *, plain_only: bool
) -> Iterator[Sealed]:
    """The steps of all rows, or of those of one event."""
    after: Sequence[Any] | None = None
    while True:
        with connection.transaction():
            found = connection.execute(
                _select(table, event_id, plain_only=plain_only, begins=after is None),
                {
                    "after": None if after is None else msgspec.json.encode([after_row(table, after)]).decode(),
                    "rows_max": rows_max,
                    "event_id": event_id,
                },
            ).fetchall()
            if not found:
                return
            after = found[-1][: len(table.keys)]
            step = Sealed()
            changed = [row for values in found if (row := _changed(table, values, step)) is not None]
            _write(connection, table, event_id, changed, step)
        yield step
        if len(found) < rows_max:
            return


def after_row(table: SealedTable, keys: Sequence[Any]) -> dict[str, Any]:
    """The key of a row as `_select` takes it."""
    return dict(zip(table.keys, keys, strict=True))


def _names(names: Sequence[str], prefix: str = "") -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(prefix, name) if prefix else sql.Identifier(name) for name in names)


def _typed(names: Mapping[str, str]) -> sql.Composed:
    return sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(kind)) for name, kind in names.items()
    )


def _wanting(table: SealedTable, *, plain_only: bool) -> sql.Composable:
    """The condition of the rows that may have to be sealed."""
    if table.address:
        known = sql.SQL("{} IS NOT NULL").format(sql.Identifier(table.address))
        return sql.SQL("{} AND address_hash IS NULL").format(known) if plain_only else known
    keys = keyring()
    conditions = []
    for name, (kind, sealed_field) in table.columns.items():
        mark: bytes | str
        mark = (
            (PREFIX_BYTES if plain_only else keys.mark_bytes)
            if kind == "bytea"
            else PREFIX
            if plain_only
            else keys.mark
        )
        begins = BEGINNING_CHARS + 1 if sealed_field is SealedField.TICKET_CODE else 1
        conditions.append(
            sql.SQL("(length({0}) > 0 AND substring({0} FROM {1} FOR {2}) <> {3})").format(
                sql.Identifier(name), sql.Literal(begins), sql.Literal(len(mark)), sql.Literal(mark)
            )
        )
    return sql.SQL(" OR ").join(conditions)


def _events(table: SealedTable, *, plain_only: bool) -> sql.Composed:
    """The events whose rows may have to be sealed. Every node of a cluster is asked."""
    return sql.SQL("SELECT DISTINCT event_id FROM {} WHERE {}").format(
        sql.Identifier(table.name), _wanting(table, plain_only=plain_only)
    )


def _of_event(event_id: int | None) -> sql.SQL:
    """The condition of one event's rows, in which the event is a parameter: so a cluster asks its node alone."""
    return sql.SQL("") if event_id is None else sql.SQL(" AND t.event_id = %(event_id)s")


def _select(table: SealedTable, event_id: int | None, *, plain_only: bool, begins: bool) -> sql.Composed:
    beyond = (
        sql.SQL("")
        if begins
        else sql.SQL(" AND ({}) > (SELECT {} FROM json_to_recordset(%(after)s) AS k ({}))").format(
            _names([*table.keys], "t"), _names([*table.keys], "k"), _typed(table.keys)
        )
    )
    hashed = [HASH] if table.address else []
    return sql.SQL(
        "SELECT {} FROM {} AS t WHERE ({}){}{} ORDER BY {} LIMIT %(rows_max)s FOR UPDATE SKIP LOCKED"
    ).format(
        _names([*table.keys, *table.columns, *hashed], "t"),
        sql.Identifier(table.name),
        _wanting(table, plain_only=plain_only),
        beyond,
        _of_event(event_id),
        _names([*table.keys], "t"),
    )


def _changed(table: SealedTable, values: Sequence[Any], step: Sealed) -> dict[str, Any] | None:
    """A row of the update; None where nothing is to be done, or no key opens the row."""
    keys = dict(zip(table.keys, values, strict=False))
    stored = dict(zip(table.columns, values[len(table.keys) :], strict=False))
    row: dict[str, Any] = {f"key_{name}": value for name, value in keys.items()}
    try:
        for name, (kind, sealed_field) in table.columns.items():
            row[name] = _sealed_anew(kind, sealed_field, stored[name])
        if not table.address:
            return row
        address = keyring().open(SealedField.ADDRESS, stored[table.address])
    except SealError:
        step.lost += 1
        return None
    before, now = values[-1], hash_of(address)
    if before == now and stored[table.address].startswith(keyring().mark):
        return None
    row[HASH] = "\\x" + now.hex()
    if table.name == "message":
        row["reached_before"] = address if before is None else bytes(before).hex()
        row["reached"] = now.hex()
    if table.name == ORDERS:
        row["words"] = ["\\x" + word.hex() for word in words_in(open_content(stored["content"]))]
    return row


def _sealed_anew(kind: str, sealed_field: SealedField, stored: Any) -> str | None:
    """A value as it is stored, sealed with the newest key, in the form that JSON takes to Postgres."""
    keys = keyring()
    if stored is None or len(stored) == 0:
        return None if stored is None else str(stored)
    if sealed_field is SealedField.AUTHENTICATOR and not bytes(stored).startswith(PREFIX_BYTES):
        raise SealError("an earlier release encrypted it, with a signing key that the site has no more")
    if kind == "bytea":
        return "\\x" + keys.seal_bytes(sealed_field, keys.open_bytes(sealed_field, bytes(stored))).hex()
    if sealed_field is SealedField.TICKET_CODE:
        return stored_code(open_code(stored))
    return keys.seal(sealed_field, keys.open(sealed_field, stored))


def _write(
    connection: psycopg.Connection[Any],
    table: SealedTable,
    event_id: int | None,
    rows: list[dict[str, Any]],
    step: Sealed,
) -> None:
    if not rows:
        return
    update = _update(table, event_id)
    try:
        with connection.transaction():
            connection.execute(update, {"rows": msgspec.json.encode(rows).decode(), "event_id": event_id})
        step.rows += len(rows)
        return
    except UniqueViolation:
        pass
    for row in rows:
        one = {"rows": msgspec.json.encode([row]).decode(), "event_id": event_id}
        try:
            with connection.transaction():
                connection.execute(update, one)
            step.rows += 1
        except UniqueViolation:
            connection.execute(_delete(table, event_id), one)
            step.twins += 1


def _update(table: SealedTable, event_id: int | None) -> sql.Composed:
    types = {f"key_{name}": kind for name, kind in table.keys.items()}
    types |= {name: kind for name, (kind, _) in table.columns.items()}
    changed = [*table.columns, *([HASH] if table.address else [])]
    sets: list[sql.Composable] = [sql.SQL("{0} = k.{0}").format(sql.Identifier(name)) for name in changed]
    if table.address:
        types[HASH] = "bytea"
    if table.name == "message":
        types |= {"reached_before": "text", "reached": "text"}
        sets.append(sql.SQL("dedup_key = replace(t.dedup_key, k.reached_before, k.reached)"))
    if table.name == ORDERS:
        types["words"] = "bytea[]"
        sets.append(sql.SQL("words = k.words"))
    return sql.SQL("UPDATE {} AS t SET {} FROM json_to_recordset(%(rows)s) AS k ({}) WHERE {}{}").format(
        sql.Identifier(table.name), sql.SQL(", ").join(sets), _typed(types), _same_key(table), _of_event(event_id)
    )


def _delete(table: SealedTable, event_id: int | None) -> sql.Composed:
    types = {f"key_{name}": kind for name, kind in table.keys.items()}
    return sql.SQL("DELETE FROM {} AS t USING json_to_recordset(%(rows)s) AS k ({}) WHERE {}{}").format(
        sql.Identifier(table.name), _typed(types), _same_key(table), _of_event(event_id)
    )


def _same_key(table: SealedTable) -> sql.Composed:
    return sql.SQL(" AND ").join(
        sql.SQL("t.{} = k.{}").format(sql.Identifier(name), sql.Identifier(f"key_{name}")) for name in table.keys
    )
