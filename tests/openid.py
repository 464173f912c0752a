"""An OpenID provider on a real socket, which signs with PyJWT and can be told to misbehave."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.services import free_port

CLIENT_ID, CLIENT_SECRET = "admitone", "a secret between the two"
Spoil = Callable[[dict[str, Any]], dict[str, Any]]
_LOOP_SECONDS_MAX: Final = 10


class Provider:
    """Signs everybody in as `person`. ``spoil`` changes the claims of each ID token, and ``algorithm`` and ``key`` how
    it is signed. ``asked`` counts what clients asked for.
    """

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.person: dict[str, Any] = {"sub": "person-1"}
        self.spoil: Spoil = dict
        self.algorithm = "RS256"
        self.key: Any = None
        self.asked: dict[str, int] = {}
        self.published: list[dict[str, Any]] = []
        self._codes: dict[str, dict[str, str]] = {}
        self.rotate()

    def rotate(self) -> None:
        """Sign with a new key from now on, and publish it alone."""
        self._private = rsa.generate_private_key(65537, 2048)
        self.kid = secrets.token_hex(4)
        public = jwt.algorithms.RSAAlgorithm.to_jwk(self._private.public_key(), as_dict=True)
        self.published = [{**public, "kid": self.kid, "use": "sig", "alg": "RS256"}]

    def id_token(self, nonce: str, /, **claims: Any) -> str:
        """An ID token as the settings of the moment have it."""
        now = int(time.time())
        said = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": nonce, **self.person}
        key = self._private if self.key is None else self.key
        return jwt.encode(self.spoil(said | claims), key, algorithm=self.algorithm, headers={"kid": self.kid})

    async def _description(self, request: web.Request) -> web.Response:
        self._count("description")
        names = ("authorization_endpoint", "token_endpoint", "jwks_uri")
        paths = ("authorize", "token", "keys")
        return web.json_response(
            {"issuer": self.issuer} | {name: f"{self.issuer}/{path}" for name, path in zip(names, paths, strict=True)}
        )

    async def _keys(self, request: web.Request) -> web.Response:
        self._count("keys")
        return web.json_response({"keys": self.published})

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        said = urlencode({"code": code, "state": asked["state"], "iss": self.issuer})
        return web.Response(status=302, headers={"Location": f"{asked['redirect_uri']}?{said}"})

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        asked = self._codes.pop(str(form["code"]), None)
        digest = hashlib.sha256(str(form["code_verifier"]).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        is_good = (
            asked is not None
            and asked["code_challenge"] == challenge
            and asked["redirect_uri"] == form["redirect_uri"]
            and form["client_secret"] == CLIENT_SECRET
        )
        if asked is None or not is_good:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"access_token": "none", "id_token": self.id_token(asked["nonce"])})

    def _count(self, what: str) -> None:
        self.asked[what] = self.asked.get(what, 0) + 1

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(_LOOP_SECONDS_MAX)
        return self

    async def _serve(self) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.get("/.well-known/openid-configuration", self._description),
                web.get("/keys", self._keys),
                web.get("/authorize", self._authorize),
                web.post("/token", self._token),
            ]
        )
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(_LOOP_SECONDS_MAX)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LOOP_SECONDS_MAX)
        self._loop.close()
