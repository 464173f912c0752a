"""Both lock files against the advisories of the Python world: ``make audit-packages``.

pip-audit asks PyPI, then OSV. Behind a mirror both may be out of reach; pip-audit then calls every package "not
found" and ends well, so what it has not audited is counted here. A clone of github.com/pypa/advisory-database
(``ADVISORIES=folder``) is read besides, which needs nobody's service.

Ends with 0 where every package was audited and none is known to be vulnerable, 1 where one is, and 2 where nobody
could be asked.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

LOCKS = ("requirements.lock", "requirements-dev.lock")
IGNORED = Path(__file__).parent / "ignored_advisories.toml"
SERVICES = ("pypi", "osv")
SECONDS_MAX = 600
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
    print("Every package was audited; none is known to be vulnerable.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
