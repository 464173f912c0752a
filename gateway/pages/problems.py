"""Problems that befall a page: to a browser in words, to whoever asks for nothing of the kind as everywhere else."""

from __future__ import annotations

from typing import Any, Final

from litestar import Request, Response
from litestar.exceptions import HTTPException

from gateway.pages.routes import error_page, wants_html
from gateway.wire.problems import HANDLERS, UNAVAILABLE_RETRY_SECONDS, ProblemError, answer_to


def _in_words(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    problem = answer_to(request, error)
    if not wants_html(request):
        return problem
    answer = error_page(problem.status_code or 500)
    if isinstance(error, ProblemError):
        answer.headers.update(error.headers)
    else:
        answer.headers["Retry-After"] = str(UNAVAILABLE_RETRY_SECONDS)
    return answer


IN_WORDS: Final[dict[int | type[Exception], Any]] = {
    kind: _in_words for kind in HANDLERS if kind not in (HTTPException, Exception)
}
"""For what the pages themselves know nothing of: limits, a line that is rebuilt, parts that are away."""
