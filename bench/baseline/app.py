"""The obvious gateway: Litestar, a verified session, and one RQ job per request, whose end comes by pub/sub."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import redis
import redis.asyncio
from litestar import Litestar, Response, post
from rq import Queue

from bench.baseline import jobs
from gateway.contract.booking import CheckoutBody, ReserveBody
from gateway.identity.sessions import Identity
from gateway.wire.problems import HANDLERS
from gateway.wire.requests import AnyRequest

WAIT_SECONDS = 30.0
_identity = Identity(os.environ.get("ADMITONE_SECRET", ""), session_seconds=3600, open_auth=False, secure=False)
_waiting: dict[str, asyncio.Future[bytes]] = {}


@contextlib.asynccontextmanager
async def _lifespan(app: Litestar) -> AsyncIterator[None]:
    url = os.environ["REDIS_URL"]
    app.state["queue"] = Queue(jobs.QUEUE, connection=redis.Redis.from_url(url))
    listener = redis.asyncio.Redis.from_url(url)
    pubsub = listener.pubsub()
    await pubsub.subscribe(jobs.CHANNEL)

    async def listen() -> None:
        async for message in pubsub.listen():
            if message["type"] == "message":
                future = _waiting.get(msgspec.json.decode(message["data"])["job"])
                if future is not None and not future.done():
                    future.set_result(message["data"])

    task = asyncio.create_task(listen())
    yield
    task.cancel()
    await listener.aclose()


async def _run(request: AnyRequest, job: Any, *arguments: Any) -> Response[bytes]:
    queue: Queue = request.app.state["queue"]
    job_id = str(uuid.uuid4())
    future = _waiting[job_id] = asyncio.get_running_loop().create_future()
    try:
        # RQ's client is synchronous: it must not hold up the event loop.
        await asyncio.to_thread(queue.enqueue, job, *arguments, job_id=job_id)
        body = await asyncio.wait_for(future, WAIT_SECONDS)
    finally:
        del _waiting[job_id]
    return Response(body, media_type="application/json", status_code=200)


@post("/api/reserve")
async def reserve(request: AnyRequest, data: ReserveBody) -> Response[bytes]:
    user_id = _identity.fan(request).user_id
    assert data.seat_details
    seats = sorted(
        (detail.ticket_type_id, row, seat)
        for detail in data.seat_details
        for row, seat in zip(detail.meta_data.row_numbers, detail.meta_data.seat_numbers, strict=True)
    )
    return await _run(request, jobs.reserve, user_id, data.event_id, seats)


@post("/api/checkout")
async def checkout(request: AnyRequest, data: CheckoutBody) -> Response[bytes]:
    """No captcha is verified here, in the baseline's favour."""
    user_id = _identity.fan(request).user_id
    return await _run(request, jobs.checkout, user_id, data.event_id, str(data.reservation_id))


@post("/noop", status_code=204)
async def noop(request: AnyRequest) -> None:
    _identity.fan(request)


def create() -> Litestar:
    return Litestar([reserve, checkout, noop], exception_handlers=HANDLERS, lifespan=[_lifespan])
