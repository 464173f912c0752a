"""The gateway's own description as attacks need it: every operation, with a good request for each."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from tests.client import Answer, Client, check

METHODS = ("get", "post", "put", "patch", "delete")
NOBODY = "00000000-0000-7000-8000-000000000000"
"""An id that is nobody's."""


@dataclass(frozen=True)
class Operation:
    """One operation; ``who`` is fan, operator or nobody."""

    method: str
    path: str
    who: str
    streams: bool
    parameters: tuple[Mapping[str, Any], ...] = field(repr=False)
    body: Any = field(repr=False)
    """A good body, or None where it takes none."""
    strings: tuple[tuple[str, ...], ...] = field(repr=False)
    """Where in the body any string may stand."""

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def named(self, *places: str) -> Iterator[str]:
        """Its parameters in these places: path, query, header."""
        return (parameter["name"] for parameter in self.parameters if parameter["in"] in places)

    def call(
        self,
        client: Client,
        *,
        ids: Mapping[str, object] | None = None,
        changed: Mapping[str, str] | None = None,
        body: Any = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """A good request with ``changed`` parameters; of a stream only the head is read.

        Raises:
            AssertionError: a 5xx other than 503, or an error that is no problem document.
        """
        values = {parameter["name"]: _good(parameter) for parameter in self.parameters if parameter["required"]}
        values |= {name: value for name, value in (ids or {}).items() if name in set(self.named("path", "query"))}
        values |= changed or {}
        path = self.path
        for name in self.named("path"):
            path = path.replace("{" + name + "}", quote(str(values[name]), safe=""))
        query = {name: str(values[name]) for name in self.named("query") if name in values}
        sent = {name: str(values[name]) for name in self.named("header") if name in values}
        if query:
            path += f"?{urlencode(query)}"
        if not self.streams:
            return client.call(
                self.method, path, self.body if body is None else body, raw=raw, headers=sent | dict(headers or {})
            )
        with contextlib.closing(client._connect(20)) as connection:
            connection.request(self.method, path, headers=client.headers | sent | dict(headers or {}))
            with connection.getresponse() as response:
                answer = Answer(response.status, response.headers, b"" if response.status == 200 else response.read())
        check(answer)
        return answer


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Every operation that is described."""
    return [
        _operation(document, method, path, found)
        for path, methods in document["paths"].items()
        for method, found in methods.items()
        if method in METHODS
    ]


def _operation(document: Mapping[str, Any], method: str, path: str, found: Mapping[str, Any]) -> Operation:
    security = found.get("security") or [{}]
    content = found.get("requestBody", {}).get("content", {}).get("application/json")
    body: Any = None
    strings: tuple[tuple[str, ...], ...] = ()
    if content is not None:
        schema = _resolved(document, content["schema"])
        assert "examples" in schema, f"{method} {path}: a body without an example is not attacked"
        body = schema["examples"][0]
        strings = tuple(_strings(document, schema, ()))
    return Operation(
        method.upper(),
        path,
        next(iter(security[0]), "nobody"),
        any("text/event-stream" in response.get("content", {}) for response in found["responses"].values()),
        tuple(found.get("parameters", ())),
        body,
        strings,
    )


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _strings(
    document: Mapping[str, Any], schema: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    schema = _resolved(document, schema)
    for option in schema.get("anyOf", ()):
        yield from _strings(document, option, path)
    if schema.get("type") == "string":
        yield path
    for name, member in schema.get("properties", {}).items():
        yield from _strings(document, member, (*path, name))


def _good(parameter: Mapping[str, Any]) -> object:
    schema = parameter["schema"]
    if "examples" in schema:
        return schema["examples"][0]
    if schema.get("format") == "uuid":
        return NOBODY
    return 1 if schema.get("type") in ("integer", "number") else "x"


def with_value(body: Any, path: tuple[str, ...], value: object) -> Any:
    """A copy of the body with another value there."""
    changed = copy.deepcopy(body)
    inner = changed
    for name in path[:-1]:
        inner = inner.setdefault(name, {})
    inner[path[-1]] = value
    return changed
