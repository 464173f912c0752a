"""A local server that speaks the part of Elasticsearch's API that the search uses, and refuses all else.

It is no Elasticsearch: it was written after Elastic's documentation, and what is written is found at once, where the
real one takes a second. Its faults are switches.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web
from rapidfuzz.distance import OSA

Scores = dict[str, float]
JSON = "application/vnd.elasticsearch+json"


class Refused(Exception):  # noqa: N818 - no error of ours
    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.body = {"error": {"type": kind, "reason": reason, "root_cause": []}, "status": status}


def parsing(reason: str) -> Refused:
    return Refused(400, "parsing_exception", reason)


@dataclass
class OneIndex:
    """An index: its documents, and for each field the ids by the values that they have there."""

    mappings: dict[str, Any]
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    values: dict[str, dict[Any, set[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(set)))

    def write(self, number: str, document: dict[str, Any]) -> None:
        unknown = set(document) - set(self.mappings["properties"])
        if unknown and self.mappings.get("dynamic") == "strict":
            raise Refused(400, "strict_dynamic_mapping_exception", f"[{unknown}] is not allowed")
        self.delete(number)
        self.documents[number] = document
        for name, value in document.items():
            for one in value if isinstance(value, list) else [value]:
                if one is not None:
                    self.values[name][one].add(number)

    def delete(self, number: str) -> bool:
        document = self.documents.pop(number, None)
        for name, value in (document or {}).items():
            for one in value if isinstance(value, list) else [value]:
                self.values[name][one].discard(number)
        return document is not None

    # -- queries: each gives the scores of the documents that it finds

    def find(self, query: dict[str, Any]) -> Scores:
        if len(query) != 1:
            raise parsing("a query has one name")
        ((name, body),) = query.items()
        look: Callable[[Any], Scores] | None = getattr(self, f"_{name}", None)
        if look is None:
            raise parsing(f"unknown query [{name}]")
        return look(body)

    def _match_all(self, body: dict[str, Any]) -> Scores:
        only(body)
        return dict.fromkeys(self.documents, 1.0)

    def _constant_score(self, body: dict[str, Any]) -> Scores:
        only(body, "filter", "boost")
        if body["boost"] < 0:
            raise parsing("negative boosts are not allowed")
        return dict.fromkeys(self.find(body["filter"]), float(body["boost"]))

    def _dis_max(self, body: dict[str, Any]) -> Scores:
        only(body, "queries")
        best: Scores = {}
        for query in body["queries"]:
            for number, score in self.find(query).items():
                best[number] = max(score, best.get(number, 0.0))
        return best

    def _bool(self, body: dict[str, Any]) -> Scores:
        only(body, "must", "filter", "should", "must_not", "minimum_should_match")
        found = set(self.documents)
        scores: Scores = defaultdict(float)
        for query in body.get("must", []):
            one = self.find(query)
            found &= one.keys()
            add(scores, one)
        for query in body.get("filter", []):
            found &= self.find(query).keys()
        should: dict[str, int] = defaultdict(int)
        for query in body.get("should", []):
            one = self.find(query)
            add(scores, one)
            for number in one:
                should[number] += 1
        has_others = bool(body.get("must") or body.get("filter"))
        least = body.get("minimum_should_match", 0 if has_others or "should" not in body else 1)
        if least:
            found = {number for number in found if should[number] >= least}
        for query in body.get("must_not", []):
            found -= self.find(query).keys()
        return {number: scores[number] for number in found}

    def _term(self, body: dict[str, Any]) -> Scores:
        values, parameters = self._leaf(body, "value")
        return dict.fromkeys(values.get(parameters["value"], ()), 1.0)

    def _prefix(self, body: dict[str, Any]) -> Scores:
        values, parameters = self._leaf(body, "value")
        return self._of_values(values, lambda value: value.startswith(parameters["value"]))

    def _wildcard(self, body: dict[str, Any]) -> Scores:
        values, parameters = self._leaf(body, "value")
        return self._of_values(values, lambda value: fnmatch.fnmatchcase(value, parameters["value"]))

    def _fuzzy(self, body: dict[str, Any]) -> Scores:
        values, parameters = self._leaf(body, "value", "fuzziness", "max_expansions", "transpositions")
        word, most = parameters["value"], parameters["fuzziness"]
        return self._of_values(values, lambda value: OSA.distance(value, word, score_cutoff=most) <= most)

    def _range(self, body: dict[str, Any]) -> Scores:
        values, bounds = self._leaf(body, "gt", "gte", "lt", "lte")
        tests = {"gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__}
        return self._of_values(values, lambda value: all(tests[name](value, bounds[name]) for name in bounds))

    def _leaf(self, body: dict[str, Any], *names: str) -> tuple[dict[Any, set[str]], dict[str, Any]]:
        ((name, parameters),) = body.items()
        if name not in self.mappings["properties"]:
            raise parsing(f"no mapping of [{name}]")
        only(parameters, *names)
        return self.values[name], parameters

    def _of_values(self, values: dict[Any, set[str]], is_meant: Callable[[Any], bool]) -> Scores:
        return {number: 1.0 for value, numbers in values.items() if is_meant(value) for number in numbers}

    # -- an answer

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        only(body, "query", "sort", "size", "_source", "track_total_hits", "search_after", "aggs")
        scores = self.find(body["query"])
        keys = {number: self._sort_key(body["sort"], number, score) for number, score in scores.items()}
        order = sorted(keys, key=lambda number: [part for _, part in keys[number]])
        if "search_after" in body:
            after = [
                -value if sort_order(one) == "desc" else value
                for one, value in zip(body["sort"], body["search_after"], strict=True)
            ]
            order = [number for number in order if [part for _, part in keys[number]] > after]
        total, most = len(scores), body["track_total_hits"]
        counts = total if most is True else min(total, most)
        answer = {
            "hits": {
                "total": {"value": counts, "relation": "eq" if counts == total else "gte"},
                "hits": [
                    {"_id": number, "_score": None, "sort": [shown for shown, _ in keys[number]]}
                    for number in order[: body["size"]]
                ],
            }
        }
        if "aggs" in body:
            answer["aggregations"] = {name: self._count(one, set(scores)) for name, one in body["aggs"].items()}
        return answer

    def _sort_key(self, sort: list[dict[str, Any]], number: str, score: float) -> list[tuple[float, float]]:
        """For each part of the sort the value that is shown, and the one that sorts."""
        found = []
        for one in sort:
            ((name, parameters),) = one.items()
            only(parameters, "order")
            value = score if name == "_score" else self.documents[number][name]
            found.append((value, -value if sort_order(one) == "desc" else value))
        return found

    def _count(self, body: dict[str, Any], numbers: set[str]) -> dict[str, Any]:
        only(body, "terms", "filter", "aggs")
        if "filter" in body:
            return {"doc_count": len(numbers & self.find(body["filter"]).keys())}
        terms = body["terms"]
        only(terms, "field", "size", "order")
        buckets = [(value, numbers & with_value) for value, with_value in self.values[terms["field"]].items()]
        buckets = [(value, found) for value, found in buckets if found]
        for rule in reversed(terms.get("order", [{"_count": "desc"}, {"_key": "asc"}])):
            ((name, direction),) = rule.items()
            buckets.sort(
                key=lambda one: len(one[1]) if name == "_count" else one[0],
                reverse=direction == "desc",
            )
        return {
            "buckets": [
                {
                    "key": value,
                    "doc_count": len(found),
                    **{name: self._count(one, found) for name, one in body.get("aggs", {}).items()},
                }
                for value, found in buckets[: terms["size"]]
            ]
        }


def only(body: dict[str, Any], *names: str) -> None:
    if unknown := set(body) - set(names):
        raise parsing(f"unknown field {sorted(unknown)}")


def add(scores: Scores, more: Scores) -> None:
    for number, score in more.items():
        scores[number] += score


def sort_order(one: dict[str, Any]) -> str:
    ((_, parameters),) = one.items()
    return str(parameters["order"])


@dataclass
class IndexServer:
    """The server's indices and aliases.

    Attributes:
        away: every call is answered with 503.
        silent: no call is answered while this is set.
        calls: ``METHOD /path`` of each.
    """

    url: str = ""
    indices: dict[str, OneIndex] = field(default_factory=dict)
    aliases: dict[str, set[str]] = field(default_factory=dict)
    away: bool = False
    silent: bool = False
    calls: list[str] = field(default_factory=list)
    health: str = "yellow"
    before_alias: Callable[[], Any] = field(default=lambda: None)
    """Called before an alias moves."""

    @property
    def searches(self) -> int:
        return sum(call.endswith("/_search") for call in self.calls)

    async def answer(self, request: web.Request) -> web.Response:
        self.calls.append(f"{request.method} {request.path}")
        while self.silent:  # noqa: ASYNC110 - a switch, which the tests turn
            await asyncio.sleep(0.01)
        try:
            if self.away:
                raise Refused(503, "unavailable_shards_exception", "away")
            found: Any = await self._carry_out(request, request.method, request.path.strip("/").split("/"))
            status = 200
        except Refused as refused:
            found, status = refused.body, refused.status
        return web.Response(
            body=msgspec.json.encode(found),
            status=status,
            headers={"X-Elastic-Product": "Elasticsearch", "Content-Type": JSON + ";compatible-with=9"},
        )

    async def _carry_out(self, request: web.Request, method: str, path: list[str]) -> Any:
        body = await request.read()
        match method, path:
            case "PUT", [name]:
                made = msgspec.json.decode(body)
                only(made, "mappings", "settings")
                self.indices[name] = OneIndex(made["mappings"])
                return {"acknowledged": True, "shards_acknowledged": True, "index": name}
            case "GET", [name]:
                return {index: {"mappings": self.indices[index].mappings} for index in self._named(name)}
            case "DELETE", [name]:
                if name in self.aliases:
                    raise Refused(400, "illegal_argument_exception", "an alias cannot be deleted so")
                self.indices.pop(name, None)
                for indices in self.aliases.values():
                    indices.discard(name)
                return {"acknowledged": True}
            case "POST", ["_aliases"]:
                given = self.before_alias()
                if given is not None:
                    await given
                for action in msgspec.json.decode(body)["actions"]:
                    ((verb, what),) = action.items()
                    indices = self.aliases.setdefault(what["alias"], set())
                    (indices.add if verb == "add" else indices.remove)(what["index"])
                return {"acknowledged": True}
            case "GET", ["_alias", name]:
                if not self.aliases.get(name):
                    raise Refused(404, "aliases_not_found_exception", name)
                return {index: {"aliases": {name: {}}} for index in self.aliases[name]}
            case "POST" | "PUT", [name, "_bulk"]:
                return self._bulk(name, body, by_alias=request.query.get("require_alias") == "true")
            case "POST", [name, "_search"]:
                (index,) = self._named(name)
                return self.indices[index].search(msgspec.json.decode(body))
            case "POST", [name, "_refresh"]:
                self._named(name)
                return {"_shards": {}}
            case "GET" | "POST", [name, "_count"]:
                (index,) = self._named(name)
                return {"count": len(self.indices[index].documents)}
            case "GET", ["_cluster", "health", name]:
                self._named(name)
                return {"status": self.health}
        raise Refused(400, "illegal_argument_exception", f"no handler found for {method} {path}")

    def _named(self, name: str) -> list[str]:
        if "*" in name:
            return fnmatch.filter(self.indices, name)
        found = [name] if name in self.indices else sorted(self.aliases.get(name, ()))
        if not found:
            raise Refused(404, "index_not_found_exception", f"no such index [{name}]")
        return found

    def _bulk(self, name: str, body: bytes, *, by_alias: bool) -> dict[str, Any]:
        lines = iter(map(msgspec.json.decode, body.splitlines()))
        items = []
        for line in lines:
            ((action, meta),) = line.items()
            document = next(lines) if action == "index" else None
            result: dict[str, Any] = {"_id": meta["_id"]}
            try:
                if by_alias and not self.aliases.get(name):
                    raise Refused(404, "index_not_found_exception", f"[{name}] is not an alias")
                (index,) = self._named(name)
                if document is None:
                    result["status"] = 200 if self.indices[index].delete(meta["_id"]) else 404
                else:
                    self.indices[index].write(meta["_id"], document)
                    result["status"] = 201
            except Refused as refused:
                result |= {"status": refused.status, "error": refused.body["error"]}
            items.append({action: result})
        return {"errors": any("error" in one for item in items for one in item.values()), "items": items}


@contextlib.asynccontextmanager
async def index_server() -> AsyncIterator[IndexServer]:
    """The server at a free port of this machine."""
    server = IndexServer()
    app = web.Application(client_max_size=100_000_000)
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        server.silent = False
        await runner.cleanup()
