"""What the published description says beyond the types: problems, headers, links.

Litestar describes parameters, bodies and answers from the handlers. `answers` gives a handler the problems it may
meet, by their codes; `complete` adds what no type can say. Schemathesis holds all of it to a running gateway.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from litestar.openapi.datastructures import ResponseSpec

from booking_lane.problems import CATALOGUE

PROBLEM_TYPE: Final = "application/problem+json"
REFERENCE: Final = "#/components/schemas/{name}"
_DESCRIPTIONS: Final = {
    200: "The answer",
    202: "Taken: the job tells what becomes of it",
    204: "Done",
    304: "As the client has it",
}

Fields = dict[str, Any]
"""An object of the description: a JSON Schema, a header, a link, a request body."""


def answers(
    codes: Iterable[str], problem: type, *, also: Mapping[int, type | None] | None = None
) -> dict[int, ResponseSpec]:
    """A handler's ``responses``: problems by their codes, and ``also`` further answers by status.

    ``unavailable`` is always among them, for nothing works without Postgres and Redis.

    Args:
        problem: the type of a problem's body.
    """
    found = {
        status: ResponseSpec(kind, description=_DESCRIPTIONS[status], generate_examples=False)
        for status, kind in (also or {}).items()
    }
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for code in dict.fromkeys((*codes, "unavailable")):
        by_status[CATALOGUE[code].status].append(f"`{code}`: {CATALOGUE[code].detail}")
    for status, said in by_status.items():
        found[status] = ResponseSpec(
            problem, description=" ".join(said), media_type=PROBLEM_TYPE, generate_examples=False
        )
    return found


def header(name: str, description: str) -> Fields:
    """A header that a handler reads by itself, and that may be left out."""
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


def link(operation_id: str, parameters: Mapping[str, Any], body: Any = None) -> Fields:
    """What an answer leads to: a call of the operation with ``parameters`` and perhaps a ``body``, whose values may be
    runtime expressions of OpenAPI, e.g. ``$response.body#/jobId``.
    """
    found = {"operationId": operation_id, "parameters": parameters}
    return found if body is None else found | {"requestBody": body}


@dataclass(frozen=True, slots=True)
class Details:
    """What the types of an operation do not say.

    ``headers``: read by the handler itself. ``links``: by the status of the answer and the link's name. ``body``: the
    request body, where the handler reads it by itself.
    """

    headers: Sequence[Fields] = ()
    links: Mapping[str, Mapping[str, Fields]] = field(default_factory=dict)
    body: Fields | None = None


def complete(
    document: Fields,
    details: Mapping[str, Details],
    types: Sequence[type],
    unions: Mapping[str, Any],
    parameter_examples: Mapping[str, Sequence[Any]],
) -> Fields:
    """The description with bodies, headers, links and the bounds of types.

    Args:
        details: by operation id.
        types: bodies and answers, each described as msgspec has it.
        unions: answers that are one of several types, told apart by a field; each is described under its name.
        parameter_examples: by the parameter's name.
    """
    operations = {
        operation["operationId"]: operation
        for methods in document["paths"].values()
        for operation in methods.values()
        if isinstance(operation, dict) and "operationId" in operation
    }
    for name, operation in operations.items():
        for parameter in operation.get("parameters", ()):
            _complete_parameter(parameter, parameter_examples)
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if "oneOf" in body.get("schema", {}):
            # A body that may be null may as well be left out.
            body["schema"] = body["schema"]["oneOf"][0]
            operation["requestBody"]["required"] = False
        if name in details:
            _add_details(operation, details[name])
            followed = [link["operationId"] for links in details[name].links.values() for link in links.values()]
            assert operations.keys() >= set(followed), f"{name} leads to an operation that is none of {followed}"
    # msgspec knows the bounds of its types better than Litestar, which drops some.
    schemas = document["components"]["schemas"]
    schemas |= msgspec.json.schema_components(types, ref_template=REFERENCE)[1]
    for name, union in unions.items():
        ((described_union,), _) = msgspec.json.schema_components((union,), ref_template=REFERENCE)
        schemas[name] = {"oneOf": described_union["anyOf"], "discriminator": described_union["discriminator"]}
        _name_union(operations.values(), name, described_union["anyOf"])
    for described in (*operations.values(), *schemas.values()):
        if "description" in described:
            described["description"] = inspect.cleandoc(described["description"]).replace("``", "`")
    return document


def _name_union(operations: Iterable[Fields], name: str, options: Sequence[Fields]) -> None:
    """Let answers that list the union's types refer to it instead."""
    for operation in operations:
        for response in operation["responses"].values():
            for content in response.get("content", {}).values():
                if content.get("schema", {}).get("oneOf") == options:
                    content["schema"] = {"$ref": REFERENCE.format(name=name)}


def _add_details(operation: Fields, details: Details) -> None:
    if details.body is not None:
        operation["requestBody"] = details.body
    if details.headers:
        operation.setdefault("parameters", []).extend(details.headers)
    for status, links in details.links.items():
        operation["responses"][status]["links"] = links


def _complete_parameter(parameter: Fields, examples: Mapping[str, Sequence[Any]]) -> None:
    """Describe what may be left out without null, which is never sent."""
    schema = parameter["schema"]
    for option in schema.pop("oneOf", ()):
        if option != {"type": "null"}:
            schema.update(option)
    if parameter["name"] in examples:
        schema["examples"] = list(examples[parameter["name"]])
