"""What a gateway asks Postgres of operators' sessions: once for many requests, and ahead of need."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import event

from db.connections.engines import create_engine
from db.operators.accounts import add_operator
from db.operators.sessions import begin_session, end_session
from gateway.identity.operators import AHEAD_SECONDS, BELIEVED_SECONDS, OperatorSessions
from gateway.identity.sessions import Session
from gateway.wire.problems import ProblemError
from tests.ending import dispose

SESSION = Session(0, "operator", "the session of doris", "doris")


async def test_a_session_is_asked_for_once_and_ahead(database_url: str) -> None:
    add_operator(database_url, "doris", "correct horse battery staple")
    engine = create_engine(database_url, pool_max=4)
    asked, was_asked = 0, asyncio.Event()

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def count(*_: Any) -> None:
        nonlocal asked
        asked += 1
        was_asked.set()

    async with engine.begin() as connection:
        await begin_session(connection, SESSION.jti, "doris", network="", agent="", seconds=3600)
    now, asked = 1000.0, 0
    sessions = OperatorSessions(engine, frozenset(), now=lambda: now)

    async def confirm_many() -> None:
        found = await asyncio.gather(*(sessions.confirmed(SESSION) for _ in range(20)))
        assert {one.name for one in found} == {"doris"}

    await confirm_many()
    assert asked == 1, "one question answers all who wait for it"
    await confirm_many()
    assert asked == 1, "what was said a moment ago is believed"

    now += AHEAD_SECONDS + 0.01
    was_asked.clear()
    await sessions.confirmed(SESSION)
    assert asked == 1, "nobody waits"
    await confirm_many()
    await asyncio.wait_for(was_asked.wait(), 30)
    assert asked == 2, "and Postgres is asked meanwhile, once"

    async with engine.begin() as connection:
        await end_session(connection, SESSION.jti, "doris", "signed out")
    now += BELIEVED_SECONDS + 0.01
    with pytest.raises(ProblemError):
        await sessions.confirmed(SESSION)
    await dispose(engine)


async def test_a_session_that_ended_is_refused_though_an_answer_of_before_came_late(database_url: str) -> None:
    """What Postgres says is as old as the question, however long the answer takes."""
    add_operator(database_url, "doris", "correct horse battery staple")
    engine = create_engine(database_url, pool_max=4)
    now, answer_seconds = 1000.0, 0.0

    @event.listens_for(engine.sync_engine, "before_cursor_execute")
    def take_long(*_: Any) -> None:
        nonlocal now
        now += answer_seconds

    try:
        async with engine.begin() as connection:
            await begin_session(connection, SESSION.jti, "doris", network="", agent="", seconds=3600)
        sessions = OperatorSessions(engine, frozenset(), now=lambda: now)
        answer_seconds = BELIEVED_SECONDS + 0.01
        await sessions.confirmed(SESSION)
        answer_seconds = 0.0
        async with engine.begin() as connection:
            await end_session(connection, SESSION.jti, "doris", "signed out")
        with pytest.raises(ProblemError):
            await sessions.confirmed(SESSION)
    finally:
        await dispose(engine)
