"""The systemd units, as systemd itself reads them, where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from admitone.settings import FILE_ENDING, ROWS
from workers.parts import Part

UNITS: Final = Path(__file__).parents[3] / "deploy" / "systemd"
SERVICES: Final = sorted(UNITS.glob("*.service"))
PROGRAM: Final = "/opt/admitone/bin/admitone"
ANALYZE: Final = shutil.which("systemd-analyze")
EXPOSURE_MAX: Final = 20
"""Of systemd's hundred; a service without any bound has 96."""
with_systemd = pytest.mark.skipif(
    ANALYZE is None, reason="no systemd-analyze here: Debian has it in its package systemd"
)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with this Python for the program, which systemd wants to be there."""
    for file in UNITS.iterdir():
        (tmp_path / file.name).write_text(file.read_text().replace(PROGRAM, sys.executable))
    return tmp_path


def _analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert ANALYZE is not None
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, check=False, timeout=60)


@with_systemd
def test_systemd_finds_nothing_to_mend(units: Path) -> None:
    found = _analyze("verify", "--man=no", *units.glob("*.service"), *units.glob("*.target"))
    told = [line for line in found.stderr.splitlines() if "admitone" in line]
    assert (found.returncode, told) == (0, []), found.stderr


@with_systemd
@pytest.mark.parametrize("service", SERVICES, ids=[one.name for one in SERVICES])
def test_a_process_may_do_as_little_as_it_can(units: Path, service: Path) -> None:
    found = _analyze("security", "--offline=yes", f"--threshold={EXPOSURE_MAX}", units / service.name)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("service", SERVICES, ids=[one.name for one in SERVICES])
def test_its_secrets_are_files(service: Path) -> None:
    text = service.read_text()
    variables = re.findall(r"(\w+)=%d/(\w+)", text)
    loaded = set(re.findall(r"^LoadCredential=(\w+):", text, re.MULTILINE))
    assert {credential for _, credential in variables} == loaded == {"database_url", "redis_url", "secret"}
    settings = {row.variable + FILE_ENDING for row in ROWS}
    assert {variable for variable, _ in variables} <= settings


def test_the_worker_says_its_parts() -> None:
    named = re.search(r"admitone-worker@\{(.*)\}", (UNITS / "admitone-worker@.service").read_text())
    assert named is not None
    assert set(named[1].split(",")) == set(Part)
