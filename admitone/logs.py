"""Log records: one line each, whatever is in them, and no token or password in any."""

from __future__ import annotations

import logging
import re
import sys
from typing import Final

FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TOKEN: Final = re.compile(r"eyJ[\w-]+(?:\.[\w-]*)+")
_PASSWORD: Final = re.compile(r"(://[^\s:/@]*:)[^\s/@]+@")
"""Of a server's address."""


class LineFormatter(logging.Formatter):
    """A record as one line. What came from outside cannot begin another; a traceback's own lines end in ``\\\\n``."""

    def format(self, record: logging.LogRecord) -> str:
        text = _TOKEN.sub("[token]", super().format(record))
        return _CONTROL.sub(_escape, _PASSWORD.sub(r"\1[password]@", text))


def _escape(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode()


def start_logging() -> None:
    """Log to standard error from now on, unless the process does already."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
