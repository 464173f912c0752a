"""Checks that a rehearsal can be held: servers and gateways are up, and this machine's limits are high enough."""

from __future__ import annotations

import asyncio
import contextlib
import resource
from pathlib import Path
from typing import Final

from admitone.doctor.examination import examine
from admitone.doctor.finding import Finding, Level
from admitone.doctor.site import open_site
from admitone.fan.http import CONNECTIONS_MAX, Broken, HttpClient
from admitone.rehearsal.options import NotPossibleError, Options
from admitone.settings import Settings
from db.patience import Patience

READY_SECONDS_MAX: Final = 15.0
CAPTCHA_SECONDS_MAX: Final = 10.0
OTHER_SOCKETS: Final = CONNECTIONS_MAX + 500
"""A generator opens at most so many sockets besides one for each fan in line."""
PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


async def require_ready(settings: Settings, options: Options) -> tuple[str, ...]:
    """Check that the rehearsal can be held, and give what the doctor warns of.

    Raises:
        NotPossibleError: a server or a gateway is not up, or a limit of this machine is too low.
    """
    if not settings.site.secret:
        raise NotPossibleError("Set ADMITONE_SECRET, the site's own: the fans' sessions are signed with it.")
    findings: list[Finding] = []

    async def is_up() -> bool:
        findings[:] = await asyncio.to_thread(_findings, settings, options)
        return not _down(findings)

    if not await Patience(READY_SECONDS_MAX, 1.0).wait_for_async(is_up):
        raise NotPossibleError(f"Not everything is up: {'; '.join(_down(findings))}.")
    _need_sockets(options)
    try:
        with contextlib.closing(HttpClient(options.url)) as client:
            async with asyncio.timeout(CAPTCHA_SECONDS_MAX):
                provider = (await client.call(client.request("GET", "/api/captcha"))).document()["provider"]
    except (Broken, KeyError, TimeoutError, ValueError) as error:
        raise NotPossibleError(f"No gateway answers at {options.url}: {str(error) or type(error).__name__}.") from None
    if provider != settings.captcha.provider:
        raise NotPossibleError(
            f"The gateways' captcha is {provider}, this command's {settings.captcha.provider}: "
            "give it their environment."
        )
    warnings = [f"{one.says}. {one.fix}" for one in findings if one.level > Level.OK and one.kind == "setup"]
    if provider.startswith("recaptcha"):
        warnings.append("Google's captcha was left out, for no machine solves it: asking Google was not measured.")
    return tuple(warnings)


def _need_sockets(options: Options) -> None:
    """Check that this machine can hold the connections of all fans; otherwise the verdict would blame the site.

    Raises:
        NotPossibleError: it may not open enough files, or has not enough ports.
    """
    files = -(-options.fans // options.processes) + OTHER_SOCKETS
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < files:
        raise NotPossibleError(
            f"A generator opens {files} files, the limit is {hard}: raise it (ulimit -Hn), or give more --generators."
        )
    with contextlib.suppress(OSError, ValueError):
        low, high = map(int, PORTS.read_text().split())
        ports = options.fans + options.processes * OTHER_SOCKETS
        if high - low < ports:
            raise NotPossibleError(
                f"So many fans need {ports} ports to one address, this machine gives {high - low}: widen "
                "net.ipv4.ip_local_port_range, or rehearse with fewer."
            )


def _down(findings: list[Finding]) -> list[str]:
    return [one.says for one in findings if one.kind == "up" and one.level == Level.ERROR]


def _findings(settings: Settings, options: Options) -> list[Finding]:
    with open_site(settings, options.embedded, options.url) as site:
        return examine(site)
