"""The page for those who write clients: every block of it runs against a real site, and every problem has its line."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import psycopg
import pytest

import gateway.contract.booking
import gateway.contract.values
from booking_lane.problems import CATALOGUE, problem
from db.events.seed import RoomSeed
from tests.acceptance.conftest import Site
from tests.factories import OFF, OPEN_DOOR
from waiting_room.model import FanState

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "clients.md"
TEXT = PAGE.read_text()
# Enough that a client has to search, and a tenth of what a reader meets: three clients at a time search in each test.
ENVIRON = {"ADMITONE_CAPTCHA_WORK_MAX": "5000"}
RUN_SECONDS_MAX = 90.0
ONE_INSIDE = RoomSeed(rate_per_minute=60_000, capacity=1)

BEGINNING = 'make up UP="--crowd 0"\n'
RUN_BY: Final[dict[str, tuple[str, list[str]]]] = {
    # A reader sees when a line fails. `-e` sees it here.
    "bash": ("client.sh", ["bash", "-e"]),
    # Without the packages of this environment: the page says that the standard library is enough.
    "python": ("client.py", [sys.executable, "-I", "-S", "-u"]),
    "js": ("client.js", [str(Path(sys.executable).with_name("deno")), "run", "--no-config", "--no-remote",
                         "--allow-net=127.0.0.1", "--allow-env=SITE,EVENT"]),
}  # fmt: skip
TYPES = {
    "ProblemAnswer": gateway.contract.values.ProblemAnswer,
    "Job": gateway.contract.booking.Job,
    "JobAccepted": gateway.contract.booking.JobAccepted,
}


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. ``info`` is what stands behind its fence, ``line`` the number of its first line."""

    info: str
    line: int
    text: str


def blocks() -> list[Block]:
    return [
        Block(found[1], TEXT.count("\n", 0, found.start(2)) + 1, found[2])
        for found in re.finditer(r"^```(.+)\n((?:.*\n)*?)```$", TEXT, re.MULTILINE)
    ]


def script(language: str) -> str:
    """All blocks of the language, each on the lines that it has on the page, so that an error names them."""
    lines: list[str] = []
    for block in blocks():
        if block.info == language:
            lines += [""] * (block.line - 1 - len(lines)) + block.text.splitlines()
    return "\n".join(lines) + "\n"


class Running:
    """The page's client of one language."""

    def __init__(self, language: str, url: str, event_id: int, folder: Path) -> None:
        name, command = RUN_BY[language]
        (folder / name).write_text(script(language))
        kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        environ = kept | {"SITE": url, "EVENT": str(event_id), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
        environ["DENO_DIR"] = str(Path(sys.executable).parent.parent / "deno")
        self._output = folder / "output.txt"
        self._until = time.monotonic() + RUN_SECONDS_MAX
        with self._output.open("w") as output:
            self._process = subprocess.Popen(
                [*command, name], cwd=folder, env=environ, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def output(self) -> str:
        return self._output.read_text()

    def until_it_says(self, words: str) -> None:
        """Wait until the words are among what it has printed."""
        while words not in self.output:
            assert self._process.poll() is None, f"ended without {words!r}:\n{self.output}"
            assert time.monotonic() < self._until, f"has not said {words!r} in {RUN_SECONDS_MAX} s:\n{self.output}"
            time.sleep(0.1)

    def finish(self) -> str:
        """What it has printed, once it has ended well."""
        try:
            code = self._process.wait(max(0.0, self._until - time.monotonic()))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"not done in {RUN_SECONDS_MAX} s:\n{self.output}") from None
        assert code == 0, f"ended with {code}; the lines are those of {PAGE.name}:\n{self.output}"
        return self.output

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


BOUGHT = """
SELECT (SELECT count(*) FROM reservation WHERE event_id = %(event)s),
       (SELECT count(*) FROM purchase WHERE event_id = %(event)s),
       count(*) FILTER (WHERE cancelled_at IS NULL), count(*) FILTER (WHERE cancelled_at IS NOT NULL)
FROM purchase_detail JOIN purchase USING (purchase_id) WHERE purchase.event_id = %(event)s
"""


def bought(site: Site, event_id: int) -> tuple[int, ...]:
    """Holds, purchases, seats kept, seats cancelled."""
    with psycopg.connect(site.database_url) as connection:
        row = connection.execute(BOUGHT, {"event": event_id}).fetchone()
    assert row is not None
    return tuple(row)


ONE_OF_EACH = (1, 1, 1, 1)


def test_no_block_is_left_out() -> None:
    infos = [block.info for block in blocks()]
    assert {*infos} == {"sh", *RUN_BY, *(f"json {name}" for name in TYPES)}
    assert [block.text for block in blocks() if block.info == "sh"] == [BEGINNING]
    assert TEXT.count("```") == 2 * len(infos)


def test_each_step_is_shown_in_every_language() -> None:
    sections = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]
    for section in sections:
        shown = {info for info in re.findall(r"^```(\w+)", section, re.MULTILINE) if info in RUN_BY}
        assert shown in (set(), {*RUN_BY}), section.partition("\n")[0]


def test_the_page_leads_where_it_says() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    }
    assert {*re.findall(r"\]\(#([^)]+)\)", TEXT)} <= anchors
    assert re.search(r"^up: .*\n\t.* up \$\(UP\)$", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("block", [block for block in blocks() if block.info.startswith("json")], ids=lambda b: b.info)
def test_an_answer_shown_is_one_of_ours(block: Block) -> None:
    document = json.loads(block.text)
    kind = TYPES[block.info.removeprefix("json ")]
    assert msgspec.to_builtins(msgspec.convert(document, kind, strict=False)) == document
    shown = document.get("problem", document)
    assert "payment" in shown or shown == problem(shown["code"])


# -- every problem


def rows(part: str) -> list[list[str]]:
    """The cells of the table rows in this section."""
    section = TEXT.partition(f"\n## {part}\n")[2].partition("\n## ")[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in re.findall(r"^\| `.*$", section, re.M)]


def test_every_problem_has_its_line() -> None:
    table = {row[0].strip(" |`"): row[1:] for row in rows("Every problem")}
    assert sorted(table) == sorted(CATALOGUE)
    assert len(rows("Every problem")) == len(table)
    for code, (status, again, words) in table.items():
        assert status == str(CATALOGUE[code].status), code
        assert again in ("same", "new", "no"), code
        assert words.rstrip(" |").endswith("."), code
        # What the clients on the page send again by themselves is what the table says.
        if again == "same":
            assert status in ("408", "429", "503") or code == "internal_error", code
        elif status in ("429", "503"):
            assert code in ("timed_out", "closed"), code


def test_every_state_of_a_fan_has_its_line() -> None:
    table = {row[0].strip(" |`") for row in rows("Wait for your turn")}
    assert table >= {*FanState}


def test_the_page_is_found() -> None:
    assert "(docs/clients.md)" in (ROOT / "README.md").read_text()


def test_a_site_serves_the_page(site: Site) -> None:
    found = re.search(r'href="(/static/[^"]+/clients\.txt)"', site.client().get("/schema").content.decode())
    assert found is not None
    answer = site.client().get(found[1])
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.content.decode() == TEXT


def test_a_static_text_names_its_encoding_once(site: Site) -> None:
    page = site.client().get("/schema").content.decode()
    kinds = {site.client().get(path).headers["Content-Type"] for path in re.findall(r'="(/static/[^"]+)"', page)}
    assert kinds >= {"text/css; charset=utf-8", "text/plain; charset=utf-8"}


# -- the clients of the page; those of one test run side by side, for most of their time is waiting


@contextlib.contextmanager
def clients(url: str, events: dict[str, int], folder: Path) -> Iterator[dict[str, Running]]:
    """The client of each language, at its own event."""
    running: dict[str, Running] = {}
    try:
        for language, event_id in events.items():
            (folder / language).mkdir()
            running[language] = Running(language, url, event_id, folder / language)
        yield running
    finally:
        for client in running.values():
            client.kill()


@pytest.mark.long
@pytest.mark.parametrize("room", [pytest.param(OPEN_DOOR, id="open"), pytest.param(OFF, id="off")])
def test_a_client_buys_and_cancels(site: Site, tmp_path: Path, room: RoomSeed) -> None:
    events = {language: site.event(room=room) for language in RUN_BY}
    with clients(site.url, events, tmp_path) as running:
        for language, event_id in events.items():
            output = running[language].finish()
            assert bought(site, event_id) == ONE_OF_EACH, output
            assert "paid back: 4900" in output


@pytest.mark.long
def test_a_client_waits_in_a_line_that_closes_and_opens_again(site: Site, tmp_path: Path) -> None:
    events = {language: site.event(room=ONE_INSIDE) for language in RUN_BY}
    inside = {event_id: site.admitted_fan(event_id) for event_id in events.values()}
    operator = site.operator()
    with clients(site.url, events, tmp_path) as running:
        for is_closed, words in ((True, "0 fans are before you"), (False, "the line is closed")):
            for client in running.values():
                client.until_it_says(words)
            for event_id in events.values():
                assert operator.patch(f"/api/ops/rooms/{event_id}", {"closed": is_closed}).status == 200
        for event_id, fan in inside.items():
            assert fan.call("DELETE", f"/api/queue/{event_id}").status == 204
        for language, event_id in events.items():
            output = running[language].finish()
            assert bought(site, event_id) == ONE_OF_EACH, output
            # The client has left: the next fan comes in.
            assert site.fan().join(event_id).json["state"] == "admitted"


@contextlib.contextmanager
def bad_network(url: str) -> Iterator[tuple[str, dict[str, int]]]:
    """A proxy that loses the answer to each command's first try, refuses its second, and cuts every other stream.

    Gives its address, and how often each command was tried, by its key, and each GET, by its path.
    """
    tries: dict[str, int] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            key = self.headers.get("Idempotency-Key") or self.path.partition("?")[0]
            tried = tries[key] = tries.get(key, 0) + 1
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            loses = "Idempotency-Key" in self.headers
            if loses and tried == 2:
                self.refuse()
                return
            address = urlsplit(url)
            with contextlib.closing(http.client.HTTPConnection(str(address.hostname), address.port)) as connection:
                connection.request(self.command, self.path, body, dict(self.headers))
                with connection.getresponse() as answer:
                    self.pass_on(answer, tried, loses=loses)

        def pass_on(self, answer: http.client.HTTPResponse, tried: int, *, loses: bool) -> None:
            is_stream = answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            if loses and tried == 1:
                answer.read()
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("transfer-encoding", "date", "connection"):
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            # The shell shows a stream once; the other clients connect again.
            if is_stream and tried % 2 == 1 and "curl" not in self.headers["User-Agent"]:
                self.wfile.write(answer.read1(10))
                return
            with contextlib.suppress(OSError):
                while chunk := answer.read1(65_536):
                    self.wfile.write(chunk)
                    self.wfile.flush()

        def refuse(self) -> None:
            document = json.dumps(problem("overloaded", retryAfterSeconds=1)).encode()
            self.send_response(503)
            for name, value in (("Content-Type", "application/problem+json"), ("Retry-After", "1")):
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - so the server calls them

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", tries
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.long
def test_a_client_whose_answers_are_lost_buys_once(site: Site, tmp_path: Path) -> None:
    events = {language: site.event(room=OPEN_DOOR) for language in RUN_BY}
    with bad_network(site.url) as (url, tries), clients(url, events, tmp_path) as running:
        for language, event_id in events.items():
            output = running[language].finish()
            assert bought(site, event_id) == ONE_OF_EACH, output
    commands = [tried for key, tried in tries.items() if not key.startswith("/")]
    assert len(commands) >= 3 * len(RUN_BY)
    assert min(commands) >= 3, "each had its answer lost, then was refused, then went through"
