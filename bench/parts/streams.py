"""Fans streaming their places on one gateway process, against a bare ASGI broadcast and nchan in nginx.

The gateway sends each fan its own place and estimate, after a read of all ranks from Valkey; both references send
everybody the same bytes. The door is open and lets in one fan at a time. The interval is set to a
second for all (by default it grows with the distance), and the frames carry the time at which they were rendered,
for their age.
"""

from __future__ import annotations

import getpass
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import fans
from bench.baseline.broadcast import PLACE
from bench.client import Address, ask, request
from bench.load import closed_loop, repeat
from bench.nginx import nginx
from bench.processes import apart
from bench.report import Part
from bench.servers import System, Use, free_port
from bench.sse import Crowd, Seen
from bench.stats import percentile
from db.events.seed import RoomSeed

FANS = 15_000
SETTLE_SECONDS = 4.0
PLACE_SECONDS = 1.0
WAITING_TIMES = 5
"""Valkey's CPU is measured with all fans, and with so many times fewer."""
NCHAN_MODULE = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
NCHAN = """\
load_module {module};
daemon off;
master_process on;
user {user};
worker_processes 1;
worker_rlimit_nofile 20000;
error_log {folder}/nginx.log warn;
pid {folder}/nginx.pid;
events {{ worker_connections 19000; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  nchan_shared_memory_size 256M;
  server {{
    listen 127.0.0.1:{port} backlog=16384;
    location = /live {{ return 204; }}
    location = /sub {{ nchan_subscriber eventsource; nchan_channel_id places; nchan_message_buffer_length 1; }}
    location = /pub {{ nchan_publisher; nchan_channel_id places; nchan_message_buffer_length 1; }}
  }}
}}
"""


class Streamed:
    """The figures of one server."""

    def __init__(self, seen: Seen, before: Use, open_: Use, begin: Use, end: Use, fans_: int) -> None:
        ordered = sorted(seen.ages)
        self.streams = seen.streams
        self.kb_a_fan = (open_.rss_bytes - before.rss_bytes) / 1024 / fans_
        self.cpu_seconds = end.cpu_seconds - begin.cpu_seconds
        self.us_an_event = self.cpu_seconds / max(seen.events, 1) * 1e6
        self.age_p99_seconds = percentile(ordered, 0.99)
        self.document = {
            "streams": seen.streams,
            "refused": dict(seen.refused),
            "lost": seen.lost,
            "events": seen.events,
            "eventsPerSecond": round(seen.events / seen.seconds, 1),
            "bytesAnEvent": round(seen.bytes / max(seen.events, 1), 1),
            "kbAFan": round(self.kb_a_fan, 2),
            "cpuMicrosecondsAnEvent": round(self.us_an_event, 2),
            "ageP50Seconds": round(percentile(ordered, 0.5), 4),
            "ageP99Seconds": round(self.age_p99_seconds, 4),
            "ageMaxSeconds": round(percentile(ordered, 1.0), 4),
            "generatorShareOfACore": round(seen.cpu_seconds / seen.seconds, 3),
        }


def stream(
    targets: Sequence[tuple[Address, bytes, str]],
    use: Callable[[], Use],
    seconds: float,
    each_second: Callable[[], None] | None = None,
    settle_seconds: float = SETTLE_SECONDS,
) -> Streamed:
    """Open all, let them settle, measure for ``seconds``."""
    before = use()
    crowd = Crowd(targets)
    crowd.await_open(180)
    _pass(settle_seconds, each_second)
    opened = use()
    crowd.begin()
    begin = use()
    _pass(seconds, each_second)
    end = use()
    return Streamed(crowd.end(), before, opened, begin, end, len(targets))


def _pass(seconds: float, each_second: Callable[[], None] | None) -> None:
    now = time.monotonic()
    until = now + seconds
    while now < until:
        due = min(now + 1.0, until)
        if each_second is not None:
            each_second()
        time.sleep(max(0.0, due - time.monotonic()))
        now = time.monotonic()


def in_line(system: System, count: int) -> tuple[list[bytes], float]:
    """Have so many fans join a new event's line; the requests for their streams, and the joins a second."""
    with system.connect() as connection:
        event_id = fans.new_event(connection, 1_000, RoomSeed(capacity=1, line_cap=count + 1_000))
    # The line is joined through a process of its own, so that the streaming one's memory is its streams'.
    (doorman,) = system.gateways()
    tokens = [token for token, _ in fans.sessions(count)]
    joins = [request("POST", f"/api/queue/{event_id}", token=token) for token in tokens]
    joined = apart(lambda: closed_loop([doorman.address], repeat("join", iter(joins)), connections=32, seconds=300))
    assert joined.count("join", "201") == count, joined.document()
    system.stop(doorman)
    asked = [request("GET", f"/api/queue/{event_id}/stream", "Accept: text/event-stream", token=t) for t in tokens]
    return asked, joined.rate("join")


def gateway(system: System, count: int, seconds: float, settle: float = SETTLE_SECONDS) -> Streamed:
    asked, joins_a_second = in_line(system, count)
    (program,) = system.gateways(place_seconds=PLACE_SECONDS)
    found = stream([(program.address, one, "") for one in asked], program.use, seconds, settle_seconds=settle)
    found.document["joinsPerSecond"] = round(joins_a_second, 1)
    system.stop(program)
    return found


def waiting(system: System, count: int, seconds: float, settle: float = SETTLE_SECONDS) -> float:
    """Valkey's CPU seconds a minute while so many fans wait with open streams, at the intervals of a real gateway."""
    asked, _ = in_line(system, count)
    (program,) = system.gateways()
    targets = [(program.address, one, "") for one in asked]
    found = stream(targets, lambda: system.uses()["valkey"], seconds, settle_seconds=settle)
    system.stop(program)
    assert found.streams == count, found.document
    return found.cpu_seconds / seconds * 60


def bare(system: System, count: int, seconds: float, settle: float = SETTLE_SECONDS) -> Streamed:
    port = free_port()
    program = system.start("broadcast", "bench.baseline.serve", "broadcast:create", str(port), port=port)
    while ask_once(program.address) != 200:
        time.sleep(0.1)
    targets = [(program.address, request("GET", "/", "Accept: text/event-stream"), "")] * count
    found = stream(targets, program.use, seconds, settle_seconds=settle)
    system.stop(program)
    return found


def ask_once(address: Address) -> int:
    """The status with which a stream opens at the address; 0 if no server listens."""
    try:
        with socket.create_connection(address, timeout=2) as probe:
            probe.sendall(request("GET", "/"))
            return int(probe.recv(64)[9:12] or b"0")
    except OSError:
        return 0


def nchan_missing() -> str:
    """Why nchan cannot be measured here; empty if it can."""
    if shutil.which("nginx") is None:
        return "no nginx; Debian: apt-get install nginx libnginx-mod-nchan"
    if not NCHAN_MODULE.exists():
        return "nginx without nchan; Debian: apt-get install libnginx-mod-nchan"
    return ""


def nchan(system: System, count: int, seconds: float) -> Streamed:
    port = free_port()
    address = ("127.0.0.1", port)
    folder = system.folder / "nchan"
    configuration = NCHAN.format(module=NCHAN_MODULE, folder=folder, port=port, user=getpass.getuser())
    with nginx(folder, configuration, address, "/live") as use:

        def publish() -> None:
            # nchan adds "data: " and the frame's end itself.
            data = (PLACE % time.time_ns()).partition(b"data: ")[2].rstrip()
            ask(address, request("POST", "/pub", body=data), 5)

        publish()
        targets = [(address, request("GET", "/sub", "Accept: text/event-stream"), "")] * count
        return stream(targets, use, seconds, publish)


def _add_waiting(part: Part, system: System, count: int, seconds: float, settle: float) -> None:
    few = count // WAITING_TIMES
    at_few, at_all = waiting(system, few, seconds, settle), waiting(system, count, seconds, settle)
    # What Valkey does by itself and for each gateway is in both, and is no fan's.
    us_a_fan_and_minute = (at_all - at_few) / (count - few) * 1e6
    part.details["valkeyWaiting"] = {
        "fans": [few, count],
        "cpuSecondsAMinute": [round(at_few, 4), round(at_all, 4)],
        "cpuMicrosecondsAFanAndMinute": round(us_a_fan_and_minute, 2),
    }
    note = f"{few:,} against {count:,} fans in line with streams"
    part.add("Valkey CPU a waiting fan and minute", us_a_fan_and_minute, "µs", note=note)


def measure(
    system: System,
    *,
    count: int = FANS,
    seconds: float = 15.0,
    with_nchan: bool = True,
    with_waiting: bool = True,
) -> Part:
    """``with_waiting``: measure Valkey too, while the fans wait as at a real gateway."""
    part = Part("streams")
    settle = min(SETTLE_SECONDS, seconds / 2)
    ours = gateway(system, count, seconds, settle)
    reference = bare(system, count, seconds, settle)
    part.details = {"gateway": ours.document, "bareAsgi": reference.document}
    note = f"{count:,} fans, a place a second each"
    part.add("memory a fan", ours.kb_a_fan, "KB", aim="≤ 8", note=note)
    part.add("memory a fan", ours.kb_a_fan, "KB", "bare ASGI", reference.kb_a_fan)
    part.add("CPU an event", ours.us_an_event, "µs", "bare ASGI", reference.us_an_event, "≤ 1.1")
    part.add("p99 age of an event", ours.age_p99_seconds, "s", aim="≤ 1")
    if with_waiting:
        _add_waiting(part, system, count, seconds, settle)
    missing = nchan_missing() if with_nchan else "left out"
    if missing:
        part.details["nchan"] = {"skipped": missing}
        return part
    in_nginx = nchan(system, count, seconds)
    part.details["nchan"] = in_nginx.document
    part.add("memory a fan", ours.kb_a_fan, "KB", "nchan", in_nginx.kb_a_fan)
    part.add("CPU an event", ours.us_an_event, "µs", "nchan", in_nginx.us_an_event, "≤ 1.3")
    return part
