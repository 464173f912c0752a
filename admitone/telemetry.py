"""Sends traces and error reports where a collector is configured; their packages are imported only then."""

from __future__ import annotations

import importlib.util
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from admitone.logs import id_text, ids_now, redacted
from admitone.settings import Settings
from booking_lane import tracing

if TYPE_CHECKING:
    from sentry_sdk.types import Event

SPANS_WAITING_MAX: Final = 8192
"""At most so many spans wait to be sent. Further ones are dropped, so that the process never waits for a collector."""
SEND_EVERY_MS: Final = 1000
SEND_SECONDS_MAX: Final = 5.0
LAST_SECONDS_MAX: Final = 1.0
"""A process that ends takes at most this long to send what is left."""
BREADCRUMBS_MAX: Final = 20


class TelemetryError(RuntimeError):
    """A setting needs a package that is not installed."""


def require_installed(settings: Settings) -> None:
    """Check that the packages which the settings need are there.

    Raises:
        TelemetryError: a setting needs a package that is not installed.
    """
    for setting, extra, package in (
        ("otlp_endpoint", "otel", "opentelemetry.sdk"),
        ("sentry_dsn", "sentry", "sentry_sdk"),
    ):
        if getattr(settings.telemetry, setting) and not _is_installed(package):
            variable = f"ADMITONE_{setting.upper()}"
            raise TelemetryError(f"{variable} needs a package that is not installed: pip install 'admitone[{extra}]'")


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False


class Telemetry:
    """Sends the traces and error reports of one process.

    Args:
        process: its name, for example "gateway" or "worker lane-0"; traces have it as the service's name and part.
    """

    def __init__(self, settings: Settings, process: str) -> None:
        self._settings = settings
        self._process = process
        self._ends: list[Callable[[], None]] = []

    def begin(self, *, traces: bool = True) -> None:
        """Begin to send. The senders are threads, so this is called after any fork."""
        if traces and self._settings.telemetry.otlp_endpoint:
            self._begin_traces()
        if self._settings.telemetry.sentry_dsn:
            self._begin_sentry()

    def end(self) -> None:
        """Send what is still to be sent; returns within `LAST_SECONDS_MAX`, even if no collector answers."""
        threads = [threading.Thread(target=end, daemon=True) for end in self._ends]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(LAST_SECONDS_MAX)

    def _begin_traces(self) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

        from booking_lane.spans import Spans

        # A collector that is away would otherwise be logged three times for each attempt.
        logging.getLogger("opentelemetry").setLevel(logging.ERROR)
        settings = self._settings
        component, _, part = self._process.partition(" ")
        provider = TracerProvider(
            resource=Resource.create(
                {
                    "service.name": f"admitone-{component}",
                    "service.version": version("admitone"),
                    "service.instance.id": uuid4().hex,
                    "deployment.environment.name": settings.site.env,
                    "host.name": socket.gethostname(),
                    "process.pid": os.getpid(),
                    "admitone.part": part or component,
                }
            ),
            sampler=ParentBased(TraceIdRatioBased(settings.telemetry.trace_ratio)),
            # The provider's own shutdown would wait for a collector that is gone; `end` does not.
            shutdown_on_exit=False,
        )
        exporter = OTLPSpanExporter(
            endpoint=settings.telemetry.otlp_endpoint.rstrip("/") + "/v1/traces", timeout=SEND_SECONDS_MAX
        )
        sender = BatchSpanProcessor(exporter, max_queue_size=SPANS_WAITING_MAX, schedule_delay_millis=SEND_EVERY_MS)
        provider.add_span_processor(sender)
        tracing.tracer = Spans(provider.get_tracer("admitone", version("admitone")), settings.telemetry.trace_ratio)
        self._ends.append(lambda: _ignore(sender.force_flush()))

    def _begin_sentry(self) -> None:
        import sentry_sdk
        from sentry_sdk.integrations.dedupe import DedupeIntegration
        from sentry_sdk.integrations.excepthook import ExcepthookIntegration
        from sentry_sdk.integrations.logging import LoggingIntegration, ignore_logger
        from sentry_sdk.integrations.threading import ThreadingIntegration

        ignore_logger("opentelemetry.*")
        sentry_sdk.init(
            dsn=self._settings.telemetry.sentry_dsn,
            release=version("admitone"),
            environment=self._settings.site.env,
            # The default integrations would send data of fans, such as a web framework's requests.
            default_integrations=False,
            auto_enabling_integrations=False,
            integrations=[LoggingIntegration(), ExcepthookIntegration(), DedupeIntegration(), ThreadingIntegration()],
            send_default_pii=False,
            include_local_variables=False,
            max_breadcrumbs=BREADCRUMBS_MAX,
            before_send=self._before_send,
            shutdown_timeout=LAST_SECONDS_MAX,
        )
        self._ends.append(lambda: sentry_sdk.flush(LAST_SECONDS_MAX))

    def _before_send(self, event: Event, _hint: dict[str, Any]) -> Event | None:
        tags = {name: id_text(value) for name, value in ids_now().items()}
        clean: Event = _clean(event)
        clean["tags"] = {**(clean.get("tags") or {}), "process": self._process, **_clean(tags)}
        return clean


def _ignore(_: object) -> None:
    pass


def _clean(value: Any) -> Any:
    """The value with all of its texts `redacted`."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {name: _clean(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(one) for one in value]
    return value


@contextmanager
def telemetry(settings: Settings, process: str, *, traces: bool) -> Iterator[None]:
    """Send the traces and error reports of a process for the length of a ``with`` block."""
    sender = Telemetry(settings, process)
    sender.begin(traces=traces)
    try:
        yield
    finally:
        sender.end()
