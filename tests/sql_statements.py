"""The SQL that stands in constants of the database, the workers and the doctor, and what of it is about one event.

What SQLAlchemy composes is not here.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import sqlglot
from sqlglot import exp

from db.citus.tables import DISTRIBUTED

ROOT: Final = Path(__file__).parents[1]
PACKAGES: Final = ("db", "workers", "admitone/doctor")
_SQL_IN_SOURCE: Final = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b")
_SQL: Final = re.compile(r"\s*(SELECT|WITH|INSERT|UPDATE|DELETE)\b")
_NAMES_A_TABLE: Final = re.compile(rf"\b({'|'.join(DISTRIBUTED)})\b")
_PARAMETER: Final = re.compile(r"%\((\w+)\)s")
_CONST: Final = "a parameter"


@cache
def statements() -> Mapping[str, str]:
    """Every module constant with SQL that names a distributed table, by ``module.NAME`` of where it is defined."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("[a-z]*.py")):
            source = path.read_text()
            # A module is imported only for its SQL, for importing all takes long.
            if not _SQL_IN_SOURCE.search(source) or "migrations" in path.parts:
                continue
            module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
            for name in _assigned(source):
                value = getattr(module, name)
                if isinstance(value, str) and _SQL.match(value) and _NAMES_A_TABLE.search(value):
                    found[f"{module.__name__}.{name}"] = value
    return found


def _assigned(source: str) -> Iterator[str]:
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and node.value is not None and isinstance(node.target, ast.Name):
            yield node.target.id
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id


def hot_statements() -> Mapping[str, str]:
    """The statements that the engine runs in a batch, by ``module.NAME``: the arguments of its `run` functions."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "workers" / "engine").rglob("[a-z]*.py")):
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for call in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
                continue
            if call.func.id in ("run", "run_on", "read_rows"):
                for branch in _branches(call.args[1]):
                    statement = eval(ast.unparse(branch), vars(module))
                    found[ast.unparse(branch)] = statement
    return found


def _branches(argument: ast.expr) -> Iterator[ast.expr]:
    if isinstance(argument, ast.IfExp):
        yield argument.body
        yield argument.orelse
    elif isinstance(argument, ast.Attribute) or (isinstance(argument, ast.Name) and argument.id.isupper()):
        yield argument


def unbound_tables(statement: str) -> list[str]:
    """The distributed tables of which Citus would ask every node, because nothing in the query that names them says
    which event they are about: ``event_id`` equals a parameter, or a column of the same query that does.

    A condition that names a column of a query around it does not count, unless that column is a parameter itself.
    Rows that are inserted go to the nodes of their events.
    """
    return sorted(_unbound(_parsed(statement), {}))


def tables_named(statement: str) -> list[str]:
    """The tables that the statement names, one as often as it stands there."""
    tree = _parsed(statement)
    ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
    return [table.name for table in tree.find_all(exp.Table) if table.name and table.name not in ctes]


def asks_for_no_column(statement: str) -> bool:
    """Whether an ``EXISTS (SELECT FROM …)`` of a distributed table names nothing of the query around it."""
    for found in _parsed(statement).find_all(exp.Exists):
        tables = list(found.find_all(exp.Table))
        own = {table.alias_or_name for table in tables}
        depends = any(column.table and column.table not in own for column in found.find_all(exp.Column))
        is_bare = isinstance(found.this, exp.Select) and not found.this.expressions
        if is_bare and not depends and any(table.name in DISTRIBUTED for table in tables):
            return True
    return False


def _parsed(statement: str) -> exp.Expr:
    text = _PARAMETER.sub(r":\1", statement).replace("%s", ":each").replace("%%", "%")
    (tree,) = sqlglot.parse(text, dialect="postgres")
    assert tree is not None
    return tree


def _unbound(query: exp.Expr, outer: Mapping[str, str]) -> Iterator[str]:
    """Walk one query and the ones in it. ``outer`` has the columns of the queries around it that are parameters."""
    ctes = {cte.alias for cte in query.find_all(exp.CTE)}
    sources = {source.alias_or_name: source for source in _sources(query)}
    same = {name: name for name in sources}

    def root(name: str) -> str:
        while same.get(name, name) != name:
            name = same[name]
        return name

    def join(one: str, other: str) -> None:
        same.setdefault(_CONST, _CONST)
        first, second = root(one), root(other)
        if first != second:
            keep, drop = (first, second) if first == _CONST else (second, first)
            same[drop] = keep

    constants = {name for name, source in sources.items() if _gives_parameter(source)}
    for name in constants:
        join(name, _CONST)
    for condition in _conditions(query):
        if not isinstance(condition, exp.EQ):
            continue
        sides = [_side(side, sources, outer) for side in (condition.left, condition.right)]
        if sides[0] is not None and sides[1] is not None:
            join(sides[0], sides[1])
    for before, joined in _using(query):
        join(before, joined)
    inner = {**dict.fromkeys(sources, ""), **dict(outer), **dict.fromkeys(constants, _CONST)}
    for name in sources:
        if name not in constants:
            inner.pop(name, None)
    target = query.this if isinstance(query, exp.Insert) else None
    for name, source in sources.items():
        is_table = isinstance(source, exp.Table) and source.name in DISTRIBUTED and source.name not in ctes
        if is_table and source is not target and root(name) != _CONST:
            yield source.name
    for nested in _nested(query):
        yield from _unbound(nested, inner)


def _sources(query: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(query, exp.Update | exp.Delete):
        yield query.this
        yield from query.args.get("using") or ()
    origin = query.args.get("from_") or query.args.get("from")
    if origin is not None:
        yield origin.this
    joins = list(query.args.get("joins") or ())
    for source in [query.this] if isinstance(query, exp.Update | exp.Delete) else [origin.this] if origin else []:
        joins += source.args.get("joins") or ()
    for joined in joins:
        yield joined.this
    yield from query.args.get("laterals") or ()


def _joins(query: exp.Expr) -> list[exp.Join]:
    joins = list(query.args.get("joins") or ())
    origin = query.args.get("from_") or query.args.get("from")
    return joins + list((origin.this.args.get("joins") or ()) if origin is not None else ())


def _conditions(query: exp.Expr) -> Iterator[exp.Expr]:
    where = query.args.get("where")
    for condition in [where.this if where else None, *(joined.args.get("on") for joined in _joins(query))]:
        if condition is not None:
            yield from (condition.flatten() if isinstance(condition, exp.And) else [condition])


def _using(query: exp.Expr) -> Iterator[tuple[str, str]]:
    origin = query.args.get("from_") or query.args.get("from")
    if origin is None:
        return
    before = origin.this.alias_or_name
    for joined in _joins(query):
        if any(column.name == "event_id" for column in joined.args.get("using") or ()):
            yield before, joined.this.alias_or_name


def _side(side: exp.Expr, sources: Mapping[str, exp.Expr], outer: Mapping[str, str]) -> str | None:
    while isinstance(side, exp.Cast | exp.Paren):
        side = side.this
    if isinstance(side, exp.Placeholder | exp.Parameter | exp.Literal):
        return _CONST
    if not isinstance(side, exp.Column) or side.name != "event_id":
        return None
    if side.table:
        return side.table if side.table in sources else outer.get(side.table)
    return next(iter(sources)) if len(sources) == 1 else None


def _gives_parameter(source: exp.Expr) -> bool:
    """Whether a subquery gives a parameter as its ``event_id``."""
    subquery = source.this if isinstance(source, exp.Subquery) else None
    return isinstance(subquery, exp.Select) and any(
        isinstance(column, exp.Alias)
        and column.alias == "event_id"
        and isinstance(column.this.this if isinstance(column.this, exp.Cast) else column.this, exp.Placeholder)
        for column in subquery.expressions
    )


def _nested(query: exp.Expr) -> Iterator[exp.Expr]:
    """The queries that stand directly in this one."""
    for child in query.iter_expressions():
        if isinstance(child, exp.Select | exp.Update | exp.Delete | exp.Insert | exp.SetOperation):
            yield child
        else:
            yield from _nested(child)
