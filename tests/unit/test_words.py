"""Words that docs/words.md has put away do not come back into the product's code."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("admitone", "gateway", "workers", "queue", "db")


def put_away() -> list[str]:
    """The names in the last column of the table of things."""
    text = (ROOT / "docs" / "words.md").read_text()
    things = text.split("## Things")[1].split("## Verbs")[0]
    rows = [line for line in things.splitlines() if line.startswith("| ") and not line.startswith("| word")]
    return [name for row in rows for name in re.findall(r"`([a-z_]+)`", row.rstrip("|").rpartition("|")[2])]


def test_the_table_lists_names() -> None:
    assert {"watcher", "befell"} <= set(put_away())


def test_no_name_that_was_put_away_is_in_the_code() -> None:
    pattern = re.compile(rf"\b(?:{'|'.join(put_away())})(?:s|ed)?\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for folder in PRODUCT
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in {".py", ".lua", ".js", ".html"} and "vendor" not in path.parts
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)
