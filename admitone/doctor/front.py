"""The proxy before the gateways, seen from outside: whether there is TLS, whether cookies are Secure, whether gateways
learn the fans' own addresses, and whether they know the address by which fans come in.
"""

from __future__ import annotations

import http.client
import ipaddress
import ssl
from collections.abc import Iterator
from http.cookies import SimpleCookie
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from admitone.doctor.finding import Finding, error, fine, warning
from admitone.doctor.site import Site
from gateway.wire.addresses import PublicAddress

ANSWER_SECONDS_MAX: Final = 5
BODY_BYTES_READ_MAX: Final = 65_536


def examine(site: Site) -> Iterator[Finding]:
    if not site.settings.connection.trusted_proxies:
        yield site.misconfigured(
            "setup",
            "proxy",
            "ADMITONE_TRUSTED_PROXIES is empty: gateways speak plain HTTP, and take a proxy's address for its fans'",
            "Put a proxy that ends TLS before them (deploy/nginx), and name its address.",
        )
    known = PublicAddress.of(site.settings.site.public_url or "/")
    url = site.public_url or (known.origin and known.origin + known.root)
    if not url:
        yield site.misconfigured(
            "setup",
            "tls",
            "The address that fans use is not known, so TLS and cookies were not looked at",
            "Set ADMITONE_PUBLIC_URL to the address that fans use, or run `admitone doctor --url https://...` with it.",
        )
        return
    address = urlsplit(url)
    host = address.hostname or ""
    if address.scheme != "https":
        yield site.misconfigured(
            "setup",
            "tls",
            f"Fans come in by {url}, without TLS" + (" (on this machine only)" if _local(host) else ""),
            "Let a proxy end TLS before the gateways, and redirect http:// to it.",
        )
    try:
        status, cookie, code = _session(address)
    except (OSError, http.client.HTTPException, ValueError) as problem:
        yield error("up", "public_url", f"{url} does not answer: {problem}", "Correct the address, or mend the proxy.")
        return
    if code == "cross_site":
        yield site.misconfigured(
            "setup",
            "proxy_host",
            f"{url} takes the requests of its own pages for another site's where a browser is older than 2023: a proxy"
            " changes their Host",
            f"Set ADMITONE_PUBLIC_URL={url} on every gateway, or have every proxy pass Host on unchanged.",
        )
        return
    if status != 201:
        yield warning("up", "public_url", f"{url} gives no new session: HTTP {status}", "Try again in a minute.")
        return
    yield fine("up", "public_url", f"{url} answers")
    told = SimpleCookie(cookie)
    paths = {morsel["path"] for morsel in told.values()}
    root = address.path.rstrip("/")
    if paths != {root or "/"}:
        yield site.misconfigured(
            "setup",
            "public_path",
            f"Fans come in by {url}, but the gateways' links and cookies begin with {' and '.join(sorted(paths))}",
            f"Set ADMITONE_PUBLIC_URL={url} on every gateway.",
        )
    if "secure" not in {part.strip().lower() for part in cookie.split(";")}:
        yield site.misconfigured(
            "setup",
            "cookies",
            "Session cookies are not Secure: a plain HTTP request would show them to the network",
            "Set ADMITONE_ENV=production on the gateways.",
        )


def _session(url: SplitResult) -> tuple[int, str, str]:
    """Begin a fan's session as a page of the site does in a browser without Fetch Metadata; gives the status, the
    cookie and, where it is refused, the problem's code.
    """
    connection: http.client.HTTPConnection
    scheme, host, port = url.scheme, url.hostname or "", url.port
    if scheme == "https":
        connection = http.client.HTTPSConnection(
            host, port, timeout=ANSWER_SECONDS_MAX, context=ssl.create_default_context()
        )
    else:
        connection = http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS_MAX)
    try:
        headers = {"Content-Length": "0", "Origin": PublicAddress.of(f"{scheme}://{url.netloc}").origin}
        connection.request("POST", f"{url.path.rstrip('/')}/api/session", headers=headers)
        answer = connection.getresponse()
        body = answer.read(BODY_BYTES_READ_MAX)
        return answer.status, answer.headers.get("Set-Cookie", ""), _code(body) if answer.status == 403 else ""
    finally:
        connection.close()


def _code(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Problem).code
    except msgspec.MsgspecError:
        return ""


class _Problem(msgspec.Struct):
    code: str = ""


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
