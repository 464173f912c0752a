"""docs/guarantees.md tells what the fault tests measured, and nothing else."""

from __future__ import annotations

from tests.faults.harness import Row, read_rows
from tests.faults.table import DOCUMENT, table, written


def test_the_document_has_the_table_of_the_rows() -> None:
    """After `make test-faults` it has; otherwise: python -m tests.faults.table --write."""
    document = DOCUMENT.read_text()
    assert table() in document
    assert written(document, table()) == document


def test_nothing_was_lost_or_doubled_and_nobody_overtaken() -> None:
    def broken(row: Row) -> bool:
        return (row.lost, row.doubled, row.overtaken) != (0, 0, 0)

    assert [row for row in read_rows() if broken(row)] == []
