"""An answer 429 names its limit in header fields, wherever it is made."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import gateway
from booking_lane.problems import CATALOGUE
from gateway.identity.limits import over
from gateway.wire.problems import limited
from waiting_room.limits import Allowance

FOLDER = Path(gateway.__file__).parent
CODES = {code for code, problem in CATALOGUE.items() if problem.status == 429}


def raised_without_a_limit(source: str) -> Iterator[str]:
    """The codes of 429 with which a `ProblemError` is made by hand."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "ProblemError":
            first = call.args[0] if call.args else None
            if isinstance(first, ast.Constant) and first.value in CODES:
                yield first.value


def test_the_header_fields_say_which_limit_and_when() -> None:
    problem = over("rate_limited", Allowance(False, 7, 600, "join", 600, 60))
    assert problem.headers == {
        "RateLimit-Policy": '"join";q=600;w=60',
        "RateLimit": '"join";r=0;t=7',
        "Retry-After": "7",
    }
    assert problem.document["retryAfterSeconds"] == 7


def test_nobody_is_told_to_come_again_at_once() -> None:
    problem = limited("rate_limited", policy="passwords", most=5, retry_after_seconds=0)
    assert (problem.headers["RateLimit"], problem.headers["Retry-After"]) == ('"passwords";r=0;t=1', "1")
    assert problem.headers["RateLimit-Policy"] == '"passwords";q=5', "its time grows, so that it has no window"


def test_every_429_names_its_limit() -> None:
    assert {"rate_limited", "too_many_codes"} == CODES
    found = {str(path): list(raised_without_a_limit(path.read_text())) for path in FOLDER.rglob("*.py")}
    assert {path: codes for path, codes in found.items() if codes} == {}
    assert list(raised_without_a_limit('raise ProblemError("rate_limited")')) == ["rate_limited"]
