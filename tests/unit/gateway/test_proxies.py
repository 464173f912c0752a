"""Which peers are trusted, in each spelling of an address."""

from __future__ import annotations

import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from gateway.wire.proxies import TrustedProxies


@pytest.mark.parametrize(
    ("setting", "peer", "trusted"),
    [
        ("10.0.0.0/8", "10.0.0.1", True),
        ("10.0.0.0/8", "::ffff:10.0.0.1", True),
        ("10.0.0.0/8", "::ffff:a00:1", True),
        ("10.0.0.0/8", "::ffff:11.0.0.1", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("10.0.0.1", "::ffff:10.0.0.2", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("::ffff:10.0.0.0/104", "10.9.9.9", True),
        ("10.0.0.7/8", "10.0.0.1", True),
        ("fd00::/8", "fd00::1", True),
        ("fd00::/8", "fe80::1", False),
        ("", "127.0.0.1", False),
        ("*", "anything", True),
    ],
)
async def test_a_peer_is_found_in_either_spelling(setting: str, peer: str, trusted: bool) -> None:
    """Our bound by address and uvicorn's belief in X-Forwarded-For agree."""
    proxies = TrustedProxies.of(setting)
    assert (peer in proxies) is trusted
    seen = []

    async def app(scope: object, _receive: object, _send: object) -> None:
        seen.append(scope["client"][0])  # type: ignore[index]

    scope = {"type": "http", "scheme": "http", "client": (peer, 1), "headers": [(b"x-forwarded-for", b"203.0.113.9")]}
    allowed = proxies.allowed_ips
    await ProxyHeadersMiddleware(app, allowed)(scope, None, None)  # type: ignore[arg-type]
    assert seen == ["203.0.113.9" if trusted else peer]
