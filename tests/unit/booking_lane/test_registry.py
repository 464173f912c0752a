"""A command is registered wherever one is needed. These tests fail for a tenth command that is missing somewhere."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import get_args, get_type_hints

import msgspec
import pytest

from booking_lane.commands import KINDS, Command, Sweep, body_hash
from db.audit.ledger import LedgerLine
from db.booking.results import RESULTS, Result
from gateway.contract.booking import JOBS, Job
from gateway.contract.lists import ANSWERS
from tests.unit.booking_lane.test_commands import EVERY_KIND
from workers.engine.book import Book
from workers.engine.commands import RULES
from workers.engine.commands.rule import Rule

COMMANDS: tuple[type[Command], ...] = get_args(Command)
RECORDED = [command for command in COMMANDS if command.is_recorded]


def test_every_command_has_a_kind_of_its_own() -> None:
    assert list(KINDS) == list(COMMANDS)
    assert len(set(KINDS.values())) == len(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_rule_in_the_module_of_its_kind(command: type[Command]) -> None:
    module = import_module(f"workers.engine.commands.{KINDS[command]}")
    assert isinstance(module.RULE, Rule)
    assert RULES[command] is module.RULE
    decides = get_type_hints(module.decide)
    assert decides["command"] is command
    assert decides["book"] is Book
    assert issubclass(decides["return"], Result)
    if command.is_recorded:
        assert decides["return"] is RESULTS[KINDS[command]], "the engine's result is the one that is published"


def test_every_recorded_command_has_a_result_and_no_other_has() -> None:
    assert set(RESULTS) == {KINDS[command] for command in RECORDED}


@pytest.mark.parametrize("kind", RESULTS)
def test_every_result_is_described(kind: str) -> None:
    job = JOBS[kind]
    assert job in ANSWERS
    assert job in get_args(Job)
    assert job.__struct_config__.tag == kind
    (result,) = [field.type for field in msgspec.structs.fields(job) if field.name == "result"]
    assert RESULTS[kind] in get_args(result)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("command", RECORDED)
def test_every_recorded_command_has_a_route_that_answers_with_its_job(command: type[Command]) -> None:
    fans, desk = import_module("gateway.routes.booking").fans, import_module("gateway.routes.desk").operators
    waiting = import_module("gateway.routes.waiting").fans
    orders = import_module("gateway.routes.orders").operators
    handlers = (*fans.handlers, *desk.handlers, *waiting.handlers, *orders.handlers)
    (handler,) = [one for one in handlers if one.fn.__name__ == KINDS[command]]
    assert handler.responses[200].data_container is JOBS[KINDS[command]]
    assert command.__name__ in inspect.unwrap(handler.fn).__code__.co_names


@pytest.mark.parametrize("kind", RESULTS)
def test_the_ledger_takes_every_kind(kind: str) -> None:
    line = {"at": "2026-01-01T00:00:00Z", "userId": 1, "eventId": 1, "kind": kind, "jobId": None, "status": "failed"}
    assert msgspec.convert(line, LedgerLine).kind == kind


def test_every_field_that_is_asked_is_a_part_of_the_body_hash() -> None:
    for command in EVERY_KIND:
        of_every_command = Sweep.__struct_fields__
        for name in set(command.__struct_fields__) - set(of_every_command):
            other = msgspec.structs.replace(command, **{name: "another"})
            assert body_hash(other) != body_hash(command), name
