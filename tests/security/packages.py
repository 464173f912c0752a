"""Both lock files against the advisories of the Python world: ``make audit-packages``.

pip-audit asks PyPI, then OSV. Behind a mirror both may be out of reach; pip-audit then calls every package "not
found" and ends well, so what it has not audited is counted here. A mirror may still have PyPI's document of each
project, which tells the advisories of its newest version: that answers for packages that are pinned to it. A clone of
github.com/pypa/advisory-database (``ADVISORIES=folder``) is read besides, which needs nobody's service.

Ends with 0 where every package was audited, or has a reason in ``held_back.toml`` why it is not the newest, and none
is known to be vulnerable; 1 where one is, and 2 where nobody could be asked.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

LOCKS = ("requirements.lock", "requirements-dev.lock")
IGNORED = Path(__file__).parent / "ignored_advisories.toml"
HELD_BACK = Path(__file__).parent / "held_back.toml"
SERVICES = ("pypi", "osv")
SECONDS_MAX = 600
PROJECT = "https://pypi.org/pypi/{}/json"
PROJECT_SECONDS_MAX = 30
PROJECTS_AT_A_TIME = 4
_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[^\s;\\]+)", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Found:
    """An advisory that a pinned package falls under."""

    package: str
    version: str
    advisory: str
    fixed_in: tuple[str, ...]


def pinned(lock: Path) -> dict[str, str]:
    """The packages of a lock file by their canonical names."""
    return {canonicalize_name(found["name"]): found["version"] for found in _PINNED.finditer(lock.read_text())}


def asked(lock: Path, service: str) -> tuple[set[str], list[Found], str]:
    """What pip-audit learns of a lock file: the packages it could audit, what it found, and what it complained of."""
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip"),
        *("--vulnerability-service", service, "--progress-spinner", "off", "--format", "json"),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    try:
        dependencies = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError):
        return set(), [], (ran.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
    audited: set[str] = {canonicalize_name(one["name"]) for one in dependencies if "skip_reason" not in one}
    found = [
        Found(canonicalize_name(one["name"]), one["version"], advisory["id"], tuple(advisory["fix_versions"]))
        for one in dependencies
        for advisory in one.get("vulns", ())
    ]
    skipped = next((str(one["skip_reason"]) for one in dependencies if "skip_reason" in one), "")
    return audited, found, skipped


def asked_of_projects(packages: Mapping[str, str]) -> tuple[set[str], list[Found], dict[str, str]]:
    """What PyPI's documents of these projects tell: the packages that are pinned to their newest version, what was
    found of them, and the packages that are not, with the newest version.
    """
    with ThreadPoolExecutor(PROJECTS_AT_A_TIME) as threads:
        documents = dict(zip(packages, threads.map(_project, packages), strict=True))
    audited: set[str] = set()
    found: list[Found] = []
    behind: dict[str, str] = {}
    for name, document in documents.items():
        newest = newest_of(document)
        if newest == packages[name]:
            audited.add(name)
            found += of_project(name, document)
        elif newest:
            behind[name] = f"{name} {packages[name]} (newest: {newest})"
    return audited, found, behind


def _project(name: str) -> bytes:
    try:
        with urllib.request.urlopen(PROJECT.format(name), timeout=PROJECT_SECONDS_MAX) as answer:
            content: bytes = answer.read()
            return content
    except OSError:
        return b""


def newest_of(document: bytes) -> str:
    """The version of which a project's document tells; empty where it is none, or tells of no vulnerabilities."""
    try:
        told = json.loads(document)
    except ValueError:
        return ""
    return str(told["info"]["version"]) if "vulnerabilities" in told else ""


def of_project(name: str, document: bytes) -> list[Found]:
    """The advisories that a project's document tells of its newest version."""
    told = json.loads(document)
    return [
        Found(name, told["info"]["version"], advisory["id"], tuple(advisory["fixed_in"]))
        for advisory in told["vulnerabilities"]
        if not advisory.get("withdrawn")
    ]


def read(folder: Path, packages: Mapping[str, str]) -> Iterator[Found]:
    """What a clone of the PyPA's advisory database says of these packages."""
    for name, text in packages.items():
        version = Version(text)
        for path in sorted((folder / "vulns" / name).glob("*.yaml")):
            advisory = yaml.safe_load(path.read_text())
            if "withdrawn" in advisory:
                continue
            for affected in advisory.get("affected", ()):
                ranges = [found for found in affected.get("ranges", ()) if found["type"] == "ECOSYSTEM"]
                if text in affected.get("versions", ()) or any(_within(version, found["events"]) for found in ranges):
                    fixes = [event["fixed"] for found in ranges for event in found["events"] if "fixed" in event]
                    yield Found(name, text, advisory["id"], tuple(fixes))


def _within(version: Version, events: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the version lies in the range that these events draw (OSV 1.6, "Evaluation")."""
    vulnerable = False
    for event in events:
        kind, text = next(iter(event.items()))
        try:
            bound = Version("0.dev0" if text == "0" else str(text))
        except InvalidVersion:
            continue
        if kind == "introduced" and version >= bound:
            vulnerable = True
        elif (kind == "fixed" and version >= bound) or (kind == "last_affected" and version > bound):
            vulnerable = False
    return vulnerable


def main(arguments: list[str] | None = None) -> int:
    """Audit both locks; prints what it learned of whom."""
    parser = argparse.ArgumentParser(description="Audit both lock files.")
    parser.add_argument("--advisories", type=Path, help="a clone of github.com/pypa/advisory-database")
    parser.add_argument("locks", nargs="*", type=Path, default=[Path(name) for name in LOCKS])
    chosen = parser.parse_args(arguments)
    ignored: dict[str, str] = tomllib.loads(IGNORED.read_text())["ignored"]
    held_back: dict[str, str] = tomllib.loads(HELD_BACK.read_text())["held_back"]
    found: set[Found] = set()
    complete = True
    for lock in chosen.locks:
        packages = pinned(lock)
        audited: set[str] = set()
        for service in SERVICES:
            told, advisories, complaint = asked(lock, service)
            audited |= told
            found |= set(advisories)
            print(
                f"{lock}: {service} knew {len(told)} of {len(packages)} packages"
                + (f" ({complaint})" if complaint else "")
            )
            if audited >= set(packages):
                break
        if missing := {name: version for name, version in packages.items() if name not in audited}:
            told, advisories, behind = asked_of_projects(missing)
            audited |= told
            found |= set(advisories)
            print(f"{lock}: PyPI's projects told of {len(told)} of the {len(missing)} others")
            for name, told_of in behind.items():
                reason = held_back.get(f"{name} {packages[name]}")
                if reason is not None:
                    audited.add(name)
                print(f"{lock}: not told of {told_of}: {reason or 'no reason is given in held_back.toml'}")
        complete &= audited >= set(packages)
        if chosen.advisories is not None:
            found |= set(read(chosen.advisories, packages))
            print(f"{lock}: read {chosen.advisories}, which holds what was known when it was cloned")
    for one in sorted(found):
        said = f"ignored: {ignored[one.advisory]}" if one.advisory in ignored else "VULNERABLE"
        print(
            f"{one.package} {one.version}: {one.advisory}, mended in {', '.join(one.fixed_in) or 'no version'}: {said}"
        )
    if any(one.advisory not in ignored for one in found):
        return 1
    if not complete:
        print("NOT AUDITED: the advisory services cannot be reached from here, or do not know every package.")
        return 2
    print("Every package was audited or has its reason; none is known to be vulnerable.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
