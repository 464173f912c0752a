"""Writes the vectors for verifiers of passes to shops: ``python -m tests.unit.shops.vectors FILE``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from waiting_room.shop_passes import ShopPass, ShopPasses, agent_hash, audience

NOW = 1_780_000_000
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
ROOM = 7
CLAIMS = ShopPass(
    iss="https://wait.example",
    aud=audience("pass", ROOM),
    sub="1234567890123456",
    jti="q1w2e3r4t5y",
    iat=NOW,
    exp=NOW + 300,
    end=NOW + 3600,
    ua=agent_hash(AGENT.encode()),
)


def vectors() -> dict[str, Any]:
    """The key set, and passes with what a verifier says of each: ``reason`` is empty for a good one."""
    passes = ShopPasses("a secret of the vectors", lambda: NOW)
    good = passes.sign(CLAIMS)
    header, payload, signature = good.split(".")
    stranger = ShopPasses("another secret", lambda: NOW)

    def with_claims(**changed: Any) -> str:
        return passes.sign(msgspec.structs.replace(CLAIMS, **changed))

    tokens: list[tuple[str, str, str, dict[str, Any]]] = [
        ("good", good, "", {}),
        ("good until its last second", good, "", {"now": NOW + 299}),
        ("ended", good, "expired", {"now": NOW + 300}),
        ("another browser's", good, "agent", {"agent": "curl/8"}),
        ("another room's", good, "audience", {"room": 8}),
        ("an arrival", with_claims(aud=audience("arrival", ROOM)), "audience", {}),
        ("an open pass", with_claims(aud=f"event:{ROOM}"), "audience", {}),
        ("another site's", stranger.sign(CLAIMS), "key", {}),
        ("without a signature", f"{header}.{payload}.", "signature", {}),
        ("another's signature", f"{header}.{payload}.{with_claims(sub='1').split('.')[2]}", "signature", {}),
        ("changed", f"{header}.{with_claims(sub='1').split('.')[1]}.{signature}", "signature", {}),
        ("of no algorithm", f"eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{payload}.", "key", {}),
        ("two parts", f"{header}.{payload}", "malformed", {}),
        ("nothing", "", "malformed", {}),
        ("too long", good + "A" * 1024, "malformed", {}),
        ("another spelling", good[:-1] + chr(ord(good[-1]) + 1), "malformed", {}),
        ("no JSON", f"{header}.AAAA.{signature}", "malformed", {}),
    ]
    usual = {"room": ROOM, "agent": AGENT, "now": NOW}
    return {
        "keySet": passes.key_set(),
        "passes": [
            {"what": what, "token": token, **usual, **asked, "reason": reason} for what, token, reason, asked in tokens
        ],
    }


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(vectors(), indent=1) + "\n")
