"""What a process of a site loads as it starts: only what it needs for that."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.services import ROOT

LATER = ("aiohttp", "alembic", "icalendar", "joserfc")
"""Packages for which a gateway has no use before somebody asks for what they do."""


def _loaded(statement: str) -> set[str]:
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("statement", ["import admitone.asgi", "import admitone.commands.processes, admitone.up"])
def test_a_start_loads_no_package_that_it_does_not_need(statement: str) -> None:
    assert _loaded(statement).isdisjoint(LATER)


def test_a_process_of_a_site_loads_no_other_command() -> None:
    program = "import sys; sys.argv = ['admitone', 'gateway', '--help']\nimport admitone.__main__ as program"
    loaded = _loaded(f"{program}\nprogram._command()")
    assert "admitone.commands.processes" in loaded
    assert "admitone.commands.lanes" not in loaded
