"""The newest revision of the tables that this code knows, found without loading Alembic."""

from __future__ import annotations

from pathlib import Path


def head() -> str:
    """The number of the newest migration, e.g. "0002": what `db.migrate.migrate` brings a database to."""
    versions = Path(__file__).parent.with_name("migrations") / "versions"
    return max(path.name for path in versions.glob("r*_*.py"))[1:].partition("_")[0]
