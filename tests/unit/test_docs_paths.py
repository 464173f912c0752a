"""The documents name files of this repository: a file that was moved is named by where it stands now."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from admitone.settings import ROWS
from db.tables.metadata import METADATA

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = "admitone|gateway|workers|queue|db|tests|bench|deploy|docs"
NAMED = re.compile(rf"(?<![\w/.])((?:{FOLDERS})/[\w./-]*\w\.(?:py|lua|js|md|yml|yaml|conf|json|svg|html))\b")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_that_a_document_names_exist(document: Path) -> None:
    named = set(NAMED.findall(document.read_text()))
    missing = sorted(name for name in named if not (ROOT / name).exists())
    assert not missing, missing


def test_every_threat_has_a_defence_and_a_test() -> None:
    rows = [line.split("|")[1:-1] for line in (ROOT / "SECURITY.md").read_text().splitlines() if line.startswith("| ")]
    head, *threats = rows
    assert [cell.strip() for cell in head] == ["threat", "defence", "test"]
    assert len(threats) > 15
    for threat, defence, tests in threats:
        assert defence.strip(), threat
        assert re.search(r"`tests/[\w/]+\.py`", tests), threat


def test_every_table_with_a_fans_data_is_in_the_page_on_privacy() -> None:
    page = (ROOT / "docs" / "privacy.md").read_text()
    personal = {
        table.name for table in METADATA.sorted_tables if {"user_id", "address_hash"} & set(table.columns.keys())
    }
    assert {name for name in personal if f"`{name}`" not in page} == set()
    variables = {row.variable for row in ROWS}
    named = set(re.findall(r"`(ADMITONE_\w+)`", page))
    assert named <= variables, named - variables
    assert {name for name in variables if name.startswith("ADMITONE_KEEP_")} <= named
