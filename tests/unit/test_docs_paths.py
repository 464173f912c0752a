"""The documents name files of this repository: a file that was moved is named by where it stands now."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
FOLDERS = "admitone|gateway|workers|queue|db|tests|bench|deploy|docs"
NAMED = re.compile(rf"(?<![\w/.])((?:{FOLDERS})/[\w./-]*\w\.(?:py|lua|js|md|yml|yaml|conf|json|svg|html))\b")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_files_that_a_document_names_exist(document: Path) -> None:
    named = set(NAMED.findall(document.read_text()))
    missing = sorted(name for name in named if not (ROOT / name).exists())
    assert not missing, missing
