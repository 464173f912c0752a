"""Schemathesis over the gateway's own description: every check, examples, boundaries and links.

As a fan; and in the long tests as an operator, as nobody and along the links. Each is a process of its own, with a seed
of its own. The longest form draws data too.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.acceptance.conftest import Site
from tests.services import ROOT

ENVIRON = {"ADMITONE_CAPTCHA": "off"}
CONFIG = Path(__file__).parent / "schemathesis.toml"
# Its body is a whole hall, for which this phase makes a thousand cases, more than for all other operations together.
SHORT = """
[phases.coverage]
# Every address refuses a method that it does not have by the same code, so one method stands for the seven others.
unexpected-methods = ["TRACE"]

[[operations]]
include-name = "POST /api/ops/events"
phases.coverage.enabled = false
"""
"""What the short runs add to the configuration."""
SHORT_ONE_IN = 3
FANS_ONE_IN = 12
"""The short runs try so small a part of the cases of their phase of coverage; see `filter_case` in the hooks. The
fan's, whose operations `tests/security/test_wire.py` tries besides, would take longer than all others together.
"""
SECONDS_MAX = 280
LONG_SECONDS_MAX = 1500
pytestmark = pytest.mark.timeout(SECONDS_MAX + 20)

KNOWN = {
    # Litestar answers OPTIONS with the methods of the handler that was registered first.
    "AllowHeaderMismatch": "`Allow: ",
    # A body that may be left out was left out: Schemathesis meant it to be bad, and names nothing that is.
    "AcceptedNegativeData": "Invalid component: positive test case",
}
"""Complaints that are none, by their kind: what they say."""
WAY = (
    "POST /api/queue/{event_id}",
    "POST /api/queue/{event_id}/claim",
    "POST /api/reserve",
    "GET /api/jobs/{job_id}",
    "PUT /api/checkout",
    "GET /api/purchases/{purchase_id}",
    "POST /api/purchases/{purchase_id}/cancel",
    "GET /api/reservations",
    "DELETE /api/reservations/{reservation_id}",
)
"""A fan's way and its turnings."""
STEPS = (
    ("claim", "reserve", "job"),
    ("reserve", "holds"),
    ("reserve", "seats"),
    ("reserve", "release"),
    (
        "reserve",
        "checkout",
        "purchase",
        "cancel",
    ),
)
"""Links to be followed one after the other, each from a join."""


@dataclass
class Run:
    """A finished run."""

    report: Mapping[str, Any]
    events: Path
    output: str

    @functools.cached_property
    def faults(self) -> list[str]:
        """The failures, without what is known."""
        found = []
        for recorder, _ in self._scenarios:
            for name, checks in recorder["checks"].items():
                for failure in (check["failure_info"]["failure"] for check in checks if check["status"] == "failure"):
                    known = KNOWN.get(failure["type"])
                    options = failure["type"] != "AllowHeaderMismatch" or self._method(recorder, name) == "OPTIONS"
                    if known is None or known not in failure["message"] or not options:
                        found.append(f"{failure['operation']}: {failure['title']}: {failure['message']}")
        return found

    @staticmethod
    def _method(recorder: Mapping[str, Any], name: str) -> str:
        return str(recorder["cases"][name]["value"]["method"])

    @functools.cached_property
    def _scenarios(self) -> list[tuple[Mapping[str, Any], str]]:
        """What each scenario recorded, with its phase."""
        read = (json.loads(line).get("ScenarioFinished") for line in self.events.read_text().splitlines())
        return [(found["recorder"], found["phase"]) for found in read if found and "checks" in found["recorder"]]

    @property
    def cases(self) -> int:
        return int(self.report["test_cases"]["generated"])

    def accepted(self, operation: str, phase: str) -> int:
        """How many requests of the operation were answered 2xx in this phase."""
        return self._accepted[operation, phase]

    @functools.cached_property
    def _accepted(self) -> Counter[tuple[str, str]]:
        found: Counter[tuple[str, str]] = Counter()
        for recorder, phase in self._scenarios:
            for name, interaction in recorder["interactions"].items():
                case, response = recorder["cases"][name]["value"], interaction.get("response") or {}
                if 200 <= response.get("status_code", 0) < 300:
                    found[f"{case['method']} {case['path']}", phase] += 1
        return found

    def check(self, *, cases_min: int) -> None:
        """Raises:
        AssertionError: a fault, an error of the run itself, or fewer cases than would say anything.
        """
        assert self.faults == [], "\n\n".join(fault[:600] for fault in self.faults[:10])
        assert self.report["errors"] == [], self.output[-6000:]
        assert self.report["complete"], self.report["stop_reason"]
        assert self.cases >= cases_min, self.output[-3000:]


@dataclass
class Started:
    """A run under way."""

    process: subprocess.Popen[bytes]
    folder: Path

    def finish(self, seconds_max: float = SECONDS_MAX) -> Run:
        self.process.wait(seconds_max)
        output = (self.folder / "output.txt").read_text()
        assert (self.folder / "report.json").exists(), output[-6000:]
        return Run(json.loads((self.folder / "report.json").read_text()), self.folder / "events.ndjson", output)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def start(
    site: Site,
    folder: Path,
    headers: Mapping[str, str],
    *arguments: str,
    seed: int = 1,
    config: str = SHORT,
    one_in: int = SHORT_ONE_IN,
) -> Started:
    """Run Schemathesis with these headers and arguments; ``config`` is added to `CONFIG`."""
    configured = folder / "schemathesis.toml"
    configured.write_text(CONFIG.read_text() + config)
    said = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(configured), "run"),
        f"{site.url}/schema/openapi.json",
        *("--checks", "all", "--no-color", "--seed", str(seed)),
        *("--report-json-path", str(folder / "report.json"), "--report-ndjson-path", str(folder / "events.ndjson")),
        *said,
        *arguments,
    ]
    with (folder / "output.txt").open("wb") as output:
        # It leaves a cache where it runs, and finds its hooks on the path.
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ
            | {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}", "SCHEMATHESIS_ONE_IN": str(one_in)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return Started(process, folder)


@dataclass
class People:
    """Who asks, by the headers they send. The fan is admitted to event 1, which the description's examples name."""

    nobody: Mapping[str, str]
    fan: Mapping[str, str]
    operator: Mapping[str, str]


@pytest.fixture(scope="module")
def people(site: Site) -> People:
    assert (site.event(seats_per_fan_max=100), site.event(), site.event()) == (1, 2, 3)
    fan = site.admitted_fan(1)
    # A script's token: an operator's own session would end when its sign-out is tried.
    made = site.services.run("token", "--role", "owner", "--name", "schemathesis")
    return People({}, fan.headers, {"Authorization": f"Bearer {made.stdout.strip()}"})


@pytest.fixture(scope="module")
def fans_run(site: Site, people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """What `make test` runs of it."""
    run = start(
        site,
        tmp_path_factory.mktemp("fan"),
        people.fan,
        *("--phases", "examples,coverage", "--exclude-path-regex", "^/api/ops"),
        # POST /api/checkout is PUT's own handler: the long form's.
        *("--exclude-operation-id", "bookingCheckoutPost"),
        one_in=FANS_ONE_IN,
    )
    yield run
    run.end()


@pytest.fixture(scope="module")
def runs(site: Site, people: People, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Started]]:
    """The other short runs, started together."""
    started = {
        "way": start(
            site,
            tmp_path_factory.mktemp("way"),
            people.fan,
            *("--phases", "stateful", "-n", "50"),
            *(word for operation in WAY for word in ("--include-name", operation)),
            seed=3,  # With 1 and 2 the draws of today's description never join as the fan.
        ),
        "operator": start(
            site,
            tmp_path_factory.mktemp("operator"),
            people.operator,
            *("--phases", "examples,coverage", "--include-path-regex", "^/api/ops/(?!session)"),
        ),
        "nobody": start(site, tmp_path_factory.mktemp("nobody"), {}, "--phases", "fuzzing", "-n", "2"),
    }
    yield started
    for run in started.values():
        run.end()


def test_a_fan_finds_no_fault(fans_run: Started) -> None:
    fans_run.finish().check(cases_min=300)


@pytest.mark.long
def test_the_links_hold_in_any_order(runs: dict[str, Started]) -> None:
    run = runs["way"].finish()
    run.check(cases_min=40)
    # Which links it follows is chance, and a claim needs its call: `test_the_links_lead…` follows each in order.
    assert run.accepted(WAY[0], "stateful") > 0, run.output[-3000:]
    assert sum(run.accepted(operation, "stateful") for operation in WAY[1:]) > 0, run.output[-3000:]


@pytest.mark.parametrize("steps", STEPS, ids="-".join)
def test_the_links_lead_from_the_line_to_a_ticket(site: Site, steps: tuple[str, ...]) -> None:
    """As a client would who knows nothing but the description."""
    fan = site.fan()
    document = fan.get("/schema/openapi.json").json
    described = {
        operation["operationId"]: (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    name, values, body = "queueJoin", {"event_id": site.event()}, None
    for step in (*steps, ""):
        method, path, operation = described[name]
        query: dict[str, str] = {}
        headers: dict[str, str] = {}
        for parameter in operation.get("parameters", ()):
            if parameter["name"] in values and parameter["in"] != "path":
                (query if parameter["in"] == "query" else headers)[parameter["name"]] = str(values[parameter["name"]])
        address = path.format(**values) + (f"?{urlencode(query)}" if query else "")
        answer = fan.call(method, address, body, headers=headers)
        assert answer.status < 300, (name, answer.content)
        assert answer.code == "", (name, answer.content)
        if not step:
            break
        said = {"path": values, "query": values, "request": body, "response": answer.json}
        link = operation["responses"][str(answer.status)]["links"][step]
        name, values = link["operationId"], resolved(link.get("parameters", {}), said)
        body = resolved(link.get("requestBody"), said)


def resolved(value: Any, said: Mapping[str, Any]) -> Any:
    """A link's value with its runtime expressions resolved (OpenAPI 3.1, 4.8.20.4)."""
    if isinstance(value, dict):
        return {name: resolved(member, said) for name, member in value.items()}
    if not isinstance(value, str) or not value.startswith("$"):
        return value
    source, _, pointer = value.partition("#/")
    if not pointer:
        _, where, name = source.split(".", 2)
        return said[where][name]
    found = said[source.split(".")[0].removeprefix("$")]
    for part in pointer.split("/"):
        found = found[int(part) if isinstance(found, list) else part]
    return found


@pytest.mark.long
def test_an_operator_finds_no_fault(runs: dict[str, Started]) -> None:
    run = runs["operator"].finish()
    run.check(cases_min=50)
    assert run.accepted("PATCH /api/ops/rooms/{event_id}", "coverage") > 0


@pytest.mark.long
def test_nobody_finds_no_fault(runs: dict[str, Started]) -> None:
    runs["nobody"].finish().check(cases_min=50)


def test_the_logs_tell_of_no_fault(site: Site, fans_run: Started) -> None:
    """The tests above have waited for the other runs, where they are made."""
    fans_run.process.wait(SECONDS_MAX)
    for service in site.services.started:
        assert "Traceback" not in service.text(), service.text()[-3000:]


@pytest.mark.long
@pytest.mark.deep
@pytest.mark.timeout(3 * LONG_SECONDS_MAX)
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("who", ["fan", "operator", "nobody"])
def test_the_long_form(site: Site, people: People, tmp_path: Path, who: str, seed: int) -> None:
    phases = "examples,coverage,fuzzing" + ("" if who == "operator" else ",stateful")
    # Not with several workers: their threads run into CPython's gh-106905.
    chosen = ("-n", "100", "--phases", phases, "--exclude-operation-id", "sessionsNewOperatorSession")
    headers = getattr(people, who)
    started = start(site, tmp_path, headers, *chosen, seed=seed, config="", one_in=1)
    try:
        started.finish(LONG_SECONDS_MAX).check(cases_min=2000)
    finally:
        started.end()
