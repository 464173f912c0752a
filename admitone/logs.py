"""Log records: one line each, whatever is in them, and no token, password or e-mail address in any."""

from __future__ import annotations

import datetime as dt
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

from booking_lane import about, tracing

FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"
IDS_IN_TEXT: Final = ("request_id", "batch_id", "trace_id")
"""What says whose it was is in JSON alone, for a store that knows who may read it."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TOKEN: Final = re.compile(r"eyJ[\w-]+(?:\.[\w-]*)+")
_PASSWORD: Final = re.compile(r"(://[^\s:/@]*:)[^\s/@]+@")
"""Of a server's address."""
_EMAIL: Final = re.compile(r"(?<![\w.+/-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


def redacted(text: str) -> str:
    """The text without what may not be in a log, nor in an error's report."""
    return _EMAIL.sub("[e-mail]", _PASSWORD.sub(r"\1[password]@", _TOKEN.sub("[token]", text)))


def told(value: object) -> str:
    """An id as logs have it."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def ids_now() -> dict[str, object]:
    """What the work at hand is about, and its trace."""
    return {**about.ids(), **tracing.tracer.ids()}


class LineFormatter(logging.Formatter):
    """A record as one line, with ids to find it by. What came from outside cannot begin another; a traceback's own
    lines end in ``\\\\n``.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        known = ids_now()
        ids = "".join(f" {name}={told(known[name])}" for name in IDS_IN_TEXT if name in known)
        return super().formatMessage(record) + ids

    def format(self, record: logging.LogRecord) -> str:
        return _CONTROL.sub(_escape, redacted(super().format(record)))


def _escape(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape").decode()


_Event = MutableMapping[str, Any]


def _add_time(_logger: Any, _method: str, event: _Event) -> _Event:
    created = dt.datetime.fromtimestamp(event["_record"].created, dt.UTC)
    timestamp = created.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    first = {"level": event.pop("level"), "logger": event.pop("logger"), "message": event.pop("event")}
    return {"timestamp": timestamp, **first, **event}


def _add_ids(_logger: Any, _method: str, event: _Event) -> _Event:
    for name, value in ids_now().items():
        event[name] = value if isinstance(value, int) else told(value)
    return event


def _redact(_logger: Any, _method: str, event: _Event) -> _Event:
    return {
        name: value if value is None or isinstance(value, bool | int | float) else redacted(told(value))
        for name, value in event.items()
    }


def json_formatter() -> logging.Formatter:
    """A record as one JSON object: timestamp, level, logger, message, the ids it is about, and exception."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            _add_ids,
        ],
        processors=[
            _add_time,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _redact,
            structlog.processors.JSONRenderer(),
        ],
    )


def start_logging(*, as_json: bool = False) -> None:
    """Log to standard error from now on, unless the process does already."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(json_formatter() if as_json else LineFormatter(FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
