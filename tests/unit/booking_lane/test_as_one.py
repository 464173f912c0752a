from __future__ import annotations

import pytest
import redis

from booking_lane.as_one import run_as_one


def test_all_commands_are_run_and_the_first_is_answered(jobs: redis.Redis) -> None:
    jobs.hset("one", mapping={"a": "1", "b": b"\x00 binary"})
    with jobs.pipeline() as pipe:
        pipe.hgetall("one")
        pipe.hset("two", mapping={"float": 1.5, "number": 7})
        pipe.zadd("three", {"member": 2.25})
        pipe.expire("three", 60)
        assert run_as_one(jobs, pipe) == [b"a", b"1", b"b", b"\x00 binary"]
        assert not pipe.command_stack
    assert jobs.hgetall("two") == {b"float": b"1.5", b"number": b"7"}
    assert jobs.zscore("three", "member") == 2.25
    assert 0 < jobs.ttl("three") <= 60


def test_what_comes_after_a_refused_command_is_not_done(jobs: redis.Redis) -> None:
    jobs.set("text", "x")
    with jobs.pipeline() as pipe:
        pipe.set("before", 1)
        pipe.sadd("text", "member")
        pipe.set("after", 1)
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
            run_as_one(jobs, pipe)
    assert jobs.exists("before", "after") == 1
