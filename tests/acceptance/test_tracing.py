"""One trace from the POST to the statement and back to the answer, as a collector gets it from real processes."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from tests.acceptance.conftest import Site
from tests.client import Fan
from tests.outside import Outside, SentSpan, outside

ENVIRON = {"ADMITONE_TRACE_RATIO": "1", "ADMITONE_BATCHES_UNFINISHED_MAX": "1"}
PARENT_ID = "b7ad6b7169203331"
SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
"""https://github.com/open-telemetry/opentelemetry-proto: SpanKind."""


@pytest.fixture(scope="module", autouse=True)
def collector() -> Iterator[Outside]:
    """Started before the site, which is told of it."""
    with outside() as found:
        ENVIRON["ADMITONE_OTLP_ENDPOINT"] = found.url
        ENVIRON["ADMITONE_SENTRY_DSN"] = found.url.replace("//", "//apublickey@") + "/1"
        yield found


def reserve(fan: Fan, event_id: int, **headers: str) -> str:
    """Gives the job's id."""
    answer = fan.post(
        "/api/reserve",
        {"eventId": event_id, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}},
        Prefer="wait=30",
        **headers,
    )
    assert answer.json["status"] == "succeeded", answer.content
    return str(answer.json["jobId"])


def trace_of(collector: Outside, trace_id: str) -> dict[str, list[SentSpan]]:
    """The trace's spans by their names, once all is told."""
    found: dict[str, list[SentSpan]] = defaultdict(list)

    def complete() -> bool:
        found.clear()
        for span in collector.spans():
            if span.trace_id == trace_id:
                found[span.name.split(" lane-")[0]].append(span)
        return {"POST /api/reserve", "hear", "settle", "book"} <= set(found)

    collector.until(complete)
    return found


def test_one_trace_goes_from_the_post_to_the_statements_and_back(site: Site, collector: Outside) -> None:
    event_id = site.event()
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    fan = site.admitted_fan(event_id)
    job_id = reserve(fan, event_id, traceparent=f"00-{trace_id}-{PARENT_ID}-00")
    trace = trace_of(collector, trace_id)

    (post,) = trace["POST /api/reserve"]
    assert (post.kind, post.parent_id, post.service) == (SERVER, PARENT_ID, "admitone-gateway")
    assert post.attributes["http.response.status_code"] == "200"
    assert post.attributes["admitone.command_id"] == job_id
    assert post.attributes["admitone.request_id"] == trace_id
    (enqueue,) = trace["enqueue"]
    assert (enqueue.kind, enqueue.parent_id, enqueue.service) == (PRODUCER, post.span_id, "admitone-gateway")
    (book,) = trace["book"]
    assert (book.kind, book.parent_id, book.service) == (CONSUMER, enqueue.span_id, "admitone-worker")
    for batch in (enqueue, book):
        assert (trace_id, post.span_id) in batch.links
        assert batch.attributes["messaging.destination.name"] == f"lane-{event_id % 2}"
    (transaction,) = trace["postgres transaction"]
    assert transaction.parent_id == book.span_id
    statements = {
        name.removeprefix("postgres "): spans[0] for name, spans in trace.items() if name.startswith("postgres ")
    }
    del statements["transaction"]
    assert {"lock_events", "read_events", "write_outcomes"} <= set(statements)
    for name in ("lock_events", "write_outcomes"):
        assert (statements[name].kind, statements[name].parent_id) == (CLIENT, transaction.span_id)
        assert transaction.began_ns <= statements[name].began_ns <= statements[name].ended_ns <= transaction.ended_ns
    assert "INSERT INTO booking_command" in statements["write_outcomes"].attributes["db.query.text"]
    (publish,) = trace["publish"]
    assert publish.parent_id == book.span_id
    (hear,) = trace["hear"]
    assert (hear.kind, hear.parent_id, hear.service) == (CONSUMER, publish.span_id, "admitone-gateway")
    (wait,) = trace["wait"]
    assert wait.parent_id == post.span_id
    assert wait.links == ((trace_id, publish.span_id),)
    assert wait.began_ns <= hear.began_ns <= wait.ended_ns <= post.ended_ns


def test_a_batch_is_linked_to_every_command_in_it(site: Site, collector: Outside) -> None:
    event_id = site.event()
    fans = [site.admitted_fan(event_id) for _ in range(24)]
    with ThreadPoolExecutor(len(fans)) as pool:
        jobs = set(pool.map(lambda fan: reserve(fan, event_id), fans))

    def told() -> dict[str, SentSpan]:
        return {
            span.attributes["admitone.command_id"]: span
            for span in collector.spans()
            if span.attributes.get("admitone.command_id") in jobs
        }

    def linked() -> set[tuple[str, str]]:
        return {link for span in collector.spans() if span.name.startswith("book ") for link in span.links}

    collector.until(
        lambda: set(told()) == jobs and linked() >= {(one.trace_id, one.span_id) for one in told().values()}
    )
    spans = collector.spans()
    in_company = [span for span in spans if span.name.startswith("book ") and len(span.links) > 1]
    assert in_company, "no two commands ever travelled together"
    for batch in in_company:
        assert int(batch.attributes["messaging.batch.message_count"]) == len(batch.links)
    # And each request that waited is linked to the batch that had its outcome.
    published = {(span.trace_id, span.span_id) for span in spans if span.name == "publish"}
    waits = {span.parent_id: span for span in spans if span.name == "wait"}
    for one in told().values():
        assert set(waits[one.span_id].links) <= published
        assert waits[one.span_id].links


def test_the_requests_id_is_its_traces(site: Site, collector: Outside) -> None:
    answer = site.client().get("/api/no/such")
    trace_id = answer.headers["x-request-id"]
    collector.until(lambda: any(span.trace_id == trace_id for span in collector.spans()))
    (span,) = (span for span in collector.spans() if span.trace_id == trace_id)
    assert (span.name, span.attributes["http.response.status_code"]) == ("GET unmatched", "404")


def test_a_fault_is_reported_with_its_ids_and_no_secret(site: Site, collector: Outside) -> None:
    event_id = site.event()
    fan = site.admitted_fan(event_id)
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE purchase RENAME TO purchase_away")
        with pytest.raises(urllib.error.HTTPError) as failed:
            urllib.request.urlopen(urllib.request.Request(site.url + "/api/purchases", headers=fan.headers))
        failed.value.close()
        connection.execute("ALTER TABLE purchase_away RENAME TO purchase")
        connection.execute("ALTER TABLE reservation RENAME TO reservation_away")
        answer = fan.post(
            "/api/reserve",
            {"eventId": event_id, "bestAvailable": {"ticketTypeId": 1, "quantity": 1}},
            Prefer="wait=20",
        )
        connection.execute("ALTER TABLE reservation_away RENAME TO reservation")
    assert answer.json["status"] == "failed", answer.content

    def events_of(process: str, *, tag: str) -> list[dict[str, object]]:
        """The reports of such a process with that tag: the worker's own sweeps may meet the missing table too."""
        return [
            event
            for event in collector.events()
            if str(event["tags"]["process"]).startswith(process) and tag in event["tags"]
        ]

    collector.until(lambda: bool(events_of("gateway", tag="user_id")) and bool(events_of("worker", tag="batch_id")))
    (event,) = events_of("gateway", tag="user_id")
    assert event["exception"]["values"][-1]["type"] == "UndefinedTable"  # type: ignore[index]
    assert event["tags"]["request_id"] == failed.value.headers["x-request-id"]  # type: ignore[index]
    assert event["tags"]["user_id"] == str(fan.user_id)  # type: ignore[index]
    (event,) = events_of("worker", tag="batch_id")
    assert event["tags"]["process"] == f"worker lane-{event_id % 2}"  # type: ignore[index]
    assert {"batch_id", "trace_id"} <= set(event["tags"])  # type: ignore[call-overload]


def test_nothing_secret_has_left(site: Site, collector: Outside) -> None:
    """After all of the above."""
    for fan in (site.fan(), site.fan()):
        fan.get("/api/purchases")
    left = b"".join(body for _, body in collector.came)
    for secret in (b"eyJ", b"Bearer", b"secret of the tests"):
        assert secret not in left
    assert json.dumps(collector.events())
