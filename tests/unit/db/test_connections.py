"""No product code but `db.connections` makes a connection to Postgres."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PRODUCT = ("admitone", "gateway", "workers", "queue", "db")
MAKERS = ROOT / "db/connections"
FORBIDDEN_IMPORTS = {"create_engine", "create_async_engine", "AsyncConnectionPool", "ConnectionPool"}
ALLOWED = ("primary", "replica", "look")


def modules() -> Iterator[Path]:
    for folder in PRODUCT:
        yield from (path for path in sorted((ROOT / folder).rglob("*.py")) if MAKERS not in path.parents)


def makes_connections(source: str) -> list[str]:
    """What in a module's source makes a connection to Postgres: imports of makers, and calls of ``connect`` with
    arguments on anything but the three doors (SQLAlchemy's ``engine.connect()`` takes from a pool and has none).
    """
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("db.connections"):
            found += [alias.name for alias in node.names if alias.name in FORBIDDEN_IMPORTS]
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and (node.func.attr in FORBIDDEN_IMPORTS or (node.func.attr == "connect" and (node.args or node.keywords)))
            and not (isinstance(node.func.value, ast.Name) and node.func.value.id in ALLOWED)
        ):
            found.append(ast.unparse(node.func))
    return found


def test_only_the_three_doors_make_connections() -> None:
    found = {str(path.relative_to(ROOT)): makes_connections(path.read_text()) for path in modules()}
    assert {path: names for path, names in found.items() if names} == {}
    assert len(found) > 150


@pytest.mark.parametrize(
    "source",
    [
        "import psycopg\npsycopg.connect(url)",
        "await psycopg.AsyncConnection.connect(url, autocommit=True)",
        "from sqlalchemy import create_engine",
        "from sqlalchemy.ext.asyncio import create_async_engine",
        "from psycopg_pool import AsyncConnectionPool",
        "import sqlalchemy\nsqlalchemy.create_engine(url)",
    ],
)
def test_another_maker_is_found(source: str) -> None:
    assert makes_connections(source)


def test_no_lock_is_a_sessions() -> None:
    """Through a pooler it would belong to whatever comes next (`db.connections.alone`)."""
    of_a_session = re.compile(r"pg_(try_)?advisory_(un)?lock")
    assert [str(path) for path in modules() if of_a_session.search(path.read_text())] == []


def test_every_connection_has_a_name_that_the_doctor_knows() -> None:
    """`admitone doctor` counts connections of other programs by their names."""
    names: list[object] = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id in ALLOWED
                and node.func.attr in ("connect", "connect_async", "pool")
            ):
                assert isinstance(node.args[1], ast.Constant), ast.unparse(node)
                names.append(node.args[1].value)
    assert names
    assert [name for name in names if not str(name).startswith("admitone-")] == []
