"""The audit of packages finds what is vulnerable, and never takes silence for a clean bill."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.security import packages
from tests.security.packages import Found, main, newest_of, of_project, pinned, read
from tests.services import ROOT

ADVISORY = """
id: PYSEC-2014-82
affected:
- package: {name: jinja2, ecosystem: PyPI}
  ranges:
  - type: GIT
    events: [{introduced: "0"}]
  - type: ECOSYSTEM
    events: [{introduced: "2.0"}, {fixed: 2.7.2}, {introduced: "3.0"}, {last_affected: 3.1.1}]
  versions: ["1.5"]
"""


@pytest.fixture
def advisories(tmp_path: Path) -> Path:
    folder = tmp_path / "vulns" / "jinja2"
    folder.mkdir(parents=True)
    (folder / "PYSEC-2014-82.yaml").write_text(ADVISORY)
    (folder / "PYSEC-2014-83.yaml").write_text(ADVISORY.replace("82", "83") + 'withdrawn: "2015-01-01T00:00:00Z"\n')
    return tmp_path


@pytest.mark.parametrize(
    ("version", "vulnerable"),
    [
        ("1.5", True),
        ("1.9", False),
        ("2.0", True),
        ("2.7.1", True),
        ("2.7.2", False),
        ("2.9", False),
        ("3.1.1", True),
        ("3.1.2", False),
    ],
)
def test_a_version_is_vulnerable_where_the_advisory_says(advisories: Path, version: str, vulnerable: bool) -> None:
    found = list(read(advisories, {"jinja2": version, "litestar": "2.0"}))
    assert found == [Found("jinja2", version, "PYSEC-2014-82", ("2.7.2",))] * vulnerable


@pytest.mark.parametrize("name", packages.LOCKS)
def test_every_package_of_a_lock_is_seen(name: str) -> None:
    found = pinned(ROOT / name)
    assert {"litestar", "psycopg", "redis", "rq"} <= set(found)
    assert len(found) == sum("==" in line.split(";")[0] for line in (ROOT / name).read_text().splitlines())


def test_a_projects_document_tells_of_its_newest_version() -> None:
    advisories = [
        {"id": "PYSEC-2017-94", "fixed_in": ["2.7"], "withdrawn": None},
        {"id": "PYSEC-2018-97", "fixed_in": [], "withdrawn": "2020-01-01T00:00:00Z"},
    ]
    document = json.dumps({"info": {"version": "2.6.1"}, "vulnerabilities": advisories}).encode()
    assert newest_of(document) == "2.6.1"
    assert of_project("pycrypto", document) == [Found("pycrypto", "2.6.1", "PYSEC-2017-94", ("2.7",))]
    for silent in (b"", b"<html>", json.dumps({"info": {"version": "2.6.1"}}).encode()):
        assert newest_of(silent) == ""


def test_silence_is_no_clean_bill(
    advisories: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text("jinja2==2.9 \\\n    --hash=sha256:00\n")
    monkeypatch.setattr(packages, "asked", lambda lock, service: (set(), [], "no such host"))
    monkeypatch.setattr(packages, "PROJECT", "http://127.0.0.1:1/{}")
    assert main([str(lock)]) == 2
    assert "NOT AUDITED" in capsys.readouterr().out
    assert main(["--advisories", str(advisories), str(lock)]) == 2
    lock.write_text("jinja2==2.7 \\\n    --hash=sha256:00\n")
    assert main(["--advisories", str(advisories), str(lock)]) == 1
    assert "jinja2 2.7: PYSEC-2014-82, mended in 2.7.2: VULNERABLE" in capsys.readouterr().out
    monkeypatch.setattr(packages, "asked", lambda lock, service: ({"jinja2"}, [], ""))
    assert main([str(lock)]) == 0


def test_a_package_behind_its_newest_version_needs_a_reason_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lock, held_back = tmp_path / "some.lock", tmp_path / "held_back.toml"
    lock.write_text("jinja2==2.9 \\\n    --hash=sha256:00\n")
    (tmp_path / "jinja2.json").write_text(json.dumps({"info": {"version": "3.1"}, "vulnerabilities": []}))
    monkeypatch.setattr(packages, "asked", lambda lock, service: (set(), [], "no such host"))
    monkeypatch.setattr(packages, "PROJECT", f"{tmp_path.as_uri()}/{{}}.json")
    monkeypatch.setattr(packages, "HELD_BACK", held_back)
    held_back.write_text('[held_back]\n"jinja2 2.8" = "It was held back once."\n')
    assert main([str(lock)]) == 2
    held_back.write_text('[held_back]\n"jinja2 2.9" = "A library asks for it."\n')
    capsys.readouterr()
    assert main([str(lock)]) == 0
    assert "jinja2 2.9 (newest: 3.1): A library asks for it." in capsys.readouterr().out
