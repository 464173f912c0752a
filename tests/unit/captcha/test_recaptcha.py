"""Against a real HTTP server that plays Google, and the real Valkey."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import web
from altcha.v1 import solve_challenge
from redis.asyncio import Redis

from admitone.fan.captcha import payload
from gateway.captcha.captcha import Captcha, CaptchaFailed, CaptchaUnavailable, Solver
from gateway.captcha.fallback import WithFallback
from gateway.captcha.providers import build_captcha
from gateway.captcha.settings import CaptchaSettings, Provider

Answer = Callable[[], Awaitable[web.Response]]
TIMEOUT_SECONDS = 1.0
"""Longer than a busy machine pauses: an honest answer that comes later is asked for twice."""
SOLVER = Solver(address="127.0.0.9", fan=7, event_id=3, action="checkout")
GOOD_V3 = {"success": True, "score": 0.9, "action": "checkout", "hostname": "tickets.example"}
GOOD_ENTERPRISE = {
    "name": "projects/1/assessments/1",
    "tokenProperties": {"valid": True, "action": "checkout", "hostname": "tickets.example"},
    "riskAnalysis": {"score": 0.9, "reasons": []},
}


def says(body: object, status: int = 200) -> Answer:
    async def answer() -> web.Response:
        return web.json_response(body, status=status)

    return answer


async def is_silent() -> web.Response:
    await asyncio.sleep(TIMEOUT_SECONDS * 3)
    return web.json_response(GOOD_V3)


async def says_no_json() -> web.Response:
    return web.Response(text="<html>busy</html>")


async def says_too_much() -> web.Response:
    return web.Response(text=" " * 100_000)


async def redirects() -> web.Response:
    raise web.HTTPFound("/elsewhere")


class Google:
    """Answers each call with the next of ``answers`` and keeps what it was sent."""

    url = ""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.calls: list[Mapping[str, Any]] = []

    async def siteverify(self, request: web.Request) -> web.Response:
        self.calls.append(dict(await request.post()))
        return await self.answers[len(self.calls) - 1]()

    async def assess(self, request: web.Request) -> web.Response:
        self.calls.append({"query": dict(request.query), "json": await request.json()})
        return await self.answers[len(self.calls) - 1]()


@pytest.fixture
async def google() -> AsyncIterator[Google]:
    google = Google()
    app = web.Application()
    app.router.add_post("/siteverify", google.siteverify)
    app.router.add_post("/v1/projects/stage/assessments", google.assess)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    google.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield google
    await runner.cleanup()


@pytest.fixture
async def recaptcha(google: Google, redis: Redis) -> AsyncIterator[Captcha]:
    settings = CaptchaSettings(
        provider="recaptcha",
        site_key="site-key",
        secret="shh",
        verify_url=f"{google.url}/siteverify",
        hostnames="tickets.example, www.tickets.example",
        timeout_seconds=TIMEOUT_SECONDS,
    )
    captcha = build_captcha(settings, redis)
    yield captcha
    await captcha.close()


@pytest.fixture
async def enterprise(google: Google, redis: Redis) -> AsyncIterator[Captcha]:
    settings = CaptchaSettings(
        provider="recaptcha_enterprise",
        site_key="site-key",
        secret="api-key",
        project="stage",
        verify_url=f"{google.url}/v1",
        hostnames="tickets.example",
        timeout_seconds=TIMEOUT_SECONDS,
    )
    captcha = build_captcha(settings, redis)
    yield captcha
    await captcha.close()


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


async def _verify(captcha: Captcha, token: str, command_id: str = "command-1") -> None:
    await captcha.verify(token, Solver(address="127.0.0.9", action="checkout"), command_id=command_id)


async def _reason(captcha: Captcha, token: str, command_id: str = "command-1") -> str:
    with pytest.raises(CaptchaFailed) as caught:
        await _verify(captcha, token, command_id)
    return caught.value.reason


async def _unavailable(captcha: Captcha, token: str) -> None:
    with pytest.raises(CaptchaUnavailable) as caught:
        await _verify(captcha, token)
    assert caught.value.retry_after_seconds > 0


async def test_success_sends_what_google_asks_for(google: Google, recaptcha: Captcha, token: str) -> None:
    google.answers = [says(GOOD_V3)]
    await _verify(recaptcha, token)
    assert google.calls == [{"secret": "shh", "response": token, "remoteip": "127.0.0.9"}]
    offer = recaptcha.describe()
    assert (offer.provider, offer.site_key, offer.challenge_href) == ("recaptcha", "site-key", None)


async def test_a_checkbox_has_neither_score_nor_action(google: Google, recaptcha: Captcha, token: str) -> None:
    google.answers = [says({"success": True, "hostname": "tickets.example"})]
    await _verify(recaptcha, token)


async def test_a_token_serves_one_command_and_its_retries(google: Google, recaptcha: Captcha, token: str) -> None:
    google.answers = [says(GOOD_V3)]
    await _verify(recaptcha, token, "command-1")
    await _verify(recaptcha, token, "command-1")
    assert await _reason(recaptcha, token, "command-2") == "already_used"
    assert len(google.calls) == 1


async def test_two_commands_at_once_share_no_token(google: Google, recaptcha: Captcha, token: str) -> None:
    google.answers = [says(GOOD_V3), says(GOOD_V3)]
    done = await asyncio.gather(
        *(_verify(recaptcha, token, f"command-{number}") for number in range(2)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in done) == ["CaptchaFailed", "NoneType"]


async def test_twins_of_one_command_both_pass(google: Google, recaptcha: Captcha, token: str) -> None:
    slow_one_asked, first_is_recorded = asyncio.Event(), asyncio.Event()

    async def duplicate() -> web.Response:
        slow_one_asked.set()
        await first_is_recorded.wait()
        return web.json_response({"success": False, "error-codes": ["timeout-or-duplicate"]})

    google.answers = [duplicate, says(GOOD_V3)]
    twin = asyncio.create_task(_verify(recaptcha, token))
    await slow_one_asked.wait()
    await _verify(recaptcha, token)
    first_is_recorded.set()
    await twin
    assert len(google.calls) == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({**GOOD_V3, "score": 0.4}, "low_score"),
        ({**GOOD_V3, "score": 0}, "low_score"),
        ({**GOOD_V3, "action": "join"}, "wrong_action"),
        ({**GOOD_V3, "hostname": "evil.example"}, "wrong_hostname"),
        ({"success": True}, "wrong_hostname"),
        ({"success": False}, "rejected"),
        ({"success": False, "error-codes": ["news-to-us"]}, "rejected"),
        ({"success": False, "error-codes": ["missing-input-response"]}, "malformed"),
        ({"success": False, "error-codes": ["invalid-input-response"]}, "malformed"),
        ({"success": False, "error-codes": ["timeout-or-duplicate"]}, "already_used"),
        ({**GOOD_V3, "success": False}, "rejected"),
    ],
)
async def test_refused(google: Google, recaptcha: Captcha, token: str, answer: dict[str, object], reason: str) -> None:
    google.answers = [says(answer), says(GOOD_V3)]
    assert await _reason(recaptcha, token) == reason
    assert len(google.calls) == 1
    await _verify(recaptcha, token)


@pytest.mark.parametrize("trouble", [is_silent, says({}, 500), says({}, 503)])
async def test_trouble_once_is_retried(google: Google, recaptcha: Captcha, token: str, trouble: Answer) -> None:
    google.answers = [trouble, says(GOOD_V3)]
    await _verify(recaptcha, token)
    assert len(google.calls) == 2


@pytest.mark.parametrize("trouble", [is_silent, says({}, 500)])
async def test_trouble_twice_is_unavailable(google: Google, recaptcha: Captcha, token: str, trouble: Answer) -> None:
    google.answers = [trouble, trouble, says(GOOD_V3)]
    await _unavailable(recaptcha, token)
    assert len(google.calls) == 2


@pytest.mark.parametrize(
    "answer",
    [
        says_no_json,
        redirects,
        says({}),
        says([]),
        says({"success": "yes"}),
        says({**GOOD_V3, "score": "high"}),
        says({}, 404),
        says({"success": False, "error-codes": ["invalid-input-secret"]}),
        says({"success": False, "error-codes": ["missing-input-secret", "invalid-input-response"]}),
    ],
)
async def test_what_cannot_be_judged_is_unavailable_at_once(
    google: Google, recaptcha: Captcha, token: str, answer: Answer
) -> None:
    google.answers = [answer]
    await _unavailable(recaptcha, token)
    assert len(google.calls) == 1


async def test_an_endless_answer_is_cut_off(google: Google, recaptcha: Captcha, token: str) -> None:
    google.answers = [says_too_much, says_too_much]
    await _unavailable(recaptcha, token)


async def test_nobody_listening_is_unavailable(redis: Redis, google: Google, token: str) -> None:
    settings = CaptchaSettings(
        provider="recaptcha", site_key="k", secret="s", verify_url="http://127.0.0.1:1/", timeout_seconds=1
    )
    captcha = build_captcha(settings, redis)
    await _unavailable(captcha, token)
    await captcha.close()


@pytest.mark.parametrize("token", ["", "x" * 4097, "tökèn"])
async def test_google_is_not_asked_about_garbage(google: Google, recaptcha: Captcha, token: str) -> None:
    assert await _reason(recaptcha, token) == "malformed"
    assert google.calls == []


async def test_enterprise_success(google: Google, enterprise: Captcha, token: str) -> None:
    google.answers = [says(GOOD_ENTERPRISE)]
    await _verify(enterprise, token)
    await _verify(enterprise, token)
    assert google.calls == [
        {
            "query": {"key": "api-key"},
            "json": {
                "event": {
                    "token": token,
                    "siteKey": "site-key",
                    "expectedAction": "checkout",
                    "userIpAddress": "127.0.0.9",
                }
            },
        }
    ]
    assert await _reason(enterprise, token, "command-2") == "already_used"


@pytest.mark.parametrize(
    ("properties", "score", "reason"),
    [
        ({}, 0.1, "low_score"),
        ({"action": "join"}, 0.9, "wrong_action"),
        ({"hostname": "evil.example"}, 0.9, "wrong_hostname"),
        ({"valid": False, "invalidReason": "EXPIRED"}, 0.0, "expired"),
        ({"valid": False, "invalidReason": "DUPE"}, 0.0, "already_used"),
        ({"valid": False, "invalidReason": "MALFORMED"}, 0.0, "malformed"),
        ({"valid": False, "invalidReason": "BROWSER_ERROR"}, 0.0, "rejected"),
    ],
)
async def test_enterprise_refuses(
    google: Google,
    enterprise: Captcha,
    token: str,
    properties: dict[str, object],
    score: float,
    reason: str,
) -> None:
    good = {"valid": True, "action": "checkout", "hostname": "tickets.example"}
    google.answers = [says({"tokenProperties": {**good, **properties}, "riskAnalysis": {"score": score}})]
    assert await _reason(enterprise, token) == reason


@pytest.mark.parametrize("answer", [says({"error": {"code": 400}}, 400), says({}), says_no_json])
async def test_enterprise_that_cannot_be_judged(
    google: Google, enterprise: Captcha, token: str, answer: Answer
) -> None:
    google.answers = [answer]
    await _unavailable(enterprise, token)


@pytest.mark.parametrize("provider", ["hcaptcha", "turnstile"])
async def test_others_answer_siteverify_too(google: Google, redis: Redis, provider: Provider) -> None:
    settings = CaptchaSettings(
        provider=provider, site_key="site-key", secret="shh", verify_url=f"{google.url}/siteverify"
    )
    captcha = build_captcha(settings, redis)
    answer = {"success": True, "hostname": "tickets.example"}
    # hCaptcha's score is a risk: a low one is a person's.
    google.answers.append(says(answer | ({"score": 0.1} if provider == "hcaptcha" else {"action": "checkout"})))
    google.answers.append(says({"success": False, "error-codes": ["invalid-or-already-seen-response"]}))
    try:
        assert await captcha.verify("token 1", SOLVER, command_id="command-1")
        with pytest.raises(CaptchaFailed) as refused:
            await captcha.verify("token 2", SOLVER, command_id="command-2")
        assert refused.value.reason == "already_used"
        assert google.calls[0] == {"secret": "shh", "response": "token 1", "remoteip": SOLVER.address}
    finally:
        await captcha.close()


async def test_while_a_provider_is_down_altcha_takes_its_place(google: Google, redis: Redis) -> None:
    settings = CaptchaSettings(
        provider="turnstile", site_key="site-key", secret="shh", verify_url=f"{google.url}/siteverify", work_max=100
    )
    first, second = (build_captcha(settings, redis, process_secret="a secret") for _ in range(2))
    assert isinstance(first, WithFallback)
    assert isinstance(second, WithFallback)
    cheap = payload(challenge := await first.altcha.challenge(SOLVER), _number(challenge))
    google.answers += [says({}, 500)] * 2
    try:
        assert first.describe().provider == "turnstile"
        with pytest.raises(CaptchaFailed) as refused:
            await first.verify("token 1", SOLVER, command_id="command-1")
        assert refused.value.reason == "provider_down"
        assert first.describe().provider == "altcha"
        assert await second.verify(cheap, SOLVER, command_id="command-1"), "a gateway that has met no failure yet"
        await redis.delete("captcha:down")
        google.answers.append(says({"success": False, "error-codes": ["invalid-input-response"]}))
        with pytest.raises(CaptchaFailed) as well_again:
            await second.verify(cheap, SOLVER, command_id="command-2")
        assert well_again.value.reason == "malformed", "while the provider answers nobody chooses the cheaper one"
    finally:
        await first.close()
        await second.close()


def _number(challenge: Mapping[str, Any]) -> int:
    found = solve_challenge(str(challenge["challenge"]), str(challenge["salt"]), "SHA-256", 100)
    assert found is not None
    return found.number
