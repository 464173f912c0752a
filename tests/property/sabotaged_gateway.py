"""A gateway with one of its guards off: the negative controls' way to start one.

Reads the same environment as ``admitone gateway``. Arguments: which guard (`GUARDS`), then the port.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec
import uvicorn

from gateway.captcha.used import UsedTokens
from waiting_room.signing import Signer


def no_pass_check() -> None:
    # Imported by the gateway's process only: the tests' own takes Litestar's warnings for errors.
    from gateway.line.admission import Admission

    async def let_through(*_: object) -> None:
        return

    assert callable(Admission.require)
    Admission.require = let_through  # type: ignore[assignment, method-assign]


def no_signature_check() -> None:
    def believe(self: Signer[Any], token: str, *, late_seconds: float = 0) -> tuple[Any, int]:
        payload = token.split(".")[1]
        decoded = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        return self._decode(decoded), msgspec.json.decode(decoded)["exp"]

    assert callable(Signer.verify)
    Signer.verify = believe  # type: ignore[method-assign]


def no_single_use() -> None:
    async def take(*_: object) -> None:
        return

    assert callable(UsedTokens.take)
    UsedTokens.take = take  # type: ignore[assignment]


GUARDS: Final[dict[str, Callable[[], None]]] = {
    "the pass check": no_pass_check,
    "the token signature": no_signature_check,
    "the captcha's single use": no_single_use,
}


def main(guard: str, port: str) -> None:
    """Serve without it until told to end."""
    from admitone.asgi import create

    GUARDS[guard]()
    uvicorn.run(create(), host="127.0.0.1", port=int(port), access_log=False, log_level="warning")


if __name__ == "__main__":
    main(*sys.argv[1:])
