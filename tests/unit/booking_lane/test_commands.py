from __future__ import annotations

import hashlib
import pickle
import time
import uuid

import msgspec
import pytest

from booking_lane.commands import (
    KINDS,
    BestAvailable,
    Command,
    body_hash,
    command_id_for,
    command_id_new,
    decode_batch,
    encode_batch,
)
from booking_lane.problems import CATALOGUE, problem
from booking_lane.serializer import MsgpackSerializer
from tests.unit.booking_lane.asks import (
    batch,
    best,
    cancel,
    checkout,
    confirm,
    extend,
    fail,
    give,
    keep,
    leave,
    merge,
    release,
    reserve,
    sweep,
    take,
    wait,
)


def test_a_new_id_is_a_uuid_of_version_7() -> None:
    before = time.time_ns() // 1_000_000
    ids = [command_id_new() for _ in range(2000)]
    after = time.time_ns() // 1_000_000
    assert len(set(ids)) == 2000
    for command_id in ids:
        assert command_id.version == 7
        assert command_id.variant == uuid.RFC_4122
        assert before <= command_id.int >> 80 <= after
    # Every bit that RFC 9562 leaves random is, in two thousand ids, now 0 and now 1.
    random_bits = (1 << 80) - 1 ^ 0xF << 76 ^ 0x3 << 62
    ones, zeros = 0, 0
    for command_id in ids:
        ones |= command_id.int
        zeros |= ~command_id.int
    assert ones & zeros & random_bits == random_bits


def test_new_ids_sort_by_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 1_700_000_000_000_000_000
    ids = []
    for later_ms in range(50):
        monkeypatch.setattr(time, "time_ns", lambda later_ms=later_ms: now_ns + later_ms * 1_000_000)
        ids.append(command_id_new())
    assert sorted(ids) == ids
    assert sorted(ids, key=str) == ids


def test_an_idempotency_key_has_one_id_for_its_fan_alone() -> None:
    first = command_id_for(7, "key")
    assert first == command_id_for(7, "key")
    others = [command_id_for(8, "key"), command_id_for(7, "kez"), command_id_for(7, ""), command_id_new()]
    assert first not in others
    assert command_id_for(1, "2:x") != command_id_for(12, ":x")


def test_the_body_hash_tells_bodies_and_kinds_apart() -> None:
    first = body_hash(reserve(1, 7, (1, 1, 1)))
    assert len(first) == 16
    assert first == body_hash(reserve(1, 8, (1, 1, 1), deadline_ms=5, body_hash=b"another", trace="another"))
    others: list[Command] = [
        reserve(1, 7, (1, 1, 2)),
        reserve(2, 7, (1, 1, 1)),
        best(1, 7, 1, 1),
        best(1, 7, 1, 1, accessible=True),
        checkout(1, 7, (1, 1, 1)),
    ]
    assert len({first, *map(body_hash, others)}) == 6


def test_the_body_hash_of_release_0_1_0_stays() -> None:
    """A retry may come to a gateway of the next release: its Idempotency-Key must find the first request's outcome."""
    hold, purchase, seats = uuid.UUID(int=7), uuid.UUID(int=8), ((1, 2, 3), (1, 2, 4))
    asked: dict[Command, tuple[str, object]] = {
        reserve(1, 2, *seats): ("reserve", (1, seats, None)),
        best(1, 2, 3, 4): ("reserve", (1, (), BestAvailable(3, 4))),
        checkout(1, 2, *seats): ("checkout", (1, seats, None)),
        checkout(1, 2, hold=hold): ("checkout", (1, (), hold)),
        release(1, 2, hold): ("release", (1, hold)),
        cancel(1, 2, purchase, *seats): ("cancel", (1, purchase, seats)),
    }
    for command, parts in asked.items():
        assert body_hash(command) == hashlib.blake2b(msgspec.msgpack.encode(parts), digest_size=16).digest()


EVERY_KIND = (
    reserve(1, 2, (1, 2, 3), (1, 2, 4), body_hash=b"0123456789abcdef"),
    best(1, 2**53 - 1, 3, 4),
    checkout(1, 2, (1, 2, 3)),
    checkout(1, 2, hold=uuid.uuid4()),
    release(1, 2, uuid.uuid4()),
    extend(1, 2, uuid.uuid4(), 300),
    cancel(1, 2, uuid.uuid4()),
    cancel(1, 2, uuid.uuid4(), (1, 2, 3)),
    give(1, 2, (1, 2, 3)),
    take(1, 2, uuid.uuid4(), (1, 2, 3)),
    wait(1, 2, 3, 4),
    leave(1, 2),
    sweep(9),
    confirm(1, 2, uuid.uuid4(), uuid.uuid4(), (1, 2, 3)),
    fail(1, 2, uuid.uuid4(), uuid.uuid4()),
    keep(1, 2, uuid.uuid4(), uuid.uuid4()),
    merge(1, 2, 3),
)


def test_a_batch_survives_its_way() -> None:
    sent = batch(*EVERY_KIND, lane=3, origin="origin")
    assert decode_batch(encode_batch(sent)) == sent
    assert {type(command) for command in EVERY_KIND} == set(KINDS)


@pytest.mark.parametrize(
    "change",
    [
        {"k": "cancel_everything"},
        {"k": None},
        {"user_id": "7"},
        {"command_id": "not a uuid"},
        {"seats": [[1, 2]]},
        {"seats": [[1, 2, 3, 4]]},
    ],
)
def test_what_is_no_command_is_refused(change: dict[str, object]) -> None:
    wire = msgspec.msgpack.decode(encode_batch(batch(EVERY_KIND[0])))
    wire[3][0].update(change)
    with pytest.raises(msgspec.ValidationError):
        decode_batch(msgspec.msgpack.encode(wire))


def test_a_command_without_its_deadline_is_refused() -> None:
    wire = msgspec.msgpack.decode(encode_batch(batch(EVERY_KIND[0])))
    del wire[3][0]["deadline_ms"]
    with pytest.raises(msgspec.ValidationError, match="deadline_ms"):
        decode_batch(msgspec.msgpack.encode(wire))


class Trap:
    """Says when it is unpickled."""

    sprung = False

    @staticmethod
    def spring() -> None:
        Trap.sprung = True

    def __reduce__(self) -> tuple[object, tuple[()]]:
        return Trap.spring, ()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_serializer_unpickles_nothing(protocol: int) -> None:
    trap = pickle.dumps(Trap(), protocol)
    pickle.loads(trap)
    assert Trap.sprung, "the trap works"
    Trap.sprung = False
    for payload in (trap, b"\x80" + trap):
        try:
            loaded = MsgpackSerializer.loads(payload)
        except msgspec.DecodeError:
            pass
        else:
            assert not isinstance(loaded, Trap)
    assert not Trap.sprung


def test_the_serializer_carries_what_rq_gives_it() -> None:
    data = ["workers.jobs.book", None, [encode_batch(batch(*EVERY_KIND))], {"plain": 1}]
    assert MsgpackSerializer.loads(MsgpackSerializer.dumps(data)) == data
    with pytest.raises(TypeError):
        MsgpackSerializer.dumps(object())


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_problem_says_what_it_is(code: str) -> None:
    document = problem(code, seats=[1])
    assert document["code"] == code
    assert document["type"].endswith("/" + code)
    assert 400 <= document["status"] <= 599
    assert document["title"]
    assert document["detail"].endswith(".")
    assert document["seats"] == [1]
    assert problem(code, "Another sentence.")["detail"] == "Another sentence."


def test_an_unknown_problem_is_an_error() -> None:
    with pytest.raises(KeyError):
        problem("no_such_code")
