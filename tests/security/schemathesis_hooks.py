"""What Schemathesis cannot read from the description: rules between fields, and what a 503 must say."""

from __future__ import annotations

import datetime as dt
import os
import zlib
from collections import Counter
from typing import Any

import schemathesis
from schemathesis.checks import CheckContext
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.hooks import HookContext

ROWS = 6
"""Rows of the site's hall; its seats are numbered from 1 too."""
CANCELLED = 3
"""The event that may be cancelled: the line of a cancelled event is never opened again."""
ADDRESSES = {"mail": "fan@example.org", "phone": "+49 30 1234567"}
"""Addresses are tidied before they are checked, which no pattern says."""
VERSION_MAX = 1000
"""A version far ahead is waited for a second; `test_reading` waits for one, once."""


HALLS = (
    "AllotmentBody", "AnswersBody", "EventBody", "EventPatch", "GiftBody", "HallRow", "OrderChangeBody", "PlanBody",
    "PlanRowBody", "PlanSectionBody", "PlanShapeBody", "RefundBody", "SeatsBody", "SeatsOfTypeBody", "TicketTypeBody",
)  # fmt: skip
"""Bodies with long lists."""


@schemathesis.hook
def before_load_schema(context: HookContext, raw_schema: dict[str, Any]) -> None:
    """A link's body is the whole body: with drawn fields besides, hardly one would be well formed. And a hall of as
    many blocks as are taken says no more than one of a few, but takes minutes to draw. A CSV is any text, so nothing
    drawn is a bad request: `test_programme` sends bad ones.
    """
    for name in HALLS:
        for member in raw_schema["components"]["schemas"][name]["properties"].values():
            member.pop("maxItems", None)
    for methods in raw_schema["paths"].values():
        for operation in methods.values():
            operation.get("requestBody", {}).get("content", {}).pop("text/csv", None)
            for response in operation["responses"].values():
                for link in response.get("links", {}).values():
                    link["x-schemathesis"] = {"merge_body": False}


ONE_IN = int(os.environ.get("SCHEMATHESIS_ONE_IN", "1"))
"""Of an operation's cases at the edges of its description, good ones and bad ones, one in so many is tried."""
_tried: Counter[tuple[str, bool]] = Counter()


@schemathesis.hook
def filter_case(context: HookContext, case: Case[Any]) -> bool:
    """An operation's first good case and its first bad one, and then one in `ONE_IN`. Operations begin at different
    ones, so that every kind of case is tried of some operation.
    """
    if case.meta is None or case.meta.phase.name.value != "coverage":
        return True
    operation = case.operation.label
    kind = (operation, case.meta.generation.mode.is_positive)
    number = _tried[kind]
    _tried[kind] += 1
    return number == 0 or (number + zlib.crc32(operation.encode())) % ONE_IN == 0


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Keep, in data meant to be good, the rules that no schema can say: arrays that name seats pairwise, no seat
    named twice, 1.0 is no integer of ours, windows of time, a key for one request only, cursors from answers only.
    """
    operators = case.path.startswith("/api/ops/") and case.method in ("DELETE", "PATCH", "POST", "PUT")
    if operators and (case.path_parameters or {}).get("event_id") == 1:
        # The operator steers another door, and another hall, than those that the fan goes through meanwhile.
        case.path_parameters["event_id"] = 2
    if operators and isinstance(case.body, dict) and case.body.get("state") == "cancelled":
        case.path_parameters["event_id"] = CANCELLED
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    query = case.query or {}
    query.pop("cursor", None)
    for name in ("currency", "month"):
        # Of a pattern that is one group, or nothing, it takes "0" for an example.
        if query.get(name) == "0":
            query.pop(name)
    # The body is described in our own format.
    query.pop("format", None)
    if isinstance(version := query.get("minVersion"), int | float) and version > VERSION_MAX:
        query["minVersion"] = VERSION_MAX
    headers: Any = case.headers or {}
    if "Idempotency-Key" in headers:
        headers["Idempotency-Key"] = case.id
    if case.meta.phase.name.value == "stateful" and "Prefer" in headers:
        headers["Prefer"] = "wait=10"
    case.body = body = _with_integers(case.body)
    if isinstance(body, dict):
        # The sale of the site's event has begun, so there is no lobby to set.
        body.pop("lobbyMinutes", None)
        # A code's window is of this age, and begins before it ends.
        body.pop("startsAt", None)
        body.pop("endsAt", None)
        for name, address in ADDRESSES.items():
            if body.get(name):
                body[name] = address
        if "mail" in body and "name" in body:
            # A person's name, and a question, have letters that are seen.
            body["name"] = "Ada"
        if ("/orders/" in case.path or case.path.endswith("/seller")) and "name" in body:
            body["name"] = "Ada"
        attendees = body.get("attendees")
        for attendee in attendees if isinstance(attendees, list) else ():
            if isinstance(attendee, dict):
                attendee["name"] = "Ada"
        # Which questions there are, the event says.
        body.pop("answers", None)
        for question in body.get("questions") or ():
            if isinstance(question, dict):
                question["text"] = "How?"
        if "/api/ops/shops" in case.path:
            _say_a_shop(body)
        if body.get("networks"):
            body["networks"] = ["198.51.100.0/24"]
        if body.get("quietUntil"):
            # It is of this age.
            body["quietUntil"] = dt.datetime.now(dt.UTC).isoformat()
        for scan in [body, *(body.get("scans") or ())]:
            # A gate's name has letters that are seen, and a scan is of this age.
            if isinstance(scan, dict) and "gate" in scan:
                scan["gate"] = "North"
                if scan.get("scannedAt"):
                    scan["scannedAt"] = dt.datetime.now(dt.UTC).isoformat()
        if "at" in body:
            # A step is scheduled for a moment to come, though not for one in years.
            body["at"] = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).isoformat()
    if isinstance(body, dict) and isinstance(details := body.get("seatDetails"), list) and details:
        numbers = details[0]["metaData"]
        numbers["rowNumbers"] = [row % ROWS + 1 for row in numbers["rowNumbers"]]
        numbers["seatNumbers"] = list(range(1, len(numbers["rowNumbers"]) + 1))
        body["seatDetails"] = details[:1]


def _say_a_shop(body: dict[str, Any]) -> None:
    """A shop's addresses are addresses, its open paths stand below the others, its room opens in this century, and no
    more than all of its requests failed. The site stands below no path, so that no shop has our pages at its own host.
    """
    for name in ("opensAt", "ownPage"):
        body.pop(name, None)
    said = {"origin": "https://shop.example", "returnOrigins": [], "paths": ["/"], "openPaths": [], "probeUrl": ""}
    body |= {name: value for name, value in said.items() if name in body}
    if "requests" in body and "failed" in body:
        body["failed"] = min(body["failed"], body["requests"])


def _with_integers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_with_integers(member) for member in value]
    if isinstance(value, dict):
        return {name: _with_integers(member) for name, member in value.items()}
    return value


@schemathesis.check
def a_503_says_when(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """The only fault of ours that may be shown is a 503 that says when to come again."""
    if response.status_code == 503:
        problem = response.json()
        assert int(response.headers["retry-after"][0]) == problem["retryAfterSeconds"] > 0, problem
