"""Values as words on a page, without a script."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.pages.formats import format_eta

ESTIMATES = json.loads(Path(__file__).with_name("estimates.json").read_text("utf-8"))


@pytest.mark.parametrize(("seconds", "least_most", "words"), ESTIMATES)
def test_an_estimate_is_said_as_the_script_says_it(
    seconds: int | None, least_most: list[int] | None, words: str
) -> None:
    """``estimates_test.js`` asks the script."""
    assert format_eta(seconds, tuple(least_most) if least_most else None) == words
