"""The proxy before the gateways, seen from outside: whether there is TLS, whether cookies are Secure, and whether
gateways learn the fans' own addresses.
"""

from __future__ import annotations

import http.client
import ipaddress
import ssl
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from admitone.doctor.finding import Finding, error, fine, warning
from admitone.doctor.site import Site

ANSWER_SECONDS_MAX: Final = 5


def examine(site: Site) -> Iterator[Finding]:
    if not site.settings.server.trusted_proxies:
        yield site.misconfigured(
            "setup",
            "proxy",
            "ADMITONE_TRUSTED_PROXIES is empty: gateways speak plain HTTP, and take a proxy's address for its fans'",
            "Put a proxy that ends TLS before them (deploy/nginx), and name its address.",
        )
    if not site.public_url:
        yield site.misconfigured(
            "setup",
            "tls",
            "The address that fans use is not known, so TLS and cookies were not looked at",
            "Run `admitone doctor --url https://...` with the address that fans use.",
        )
        return
    address = urlsplit(site.public_url)
    host = address.hostname or ""
    if address.scheme != "https":
        yield site.misconfigured(
            "setup",
            "tls",
            f"Fans come in by {site.public_url}, without TLS" + (" (on this machine only)" if _local(host) else ""),
            "Let a proxy end TLS before the gateways, and redirect http:// to it.",
        )
    try:
        status, cookie = _session(address.scheme, host, address.port)
    except (OSError, http.client.HTTPException) as problem:
        yield error(
            "up", "public_url", f"{site.public_url} does not answer: {problem}", "Correct --url, or mend the proxy."
        )
        return
    if status != 201:
        yield warning(
            "up", "public_url", f"{site.public_url} gives no new session: HTTP {status}", "Try again in a minute."
        )
        return
    yield fine("up", "public_url", f"{site.public_url} answers")
    if "secure" not in {part.strip().lower() for part in cookie.split(";")}:
        yield site.misconfigured(
            "setup",
            "cookies",
            "Session cookies are not Secure: a plain HTTP request would show them to the network",
            "Set ADMITONE_ENV=production on the gateways.",
        )


def _session(scheme: str, host: str, port: int | None) -> tuple[int, str]:
    """Begin a fan's session as a browser does; gives the status and the cookie."""
    connection: http.client.HTTPConnection
    if scheme == "https":
        connection = http.client.HTTPSConnection(
            host, port, timeout=ANSWER_SECONDS_MAX, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS_MAX)
    try:
        connection.request("POST", "/api/session", headers={"Content-Length": "0"})
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("Set-Cookie", "")
    finally:
        connection.close()


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
