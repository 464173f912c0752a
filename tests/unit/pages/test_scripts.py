"""The tests of the pages' scripts, which run in deno."""

from __future__ import annotations

from pathlib import Path

from tests.unit.pages.test_bundles import PAGES, deno


def test_the_scripts_pass_their_own_tests() -> None:
    answer = deno("test", "--no-check", "--config", str(PAGES / "deno.json"), str(Path(__file__).parent))
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert " passed" in answer.stdout
