"""A command's refusal."""

from __future__ import annotations

from typing import Any

from booking_lane.problems import problem


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """The command is refused, with a problem of the API's catalogue."""

    def __init__(self, code: str, detail: str | None = None, **members: Any) -> None:
        super().__init__(code)
        self.document = problem(code, detail, **members)
