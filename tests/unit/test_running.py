"""Addresses and files that commands are given: an IPv6 host in a URL, and a file that cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from admitone.running import reachable_host


@pytest.mark.parametrize(
    ("listens_on", "reached_at"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
        ("tickets.example.org", "tickets.example.org"),
    ],
)
def test_a_url_finds_what_listens_on_a_host(listens_on: str, reached_at: str) -> None:
    assert reachable_host(listens_on) == reached_at


@pytest.mark.parametrize(("command", "code"), [(["crowd"], 1), (["rehearse", "1"], 2)])
def test_a_ledger_that_cannot_be_written_is_a_sentence(tmp_path: Path, command: list[str], code: int) -> None:
    ledger = tmp_path / "no such folder" / "told.jsonl"
    url = "http://127.0.0.1:9"
    ended = subprocess.run(
        [sys.executable, "-m", "admitone", *command, "--url", url, "--fans", "1", "--ledger", str(ledger)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none", "REDIS_URL": "redis://127.0.0.1:1"},
    )
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "cannot be written (No such file or directory): name a file in a writable folder." in ended.stderr
