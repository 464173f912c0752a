"""Each migration says whether gateways and workers of the release before may serve while it runs and after it, and
none does what would fail them.

``while_serving`` in its file is "safe"; or "safe: " and why, where it takes away what the release before may use.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from db.migrate import MIGRATIONS

FILES = sorted((MIGRATIONS / "versions").glob("r*.py"))
TAKES_AWAY = frozenset({"drop_table", "drop_column", "rename_table"})


def said(tree: ast.Module) -> str | None:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "while_serving":
            assert isinstance(node.value, ast.Constant)
            return str(node.value.value)
    return None


def dangers(tree: ast.Module) -> Iterator[str]:
    """What ``upgrade`` does that may fail statements of the release before."""
    (upgrade,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "upgrade"]
    for node in ast.walk(upgrade):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).removeprefix("op.")
        given = {keyword.arg for keyword in node.keywords}
        if name in TAKES_AWAY:
            yield name
        elif name == "alter_column" and given & {"new_column_name", "type_"}:
            yield "a column that is renamed or of another type"
        elif name == "add_column" and _is_required(node):
            yield "a column that must be given and has no default"


def _is_required(added: ast.Call) -> bool:
    columns = [arg for arg in added.args if isinstance(arg, ast.Call) and ast.unparse(arg.func).endswith("Column")]
    for column in columns:
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in column.keywords}
        kinds = [ast.unparse(arg.func) for arg in column.args if isinstance(arg, ast.Call)]
        has_own = "server_default" in given or any(kind.endswith(("Identity", "Computed")) for kind in kinds)
        if given.get("nullable") == "False" and not has_own:
            return True
    return False


def fault(source: str) -> str:
    """Why a migration is refused; empty for one that is not."""
    tree = ast.parse(source)
    word = said(tree)
    if word is None:
        return "it does not say `while_serving`"
    if word != "safe" and not word.startswith("safe: "):
        return f"it is {word}: gateways and workers would have to be stopped"
    found = sorted(set(dangers(tree)))
    return f"it does not say why this is safe: {', '.join(found)}" if found and word == "safe" else ""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_migration_is_safe_while_the_release_before_serves(file: Path) -> None:
    assert fault(file.read_text()) == ""


@pytest.mark.parametrize(
    ("upgrade", "says", "why"),
    [
        ("op.create_table('a')", None, "does not say `while_serving`"),
        ("op.create_table('a')", "unsafe", "would have to be stopped"),
        ("op.drop_table('a')", "safe", "drop_table"),
        ("op.add_column('a', sa.Column('b', sa.Text(), nullable=False))", "safe", "has no default"),
        ("op.alter_column('a', 'b', new_column_name='c')", "safe", "renamed"),
    ],
)
def test_one_that_is_not_is_refused(upgrade: str, says: str | None, why: str) -> None:
    line = "" if says is None else f"while_serving = {says!r}\n"
    assert why in fault(f"{line}def upgrade() -> None:\n    {upgrade}\n")
