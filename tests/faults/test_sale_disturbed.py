"""The short selection: one sale, disturbed in every way that takes seconds. The long forms are in the other modules."""

from __future__ import annotations

import contextlib
import datetime as dt
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from db.events.seed import RoomSeed
from tests.client import Answer, Fan
from tests.faults import test_sockets_held as sockets_held
from tests.faults.harness import BROKEN, Row, Sale, append_row
from tests.faults.proxy import Fate
from tests.faults.test_network_cut import FATES
from tests.faults.test_valkey_killed import killed_and_restarted
from tests.services import Service
from tests.waiting import await_that

SALE = {"gateways": 2, **sockets_held.ENVIRON}
OPEN_DOOR = RoomSeed(rate_per_minute=600_000, capacity=1000)
ALWAYS: Mapping[str, Mapping[Fate, float]] = {fate.name: {fate: 1.0} for fate in Fate}
CUT_SECONDS = 3
QUEUED = 20
QUEUED_MIN = 2


def test_one_rush_through_every_fault(sale: Sale) -> None:
    with sale.rush("in one rush: gateway kill -9, Valkey SIGKILL, network cuts") as rush:
        rush.await_normal()
        sale.kill_gateway(0)
        rush.await_recovery()
        sale.restart_gateway(0)
        killed_and_restarted(rush)
        sale.balancer.fates = FATES
        try:
            time.sleep(CUT_SECONDS)
        finally:
            sale.balancer.fates = {}
        rush.await_recovery()
    assert sale.balancer.met.total() > 0
    for service in sale.services.started:
        assert "Config(" not in service.text(), "settings are nothing for a log"
        assert "multiprocessing/process.py" not in service.text(), "a record is one line"


def test_sockets_that_take_nothing(sale: Sale) -> None:
    sockets_held.held_by(sale, slow=30, gone=30)


def test_what_a_killed_gateway_had_taken_is_answered_by_the_other(sale: Sale) -> None:
    """202s that only the killed gateway knew of, and a place that only its stream kept."""
    event_id = sale.event(room=RoomSeed(rate_per_minute=60_000, capacity=40))
    dying, staying = (gateway.url for gateway in sale.gateways)
    buyers = [Fan.arrive(dying) for _ in range(40)]
    for buyer in buyers:
        assert buyer.join(event_id).json["state"] == "admitted"
    waiting = [Fan.arrive(dying) for _ in range(10)]
    tokens = [fan.join(event_id).json["token"] for fan in waiting]
    with waiting[4].line(event_id, tokens[4]) as stream:
        assert stream.data("place")["position"] == 5
        taken = [buyer.reserve(event_id, [(1, number + 1, 1)], wait=0) for number, buyer in enumerate(buyers)]
        assert {answer.status for answer in taken} == {202}
        sale.kill_gateway(0)
        assert "bye" not in {event.event for event in stream.rest()}
    try:
        for number, (buyer, answer) in enumerate(zip(buyers, taken, strict=True)):
            job = buyer.at(staying).job(answer.json["jobId"], wait="20")
            assert job.result["seats"][0]["rowNumber"] == number + 1
        with waiting[4].at(staying).line(event_id, tokens[4]) as stream:
            assert stream.data("place")["position"] == 5
        # The same key at another gateway is the same command, though the first never answered.
        key = "in doubt"
        first = buyers[0].at(staying).reserve(event_id, [(1, 90, 1)], key=key)
        again = buyers[0].at(staying).reserve(event_id, [(1, 90, 1)], key=key)
        assert first.json["jobId"] == again.json["jobId"]
        assert buyers[1].at(staying).leave(event_id).status == 204
        first_in_line = waiting[0].at(staying)
        await_that(lambda: first_in_line.poll(event_id).json["state"] == "called")
    finally:
        sale.restart_gateway(0)


@contextlib.contextmanager
def asleep(worker: Service) -> Iterator[None]:
    """Whatever is taken meanwhile stays in the queue."""
    pool = psutil.Process(worker.pid)
    processes = [pool, *pool.children(recursive=True)]
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def test_queued_202s_outlive_a_killed_valkey(sale: Sale) -> None:
    """Its append-only file has them all, though nobody had begun with any."""
    event_id = sale.event(room=OPEN_DOOR)
    fans = [Fan.arrive(sale.balancer.url) for _ in range(QUEUED)]
    for fan in fans:
        assert fan.join(event_id).json["state"] == "admitted"

    def reserve(number: int) -> Answer:
        return fans[number].reserve(event_id, [(1, number + 1, 1)], wait=0)

    with ThreadPoolExecutor(QUEUED) as callers:
        with asleep(sale.workers[0]):
            # More than a gateway puts into the queue of a lane that is asleep; the rest wait for their 202.
            asked = [callers.submit(reserve, number) for number in range(QUEUED)]
            await_that(lambda: sum(one.done() for one in asked) >= QUEUED_MIN)
            time.sleep(0.5)
            queued = sum(one.done() and one.result().status == 202 for one in asked)
            sale.kill_valkey()
            sale.start_valkey()
        woken_at = time.monotonic()
        told = [one.result() for one in asked]
    taken = [(fan, answer.json["jobId"]) for fan, answer in zip(fans, told, strict=True) if answer.status == 202]
    ends = [fan.job(job_id, wait="20") for fan, job_id in taken]
    recovered_seconds = time.monotonic() - woken_at
    lost = sum(end.status != 200 or end.json["status"] != "succeeded" for end in ends)
    held = len(holds_of(fans, event_id))
    append_row(
        Row(
            at=dt.datetime.now(dt.UTC),
            fault="Valkey SIGKILL, restart with AOF, while 202s wait in the queue",
            fans=len(fans),
            acknowledged=len(taken),
            lost=lost,
            doubled=max(0, held - len(fans)),
            overtaken=0,
            gave_up=len(fans) - len(taken),
            recovery_seconds=[round(recovered_seconds, 3)],
            note=f"{queued} in the queue when it was killed",
        )
    )
    assert queued >= QUEUED_MIN
    assert lost == 0, [end.content for end in ends]
    assert len(taken) <= held <= len(fans)


def test_a_202_that_redis_lost_is_found_out_and_asked_again(sale: Sale) -> None:
    """404 wherever it is asked for; the same request with the same key is the same job, and happens once."""
    event_id = sale.event(room=OPEN_DOOR)
    fan = Fan.arrive(sale.balancer.url)
    assert fan.join(event_id).json["state"] == "admitted"
    with asleep(sale.workers[0]), sale.redis() as client:
        told = fan.reserve(event_id, [(1, 1, 1)], wait=0, key="mine")
        assert told.status == 202
        client.flushall()
    job_id = told.json["jobId"]
    for at_gateway in (fan.at(gateway.url) for gateway in sale.gateways):
        await_that(lambda one=at_gateway: one.job(job_id).code == "unknown_job")  # type: ignore[misc]
    assert holds_of([fan], event_id) == []

    def asked_again() -> bool:
        answer = fan.reserve(event_id, [(1, 1, 1)], key="mine")
        return answer.status == 200 and answer.json["jobId"] == job_id and answer.json["status"] == "succeeded"

    await_that(asked_again, 30)
    assert len(holds_of([fan], event_id)) == 1


def holds_of(fans: Sequence[Fan], event_id: int) -> list[str]:
    return [
        hold["reservationId"]
        for fan in fans
        for hold in fan.get(f"/api/reservations?eventId={event_id}").json["reservations"]
    ]


@pytest.mark.parametrize("fates", ALWAYS.values(), ids=ALWAYS.keys())
@pytest.mark.parametrize("with_key", [True, False], ids=["with key", "without"])
def test_a_retry_with_the_same_key_holds_and_buys_once(sale: Sale, fates: Mapping[Fate, float], with_key: bool) -> None:
    """The negative control has no key: where the request had arrived, its retry holds a second seat."""
    event_id = sale.event(room=OPEN_DOOR)
    fan = Fan.arrive(sale.balancer.url)
    assert fan.join(event_id).json["state"] == "admitted"

    def cut() -> None:
        sale.balancer.fates = fates

    def heal() -> None:
        sale.balancer.fates = {}

    def reserve() -> Answer:
        return fan.reserve(event_id, best=(1, 1), key="hold" if with_key else "")

    try:
        cut()
        with pytest.raises(BROKEN):
            reserve()
    finally:
        heal()
    hold = reserve().result
    held = fan.get(f"/api/reservations?eventId={event_id}").json["reservations"]
    arrived = Fate.CUT_REQUEST not in fates
    assert len(held) == (1 if with_key or not arrived else 2)
    if not with_key:
        return
    assert held[0]["reservationId"] == hold["reservationId"]

    try:
        cut()
        with pytest.raises(BROKEN):
            fan.checkout(event_id, hold["reservationId"], captcha="", key="buy")
    finally:
        heal()
    purchase = fan.checkout(event_id, hold["reservationId"], captcha="", key="buy").result
    assert [bought["purchaseId"] for bought in fan.get("/api/purchases").json["purchases"]] == [purchase["purchaseId"]]
