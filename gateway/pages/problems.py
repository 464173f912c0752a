"""Problem responses for pages: HTML for browsers, problem+json for everybody else."""

from __future__ import annotations

import logging
from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException

from gateway.pages.look import error_page
from gateway.wire.problems import HANDLERS, UNAVAILABLE_RETRY_SECONDS, ProblemError, answer_to, logged_path

logger = logging.getLogger(__name__)


def wants_html(request: Request[Any, Any, Any]) -> bool:
    """Whether an error of this request is best shown as a page: a browser asks for HTML first."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def _on_http_error_anywhere(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    return error_page(error.status_code) if wants_html(request) else answer_to(request, error)


def _on_http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[str]:
    answer = error_page(error.status_code)
    answer.headers.update(error.headers or {})
    return answer


def _on_problem(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    problem = answer_to(request, error)
    if not wants_html(request):
        return problem
    answer = error_page(problem.status_code or 500)
    if isinstance(error, ProblemError):
        answer.headers.update(error.headers)
    else:
        answer.headers["Retry-After"] = str(UNAVAILABLE_RETRY_SECONDS)
    return answer


def _on_fault(request: Request[Any, Any, Any], error: Exception) -> Response[str]:
    logger.error("page %s failed", logged_path(request), exc_info=error)
    return error_page(500)


EVERYWHERE: Final[dict[int | type[Exception], Any]] = {**HANDLERS, HTTPException: _on_http_error_anywhere}
"""The gateway's exception handlers: a browser that asks for an unknown path gets a page."""

OF_PAGES: Final[dict[int | type[Exception], Any]] = {
    **dict.fromkeys(HANDLERS, _on_problem),
    HTTPException: _on_http_error,
    Exception: _on_fault,
}
"""The exception handlers of the pages' own routes."""
