"""Migrations make one chain, along which their numbers grow. A gateway compares them as text, to see whether the
database has come to its own: `gateway.health.readiness.PostgresLook`. It finds nothing amiss in one that is ahead.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from db.migrate import MIGRATIONS

MIGRATION = "revision = {revision!r}\ndown_revision = {before!r}\n"


def chain(folder: Path) -> list[str]:
    """The revisions in the order in which they are applied."""
    return [script.revision for script in ScriptDirectory(str(folder)).walk_revisions()][::-1]


def faults(folder: Path) -> list[str]:
    """What readiness would get wrong."""
    revisions = chain(folder)
    found = [
        f"{revision} has not four digits" for revision in revisions if len(revision) != 4 or not revision.isdigit()
    ]
    found += [f"{after} comes after {before}" for before, after in itertools.pairwise(revisions) if after <= before]
    names = {path.name[1:5] for path in (folder / "versions").glob("r*.py")}
    return found + [f"no file has the name of {revision}" for revision in revisions if revision not in names]


def test_numbers_grow_along_the_chain_and_each_file_has_its_own() -> None:
    assert len(chain(MIGRATIONS)) > 40
    assert len(ScriptDirectory(str(MIGRATIONS)).get_heads()) == 1
    assert faults(MIGRATIONS) == []


@pytest.mark.parametrize(
    ("chained", "fault"),
    [
        (["0001", "0003", "0002"], "0002 comes after 0003"),
        (["0009", "010"], "010 has not four digits"),
        (["0099", "00100"], "00100 comes after 0099"),
    ],
)
def test_a_number_that_does_not_grow_is_found(tmp_path: Path, chained: list[str], fault: str) -> None:
    (tmp_path / "versions").mkdir()
    for before, revision in zip([None, *chained], chained, strict=False):
        file = tmp_path / "versions" / f"r{revision}_a.py"
        file.write_text(MIGRATION.format(revision=revision, before=before))
    assert fault in faults(tmp_path)
