"""Every error as a problem document (RFC 9457)."""

from __future__ import annotations

import logging
import re
from collections import Counter
from typing import Any, Final

import msgspec
import psycopg
import redis.exceptions
import sqlalchemy.exc
from litestar import Request, Response
from litestar.exceptions import HTTPException, SerializationException

from booking_lane.problems import problem
from gateway.wire.requests import Answer

logger = logging.getLogger(__name__)

_reader_tokens: Final = re.compile(
    r"((?<!/api)(?<!/ops)/messages/(?:confirm/)?|/purchases/(?:take|found)/|/tickets/found/)[^/]+"
)

MEDIA_TYPE = b"application/problem+json"
UNAVAILABLE_RETRY_SECONDS = 2

_BY_STATUS = {
    400: "invalid_request",
    401: "unauthenticated",
    403: "cross_site",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
}
_MSGSPEC_PATH = re.compile(r"^(?P<message>.*?)(?: - at `(?P<path>\$[^`]*)`)?$", re.DOTALL)


class ProblemError(Exception):
    """Answered as the problem ``code``; ``retry_after_seconds`` also goes into the header."""

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        retry_after_seconds: int | None = None,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(code)
        if retry_after_seconds is not None:
            members["retryAfterSeconds"] = retry_after_seconds
        self.document = problem(code, detail, **members)
        self.headers = dict(headers or {})
        if retry_after_seconds is not None:
            self.headers["Retry-After"] = str(retry_after_seconds)


def limited(
    code: str,
    detail: str | None = None,
    *,
    policy: str,
    most: int,
    retry_after_seconds: int,
    window_seconds: int | None = None,
) -> ProblemError:
    """A problem of a limit: it says what is limited, how many are allowed in how long, and when there is one again, in
    the header fields ``RateLimit-Policy`` and ``RateLimit`` (draft-ietf-httpapi-ratelimit-headers).

    Args:
        policy: what the limit is called, a word of ASCII.
        window_seconds: None for a limit whose time grows with each try.
    """
    seconds = max(1, retry_after_seconds)
    window = "" if window_seconds is None else f";w={window_seconds}"
    headers = {"RateLimit-Policy": f'"{policy}";q={most}{window}', "RateLimit": f'"{policy}";r=0;t={seconds}'}
    return ProblemError(code, detail, retry_after_seconds=seconds, headers=headers)


answered: Final[Counter[str]] = Counter()
"""How often this process has answered with each problem, by its code."""


def problem_response(document: dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
    answered[document["code"]] += 1
    return problem_answer(document, headers)


def problem_answer(document: dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
    """A problem's answer, not counted among those `answered`: whoever sends it counts it."""
    return Answer(
        msgspec.json.encode(document),
        status_code=document["status"],
        headers={
            b"content-type": MEDIA_TYPE,
            **{name.lower().encode(): value.encode() for name, value in (headers or {}).items()},
        },
    )


def invalid(message: str, path: str = "$") -> ProblemError:
    """400 ``invalid_request`` that names the fault's path."""
    return ProblemError("invalid_request", f"{message} (at {path})", errors=[{"path": path, "message": message}])


def invalid_body(error: msgspec.MsgspecError) -> ProblemError:
    """400 from what msgspec says of a body: its message ends with the path of the fault."""
    match = _MSGSPEC_PATH.match(str(error))
    assert match is not None
    return invalid(match["message"], match["path"] or "$")


def _on_problem(_: Request[Any, Any, Any], error: ProblemError) -> Response[bytes]:
    return problem_response(error.document, error.headers)


def _path(fault: dict[str, Any]) -> str:
    """Where a fault is, by its name on the wire; Litestar names the handler's argument."""
    key = str(fault.get("key", "$"))
    if fault.get("source") == "header":
        return key.replace("_", "-").title()
    first, *rest = key.rstrip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)


def logged_path(request: Request[Any, Any, Any]) -> str:
    """The path of a request without the tokens of links in messages: they have the address of their reader."""
    return _reader_tokens.sub(r"\1…", request.url.path)


def _on_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    cause = error.__cause__
    if isinstance(cause, SerializationException) and isinstance(cause.__cause__, msgspec.MsgspecError):
        found = invalid_body(cause.__cause__)
        return problem_response(found.document)
    status = error.status_code
    code = _BY_STATUS.get(status)
    if code is None:
        if status < 500:
            code = "invalid_request"
        else:
            logger.error("%s %s failed", request.method, logged_path(request), exc_info=error)
            code = "unavailable" if status == 503 else "internal_error"
    members: dict[str, Any] = {}
    detail: str | None = None
    if code == "invalid_request":
        faults = error.extra if isinstance(error.extra, list) else []
        members["errors"] = [
            {"path": _path(fault), "message": str(fault.get("message", ""))}
            for fault in faults
            if isinstance(fault, dict)
        ] or [{"path": "$", "message": error.detail}]
        said = "; ".join(f"{fault['message']} (at {fault['path']})" for fault in members["errors"])
        detail = said or None
    document = problem(code, detail, **members)
    headers = {name: _with_head(value) for name, value in (error.headers or {}).items() if name.lower() == "allow"}
    return problem_response(document, headers)


def _with_head(allowed: str) -> str:
    """The methods of an Allow, with HEAD where GET is."""
    methods = {name.strip() for name in allowed.split(",")}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def _on_outage(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    logger.warning("%s %s: a part is away: %s", request.method, logged_path(request), error)
    failing = "postgres" if isinstance(error, sqlalchemy.exc.SQLAlchemyError | psycopg.Error) else "redis"
    away = ProblemError("unavailable", retry_after_seconds=UNAVAILABLE_RETRY_SECONDS, failing=failing)
    return problem_response(away.document, away.headers)


def _on_anything(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    logger.error("%s %s failed", request.method, logged_path(request), exc_info=error)
    return problem_response(problem("internal_error"))


HANDLERS: dict[int | type[Exception], Any] = {
    ProblemError: _on_problem,
    HTTPException: _on_http,
    redis.exceptions.ConnectionError: _on_outage,
    redis.exceptions.TimeoutError: _on_outage,
    redis.exceptions.BusyLoadingError: _on_outage,
    redis.exceptions.OutOfMemoryError: _on_outage,
    sqlalchemy.exc.OperationalError: _on_outage,
    sqlalchemy.exc.InterfaceError: _on_outage,
    sqlalchemy.exc.TimeoutError: _on_outage,
    psycopg.OperationalError: _on_outage,
    Exception: _on_anything,
}


def answer_to(request: Request[Any, Any, Any], error: Exception) -> Answer:
    """What the handler of the error's nearest kind says."""
    handler = next(HANDLERS[kind] for kind in type(error).__mro__ if kind in HANDLERS)
    response: Answer = handler(request, error)
    return response
