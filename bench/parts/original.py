"""The design that Admit One began from (`bench/baseline/original/server.js`) beside it: a reserve that only Redis knows
of against a durable one, and whole purchases.

It runs under Node, whose packages are installed at the first run, next to the bench's other ones.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench import fans
from bench.client import Address
from bench.load import repeat
from bench.parts.purchase import load_of, purchases
from bench.parts.reserve import CONNECTIONS, WARM_SECONDS
from bench.report import Part
from bench.servers import ROOT, Program, System, await_answer, free_port
from bench.stats import Load

HERE: Final = ROOT / "bench" / "baseline" / "original"
INSTALLED: Final = ROOT / ".venv" / "bench-original"
SCRIPT: Final = "server.js"
PACKAGES: Final = ("package.json", "package-lock.json")
PROCESSES: Final = (1, 2)
INSTALL_SECONDS_MAX: Final = 300
PER_SECOND_MAX: Final = 10_000
"""So many reserves are made ready for each second; a faster system would be measured for a shorter time."""
PURCHASES_PER_SECOND_MAX: Final = 2_000
SEATS_OF_BLOCK: Final = fans.ROWS_OF_BLOCK * fans.SEATS_OF_ROW


def missing() -> str:
    """Why this part cannot run here; empty where it can."""
    return "" if shutil.which("node") and shutil.which("npm") else "it needs node and npm"


def installed() -> Path:
    """The folder with the script and its packages.

    Raises:
        RuntimeError: npm failed; the message is what it said.
    """
    INSTALLED.mkdir(parents=True, exist_ok=True)
    stale = not (INSTALLED / "node_modules").is_dir() or any(
        not (INSTALLED / name).is_file() or (INSTALLED / name).read_bytes() != (HERE / name).read_bytes()
        for name in PACKAGES
    )
    for name in (*PACKAGES, SCRIPT):
        shutil.copyfile(HERE / name, INSTALLED / name)
    if stale:
        ran = subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund"],
            cwd=INSTALLED, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX, check=False,
        )  # fmt: skip
        if ran.returncode:
            shutil.rmtree(INSTALLED / "node_modules", ignore_errors=True)
            raise RuntimeError(ran.stderr)
    return INSTALLED


def start_original(system: System, processes: int) -> Program:
    """The original's design at work, in so many processes."""
    port = free_port()
    script = str(installed() / SCRIPT)
    command = [shutil.which("node") or "", script, str(port), str(processes)]
    program = system.start_other("original", *command, port=port, environ={"NODE_ENV": "production"})
    await_answer(program, "/")
    return program


def _seats(count: int) -> int:
    return -(-count // SEATS_OF_BLOCK) * SEATS_OF_BLOCK


class _Sale:
    """An event for each of the two loads, with fans of its own."""

    def __init__(self, system: System, seconds: float) -> None:
        self.seconds = seconds
        wanted = seconds + WARM_SECONDS
        self.reserve_count = min(int(wanted * PER_SECOND_MAX), 80_000)
        self.purchase_count = int(wanted * PURCHASES_PER_SECOND_MAX)
        with system.connect() as connection:
            self.reserve_seats = _seats(2 * self.reserve_count)
            self.reserve_event = fans.new_event(connection, self.reserve_seats)
            self.purchase_seats = _seats(2 * self.purchase_count)
            self.purchase_event = fans.new_event(connection, self.purchase_seats)
        self.tokens = [token for token, _ in fans.sessions(max(self.reserve_count, self.purchase_count))]

    def reserve(self, address: Address) -> Load:
        made = [
            fans.reserve(token, self.reserve_event, pair)
            for token, pair in zip(self.tokens[: self.reserve_count], fans.pairs(self.reserve_seats), strict=False)
        ]
        load = load_of(address, repeat("reserve", iter(made)), self.seconds)
        load.require("reserve", "200")
        return load

    def purchase(self, address: Address, captchas: list[str]) -> Load:
        tokens = self.tokens[: self.purchase_count]
        load = load_of(address, purchases(self.purchase_event, tokens, captchas, self.purchase_seats), self.seconds)
        for step in ("reserve", "checkout", "ticket"):
            load.require(step, "200")
        return load


def _ours(system: System, seconds: float) -> tuple[Load, Load]:
    sale = _Sale(system, seconds)
    (gateway,) = system.gateways()
    worker = system.worker()
    captchas = fans.solutions(gateway.address, sale.tokens[: sale.purchase_count])
    found = sale.reserve(gateway.address), sale.purchase(gateway.address, captchas)
    system.stop(worker, gateway)
    return found


def _theirs(system: System, seconds: float, processes: int) -> tuple[Load, Load]:
    sale = _Sale(system, seconds)
    program = start_original(system, processes)
    found = (
        sale.reserve(program.address),
        sale.purchase(program.address, ["none"] * sale.purchase_count),
    )
    system.stop(program)
    with system.redis() as client:
        client.flushdb()
    return found


def measure(system: System, *, seconds: float = 8.0) -> Part:
    """Both designs by turns, so that a machine that changes its pace does so for both."""
    part = Part("original")
    part.skipped = missing()
    if part.skipped:
        return part
    ours = [_ours(system, seconds)]
    theirs = {processes: _theirs(system, seconds, processes) for processes in PROCESSES}
    ours.append(_ours(system, seconds))
    reserve = max(one.rate("reserve", "200") for one, _ in ours)
    bought = max(one.rate("ticket", "200") for _, one in ours)
    part.add(
        f"reserve to a durable result, {CONNECTIONS} connections",
        reserve,
        "/s",
        "Express, a key of each seat in Redis, best of 1 and 2 processes",
        max(one.rate("reserve", "200") for one, _ in theirs.values()),
        "≥ 1",
    )
    part.add(
        "whole purchase: reserve, checkout, ticket read",
        2 * bought,
        "tickets/s",
        "Express, a transaction for each checkout, best of 1 and 2 processes",
        2 * max(one.rate("ticket", "200") for _, one in theirs.values()),
        "≥ 20",
    )
    part.details = {
        "node": subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip(),
        "ours": [{"reserve": one.document(), "purchase": two.document()} for one, two in ours],
        "original": {
            str(processes): {"reserve": one.document(), "purchase": two.document()}
            for processes, (one, two) in theirs.items()
        },
    }
    return part
