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
"""A line of text has these ids only. Ids of fans are in the JSON form alone, for a store that limits its readers."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TOKEN: Final = re.compile(r"eyJ[\w-]+(?:\.[\w-]*)+")
_URL_PASSWORD: Final = re.compile(r"(://[^\s:/@]*:)[^\s/@]+@")
_EMAIL: Final = re.compile(r"(?<![\w.+/-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


def redacted(text: str) -> str:
    """The text without tokens, passwords and e-mail addresses, which no log and no error report may contain."""
    return _EMAIL.sub("[e-mail]", _URL_PASSWORD.sub(r"\1[password]@", _TOKEN.sub("[token]", text)))


def id_text(value: object) -> str:
    """An id as logs write it."""
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def ids_now() -> dict[str, object]:
    """The ids of what is being worked on, and of its trace."""
    return {**about.ids(), **tracing.tracer.ids()}


class LineFormatter(logging.Formatter):
    """Writes a record as one line, with ids to find it by. Line breaks within it, a traceback's too, are escaped
    (``\\\\n``), so that no text from outside can begin a line of its own.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        ids = ids_now()
        return super().formatMessage(record) + "".join(
            f" {name}={id_text(ids[name])}" for name in IDS_IN_TEXT if name in ids
        )

    def format(self, record: logging.LogRecord) -> str:
        return _CONTROL.sub(_escape, redacted(super().format(record)))


def _escape(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode()


_Event = MutableMapping[str, Any]


def _add_time(_logger: Any, _method: str, event: _Event) -> _Event:
    created = dt.datetime.fromtimestamp(event["_record"].created, dt.UTC)
    timestamp = created.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    first = {"level": event.pop("level"), "logger": event.pop("logger"), "message": event.pop("event")}
    return {"timestamp": timestamp, **first, **event}


def _add_ids(_logger: Any, _method: str, event: _Event) -> _Event:
    for name, value in ids_now().items():
        event[name] = value if isinstance(value, int) else id_text(value)
    return event


def _redact(_logger: Any, _method: str, event: _Event) -> _Event:
    return {
        name: value if value is None or isinstance(value, bool | int | float) else redacted(id_text(value))
        for name, value in event.items()
    }


def json_formatter() -> logging.Formatter:
    """Writes a record as one JSON object: timestamp, level, logger, message, ids, and exception."""
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
    """Log to standard error from now on, unless the process logs already."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(json_formatter() if as_json else LineFormatter(FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
