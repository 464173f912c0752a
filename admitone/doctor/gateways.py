"""Gateways, by the presence that each writes several times a second: whether they are up, have the same settings, and
may open as many files as they have streams.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from admitone.doctor.finding import Finding, error, fine, warning
from admitone.doctor.site import Site
from booking_lane.lane_map import read_map
from gateway.health.presence import Presence, key_print
from gateway.health.readiness import SILENT_SECONDS
from gateway.wire.connection_counts import FILES_BESIDE_CONNECTIONS

LOOK_AGAIN_SECONDS: Final = 0.25


def examine(site: Site) -> Iterator[Finding]:
    if site.jobs is None:
        return
    here = site.gateways
    deadline = time.monotonic() + SILENT_SECONDS + 1
    while any(one.failing and "stopping" not in one.failing for one in here) and time.monotonic() < deadline:
        # A gateway takes a part for failing until it has seen it: the other lines of this report may know better.
        time.sleep(LOOK_AGAIN_SECONDS)
        here = site.look_again()
    if not here:
        yield error("up", "gateways", "No gateway runs", "Start `admitone gateway`.")
        return
    streams = sum(one.streams for one in here)
    names = ", ".join(f"{one.host}:{one.pid}" for one in here[:4]) + (", ..." if len(here) > 4 else "")
    processes = "process" if len(here) == 1 else "processes"
    yield fine("up", "gateways", f"{len(here)} gateway {processes} ({names}), {streams} open streams")
    for one in here:
        if one.failing == ("stopping",):
            yield warning("up", "gateway_stopping", f"The gateway {_name(one)} is stopping", "Nothing; it soon ends.")
        elif one.failing:
            says = f"The gateway {_name(one)} is not ready: {', '.join(one.failing)}"
            yield error("up", "gateway_not_ready", says, "Mend what is named here or on the other lines.")
    yield from _alike(site, here)
    yield from _files(site, here)
    buffered = sum(one.backlog for one in here)
    if buffered:
        says = f"{buffered} commands wait in gateways for their lanes"
        yield warning("behind", "gateway_backlog", says, "Lower the rooms' rates until the workers keep pace.")


def _alike(site: Site, here: tuple[Presence, ...]) -> Iterator[Finding]:
    prints = {one.key_print for one in here}
    if site.settings.site.secret:
        prints.add(key_print(site.settings.site.secret.encode()))
    if len(prints) > 1:
        yield error(
            "setup",
            "secrets_differ",
            "Gateways, or they and this command, sign with different secrets: fans lose their places between them",
            "Give every process the same ADMITONE_SECRET.",
        )
    lanes = {one.lanes for one in here} | {site.settings.lane.count}
    assert site.jobs is not None
    # Once operators have set the number, nobody goes by the setting.
    if len(lanes) > 1 and read_map(site.jobs) is None:
        yield error(
            "setup",
            "lanes_differ",
            f"Processes count {' and '.join(map(str, sorted(lanes)))} lanes: an event's bookings meet in two of them",
            "Give every process the same ADMITONE_LANES.",
        )
    versions = {one.version for one in here}
    if len(versions) > 1:
        says = f"Gateways run releases {' and '.join(sorted(versions))}"
        yield warning("setup", "versions_differ", says, "Finish the upgrade.")


def _files(site: Site, here: tuple[Presence, ...]) -> Iterator[Finding]:
    for one in here:
        needed = one.streams_max + FILES_BESIDE_CONNECTIONS
        if 0 <= one.files_max < needed:
            yield site.misconfigured(
                "setup",
                "open_files",
                f"The gateway {_name(one)} may open {one.files_max} files, and {one.streams_max} streams",
                f"Raise its limit (ulimit -n, LimitNOFILE) to {needed}, or lower ADMITONE_STREAMS_MAX.",
            )
            return


def _name(one: Presence) -> str:
    return f"{one.host}:{one.pid}"
