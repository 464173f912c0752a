"""What the published description says beyond the types: problems, headers, links; and the page that shows it.

Litestar describes parameters, bodies and answers from the handlers. `answers` gives a handler the problems it may
meet, by their codes; `complete` adds what no type can say. Schemathesis holds all of it to a running gateway.
"""

from __future__ import annotations

import copy
import inspect
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar import Request, Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from booking_lane.problems import CATALOGUE
from gateway.captcha.captcha import CaptchaOffer
from gateway.contract.lists import ANSWERS, BODIES
from gateway.contract.values import ProblemAnswer
from gateway.pages.routes import PAGE_HEADERS, templates

PROBLEM_TYPE: Final = "application/problem+json"

WIRE_TYPES: Final = (*BODIES, *ANSWERS, CaptchaOffer)
_DESCRIPTIONS: Final = {200: "The answer", 202: "Taken: the job tells what becomes of it", 304: "As the client has it"}


def answers(*codes: str, also: Mapping[int, type | None] | None = None) -> dict[int, ResponseSpec]:
    """A handler's ``responses``: problems by their codes, and ``also`` further answers by status.

    ``unavailable`` is always among them, for nothing works without Postgres and Redis.
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
            ProblemAnswer, description=" ".join(said), media_type=PROBLEM_TYPE, generate_examples=False
        )
    return found


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


_PASS = _header("X-Admission-Pass", "the admission pass; the cookie `admitone_pass_{eventId}` does as well")
_PLACE = _header("X-Place-Token", "the place token, which restores the place where Redis has lost it")
_LAST_ID = _header("Last-Event-ID", "the last event's id; the stream goes on from there")
_KNOWN = _header("If-None-Match", "the ETag of what the client has")
HEADERS: Final[Mapping[str, tuple[dict[str, Any], ...]]] = {
    "bookingReserve": (_PASS,),
    "queueJoin": (_PLACE, _PASS),
    "queuePoll": (_PLACE, _PASS),
    "queueStream": (_PLACE, _PASS),
    "eventsLive": (_LAST_ID,),
    "eventsInitialCall": (_KNOWN,),
    "eventsSeats": (_KNOWN,),
}
"""Headers that handlers read by themselves, by operation."""

_EVENT = {"event_id": "$request.path.event_id"}
_EVENT_OF_BODY = {"event_id": "$request.body#/eventId"}
_JOB = {"job_id": "$response.body#/jobId"}
_RESERVE = {
    "operationId": "bookingReserve",
    "parameters": {"X-Admission-Pass": "$response.body#/pass", "Prefer": "wait=10"},
    "requestBody": {"eventId": "$request.path.event_id", "bestAvailable": {"ticketTypeId": 1, "quantity": 1}},
}
_HOLD = {"eventId": "$request.body#/eventId", "reservationId": "$response.body#/result/reservationId"}
_PURCHASE = {
    "operationId": "bookingPurchase",
    "parameters": {"purchase_id": "$response.body#/result/purchaseId"},
}
LINKS: Final[Mapping[tuple[str, str], Mapping[str, Mapping[str, Any]]]] = {
    ("queueJoin", "201"): {
        "poll": {"operationId": "queuePoll", "parameters": {**_EVENT, "token": "$response.body#/token"}},
        "claim": {"operationId": "queueClaim", "parameters": _EVENT},
        "leave": {"operationId": "queueLeave", "parameters": _EVENT},
        "reserve": _RESERVE,
    },
    ("queueJoin", "200"): {
        "claim": {"operationId": "queueClaim", "parameters": _EVENT},
        "leave": {"operationId": "queueLeave", "parameters": _EVENT},
        "reserve": _RESERVE,
    },
    ("queueClaim", "200"): {"reserve": _RESERVE},
    ("bookingReserve", "200"): {
        "job": {"operationId": "bookingJob", "parameters": _JOB},
        "holds": {"operationId": "bookingReservations", "parameters": {"eventId": "$request.body#/eventId"}},
        "checkout": {
            "operationId": "bookingCheckoutPut",
            "parameters": {"Prefer": "wait=10"},
            "requestBody": _HOLD,
        },
        "release": {
            "operationId": "bookingRelease",
            "parameters": {
                "reservation_id": "$response.body#/result/reservationId",
                "eventId": "$request.body#/eventId",
                "Prefer": "wait=10",
            },
        },
        "seats": {"operationId": "eventsSeats", "parameters": _EVENT_OF_BODY},
    },
    ("bookingReserve", "202"): {"job": {"operationId": "bookingJob", "parameters": {**_JOB, "wait": 10}}},
    ("bookingCheckoutPut", "200"): {"job": {"operationId": "bookingJob", "parameters": _JOB}, "purchase": _PURCHASE},
    ("bookingCheckoutPut", "202"): {"job": {"operationId": "bookingJob", "parameters": {**_JOB, "wait": 10}}},
    ("bookingPurchase", "200"): {
        "cancel": {
            "operationId": "bookingCancel",
            "parameters": {"purchase_id": "$response.body#/purchaseId", "Prefer": "wait=10"},
            "requestBody": {},
        },
    },
    ("bookingCancel", "200"): {"job": {"operationId": "bookingJob", "parameters": _JOB}},
    ("bookingCancel", "202"): {"job": {"operationId": "bookingJob", "parameters": {**_JOB, "wait": 10}}},
    ("bookingRelease", "202"): {"job": {"operationId": "bookingJob", "parameters": {**_JOB, "wait": 10}}},
}
"""What an answer leads to, by (operation, status): how a fan gets from the line to a ticket."""

_SEAT_DETAILS = [{"ticketTypeId": 1, "metaData": {"rowNumbers": [1, 1], "seatNumbers": [1, 2]}}]
EXAMPLES: Final[Mapping[str, list[dict[str, Any]]]] = {
    "ReserveBody": [
        {"eventId": 1, "seatDetails": _SEAT_DETAILS},
        {"eventId": 1, "bestAvailable": {"ticketTypeId": 1, "quantity": 2}},
    ],
    "CheckoutBody": [
        {"eventId": 1, "seatDetails": _SEAT_DETAILS, "captchaToken": "from /api/captcha/challenge"},
        {"eventId": 1, "reservationId": "019a5b1e-7c1a-7b44-9d3e-5f0a2b6c8d10", "captchaToken": "the same"},
    ],
    "CancelBody": [{}, {"details": [{"ticketTypeId": 1, "rowNumber": 1, "seatNumber": 2}]}],
    "JoinBody": [{}],
    "CodesBody": [{"label": "Fan club", "count": 2}, {"label": "Press", "code": "PRESS-2026", "usesMax": 40}],
    "OperatorBody": [{"name": "Ada", "password": "correct horse battery staple"}],
    "EventBody": [
        {
            "name": "Nachtflug",
            "artist": "Lena Brandt",
            "venue": "Kulturhalle",
            "date": "2030-06-12T19:30:00Z",
            "onSaleAt": "2030-03-01T09:00:00Z",
            "currency": "EUR",
            "ticketTypes": [
                {"ticketType": "Stalls", "price": 4900, "blocks": [{"rows": 10, "seatsPerRow": 20}]},
                {"ticketType": "Boxes", "price": 12900, "rows": [{"rowNumber": 1, "seatNumbers": [1, 2, 5, 6]}]},
            ],
            "room": {"state": "paused", "ratePerMinute": 120, "lobbyMinutes": 30},
        }
    ],
    "EventPatch": [{"ticketTypes": [{"ticketTypeId": 1, "price": 5900}], "why": "the second price band"}],
    "SeatsBody": [
        {"add": [{"ticketTypeId": 1, "blocks": [{"rows": 2, "seatsPerRow": 20, "firstRow": 21}]}]},
        {
            "remove": [{"ticketTypeId": 1, "rows": [{"rowNumber": 3, "seatNumbers": [1]}]}],
            "why": "a camera stands there",
        },
    ],
    "WebhookBody": [
        {"url": "https://shop.example.org/admit-one", "kinds": ["room.sold_out", "purchase.made"], "eventId": 1}
    ],
    "WebhookPatch": [{"enabled": False}],
    "ResendBody": [{}],
    "RoomPatch": [{"ratePerMinute": 120, "capacity": 200, "why": "the hall's doors are slow"}],
}


READ_BODIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "programmeSeats": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/SeatsBody"}},
            # Without a schema: a CSV is checked line by line, and any text at all is one that may be told so.
            "text/csv": {"schema": {}, "example": "ticketType,row,seat\nStalls,21,1\n"},
        },
    },
}
"""Bodies that handlers read by themselves, by operation."""


def complete(document: dict[str, Any], seats_max: int) -> dict[str, Any]:
    """The description with headers, links, examples and the rules of bodies.

    Args:
        seats_max: seats in one request.
    """
    operations = {
        operation["operationId"]: operation
        for methods in document["paths"].values()
        for operation in methods.values()
        if isinstance(operation, dict) and "operationId" in operation
    }
    for name, request_body in READ_BODIES.items():
        operations[name]["requestBody"] = dict(request_body)
    for name, operation in operations.items():
        for parameter in operation.get("parameters", ()):
            _complete_parameter(parameter)
        body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        if "oneOf" in body.get("schema", {}):
            # A body that may be null may as well be left out.
            body["schema"] = body["schema"]["oneOf"][0]
            operation["requestBody"]["required"] = False
        if name in HEADERS:
            operation.setdefault("parameters", []).extend(HEADERS[name])
    for (name, status), links in LINKS.items():
        operations[name]["responses"][status]["links"] = links
        assert all(link["operationId"] in operations for link in links.values())
    # msgspec knows its types' bounds better than Litestar, which drops some.
    schemas = document["components"]["schemas"]
    schemas |= msgspec.json.schema_components(WIRE_TYPES, ref_template="#/components/schemas/{name}")[1]
    _complete_bodies(schemas, seats_max)
    for described in (*operations.values(), *schemas.values()):
        if "description" in described:
            described["description"] = inspect.cleandoc(described["description"]).replace("``", "`")
    return document


def _complete_parameter(parameter: dict[str, Any]) -> None:
    """What may be left out is never sent as null."""
    schema = parameter["schema"]
    for option in schema.pop("oneOf", ()):
        if option != {"type": "null"}:
            schema.update(option)
    if parameter["name"] in ("event_id", "eventId"):
        schema["examples"] = [1]


def _complete_bodies(schemas: dict[str, Any], seats_max: int) -> None:
    for body, one, other, other_type in (
        ("ReserveBody", "seatDetails", "bestAvailable", "object"),
        ("CheckoutBody", "seatDetails", "reservationId", "string"),
    ):
        null = {"type": "null"}
        schemas[body]["oneOf"] = [
            {"required": [one], "properties": {one: {"type": "array"}, other: null}},
            {"required": [other], "properties": {one: null, other: {"type": other_type}}},
        ]
        schemas[body]["properties"]["seatDetails"]["anyOf"][0]["maxItems"] = seats_max
    schemas["BestAvailableBody"]["properties"]["quantity"]["maximum"] = seats_max
    schemas["CancelBody"]["properties"]["details"]["anyOf"][0] |= {"maxItems": seats_max, "uniqueItems": True}
    for numbers in schemas["SeatNumbers"]["properties"].values():
        numbers["maxItems"] = seats_max
    count, code = {"const": 1}, {"type": "null"}
    schemas["CodesBody"]["anyOf"] = [{"properties": {"count": count}}, {"properties": {"code": code}}]
    for body, examples in EXAMPLES.items():
        schemas[body]["examples"] = examples
    steered = [name for name in schemas["RoomPatch"]["properties"] if name not in ("revision", "why")]
    patched = schemas["WebhookPatch"]["properties"]
    schemas["WebhookPatch"]["anyOf"] = [{"required": [name]} for name in patched]
    schemas["RoomPatch"]["anyOf"] = [{"required": [name]} for name in steered]


PARTS: Final = (
    (
        "For fans",
        "`Authorization: Bearer TOKEN`, with a token of `POST /api/session`, or its cookie. What goes wrong is told as"
        " `application/problem+json` with a stable `code`.",
        "/api/",
    ),
    ("For operators", "The same, with a token of `POST /api/ops/session`.", "/api/ops/"),
    ("For balancers", "Of one gateway process each.", "/health/"),
)
"""The page's parts: title, words, and how the paths begin that stand in them."""


def _part_of(path: str) -> str:
    return max((start, title) for title, _, start in PARTS if path.startswith(start))[1]


class _Description:
    """The description, completed once."""

    def __init__(self, seats_max: int) -> None:
        self._seats_max = seats_max
        self._document: dict[str, Any] | None = None

    def of(self, openapi_schema: dict[str, Any]) -> dict[str, Any]:
        if self._document is None:
            self._document = complete(copy.deepcopy(openapi_schema), self._seats_max)
        return self._document


class _Json(JsonRenderPlugin):
    def __init__(self, description: _Description) -> None:
        super().__init__()
        self._description = description

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, self._description.of(openapi_schema))


class _Page(OpenAPIRenderPlugin):
    """The description as a plain page of ours. Litestar's readers load their scripts from elsewhere, which would run
    at the fans' own origin, and show nothing where there is no internet.
    """

    def __init__(self, description: _Description) -> None:
        super().__init__(path="/")
        self._description = description
        self._page = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        if not self._page:
            document = self._description.of(openapi_schema)
            template = templates.get_template("schema.html")
            self._page = template.render(document=document, parts=PARTS, part_of=_part_of).encode()
        return self._page


def openapi_config(seats_max: int) -> OpenAPIConfig:
    """The description at ``/schema/openapi.json`` and, to read, at ``/schema``."""
    description = _Description(seats_max)
    return OpenAPIConfig(
        title="Admit One",
        version="1",
        use_handler_docstrings=True,
        openapi_router=Router(
            path="/schema", route_handlers=[], include_in_schema=False, response_headers=PAGE_HEADERS
        ),
        render_plugins=[_Page(description), _Json(description)],
        components=Components(
            security_schemes={
                "fan": SecurityScheme(
                    type="http", scheme="bearer", bearer_format="JWT", description="POST /api/session"
                ),
                "operator": SecurityScheme(
                    type="http", scheme="bearer", bearer_format="JWT", description="POST /api/ops/session"
                ),
            }
        ),
    )
