"""The files for a shop's proxy, with what we know of the shop written into them.

They are those of ``deploy/gate``, which tests run with the real programs. A wheel has a copy beside this module.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from db.shops.model import Shop
from gateway.wire.addresses import below, origin

_HERE: Final = Path(__file__).parent
FOLDER: Final = (
    _HERE / "proxy_files" if (_HERE / "proxy_files").is_dir() else _HERE.parents[1].joinpath("deploy", "gate")
)
FILES: Final = (
    ("nginx", "nginx.conf"),
    ("nginx", "shop_proxy.conf"),
    ("nginx", "shop_origin.conf"),
    ("Caddy", "Caddyfile"),
    ("HAProxy", "haproxy.cfg"),
    ("HAProxy", "haproxy.lua"),
    ("Traefik", "traefik.yml"),
    ("Envoy", "envoy.yaml"),
    ("Cloudflare", "cloudflare-worker.js"),
)


class ProxyFile(NamedTuple):
    proxy: str
    file: str
    text: str


def proxy_files(shop: Shop, event_id: int) -> list[ProxyFile]:
    """The files of every proxy, for this shop's room."""
    written = (
        ("/gate/7", below(f"/gate/{event_id}")),
        ("admitone_shop_7", f"admitone_shop_{event_id}"),
        ("const ROOM = 7;", f"const ROOM = {event_id};"),
        ("https://wait.example", f"{origin()}{below('')}" or "https://wait.example"),
        ("shop.example", urlsplit(shop.origin).hostname or ""),
    )
    found = []
    for proxy, name in FILES:
        text = (FOLDER / name).read_text(encoding="utf-8")
        for shipped, own in written:
            text = text.replace(shipped, own)
        found.append(ProxyFile(proxy, name, text))
    return found
