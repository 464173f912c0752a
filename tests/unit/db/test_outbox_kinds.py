"""The kinds of news are named once, and the page that tells receivers of them says the same."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from db.outbox.kinds import OutboxKind, RoomSoldOut, RoomSteered
from db.outbox.writer import insert_news

ROOT = Path(__file__).parents[3]
PRODUCT = ("admitone", "gateway", "workers", "queue", "db")


def test_the_page_for_receivers_lists_every_kind_as_it_is() -> None:
    rows = [
        (kind.value, kind.when, ", ".join(field.encode_name for field in msgspec.structs.fields(kind.payload)))
        for kind in OutboxKind
    ]
    page = (ROOT / "docs/webhooks.md").read_text()
    assert re.findall(r"^\| `([a-z_.]+)` \| (.+) \| `(.+)` \|$", page, re.MULTILINE) == rows


def modules_with(pattern: str) -> list[str]:
    """The product's modules whose text has the pattern, but for migrations, which are history."""
    paths = (path for folder in PRODUCT for path in sorted((ROOT / folder).rglob("*.py")))
    found = [str(path.relative_to(ROOT)) for path in paths if re.search(pattern, path.read_text())]
    return [path for path in found if not path.startswith("db/migrations/")]


def test_no_other_module_names_a_kind() -> None:
    words = "|".join(re.escape(kind) for kind in OutboxKind)
    assert modules_with(rf"[\"']({words})[\"']") == ["db/outbox/kinds.py"]


def test_no_other_module_writes_into_the_outbox() -> None:
    assert modules_with(r"(?i)insert\s+into\s+outbox|insert\(Outbox\)") == ["db/outbox/writer.py"]


def test_a_payload_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match=r"room\.paused says RoomSteered, not RoomSoldOut"):
        insert_news(OutboxKind.ROOM_PAUSED, [RoomSoldOut(event_id=1)])


def test_a_row_says_what_the_payload_says() -> None:
    _, parameters = insert_news(OutboxKind.ROOM_PAUSED, [RoomSteered(event_id=1, state="paused", revision=7)])
    (row,) = msgspec.json.decode(parameters["rows"])
    assert parameters["kind"] == "room.paused"
    assert row["payload"] == {"eventId": 1, "state": "paused", "revision": 7}
