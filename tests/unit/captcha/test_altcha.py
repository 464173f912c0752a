from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
from typing import Any

import msgspec
import pytest
from altcha.v1 import ChallengeOptions, create_challenge, solve_challenge
from redis.asyncio import Redis

from gateway.captcha.altcha import NETWORK_FREE, Altcha, solved
from gateway.captcha.captcha import CaptchaFailed, CaptchaUnavailable, Solver
from gateway.captcha.providers import build_captcha
from gateway.captcha.settings import CaptchaSettings

SECRET = b"a process secret of thirty-two bytes"
WORK_MAX = 2_000
SOLVER = Solver(address="127.0.0.1", fan=7, event_id=3, action="checkout")


@pytest.fixture
def captcha(redis: Redis) -> Altcha:
    return _altcha(redis)


def _altcha(redis: Redis, secret: bytes = SECRET) -> Altcha:
    built = build_captcha(CaptchaSettings(work_max=WORK_MAX, ttl_seconds=60), redis, process_secret=secret.decode())
    assert isinstance(built, Altcha)
    return built


def _solve(challenge: dict[str, str | int]) -> dict[str, Any]:
    """The solution as ALTCHA's widget posts it, ``took`` included."""
    found = solve_challenge(str(challenge["challenge"]), str(challenge["salt"]), "SHA-256", int(challenge["maxnumber"]))
    assert found is not None
    solution = {key: value for key, value in challenge.items() if key != "maxnumber"}
    return {**solution, "number": found.number, "took": 12}


def _token(solution: object) -> str:
    return base64.b64encode(json.dumps(solution).encode()).decode()


async def _verify(captcha: Altcha, token: str, command_id: str = "command-1") -> None:
    await captcha.verify(token, SOLVER, command_id=command_id)


async def _reason(captcha: Altcha, token: str, command_id: str = "command-1") -> str:
    with pytest.raises(CaptchaFailed) as caught:
        await _verify(captcha, token, command_id)
    return caught.value.reason


async def test_challenge_is_the_standard_one(captcha: Altcha) -> None:
    challenge = await captcha.challenge(SOLVER)
    assert set(challenge) == {"algorithm", "challenge", "maxnumber", "salt", "signature"}
    assert challenge["algorithm"] == "SHA-256"
    assert challenge["maxnumber"] == WORK_MAX
    assert "?expires=" in str(challenge["salt"])
    assert (await captcha.challenge(SOLVER))["challenge"] != challenge["challenge"]


def test_offer_names_the_challenge(captcha: Altcha) -> None:
    assert json.loads(msgspec.json.encode(captcha.describe())) == {
        "provider": "altcha",
        "requiredFor": ["checkout"],
        "challengeHref": "/api/captcha/challenge",
    }


async def test_a_solution_serves_one_command_and_its_retries(captcha: Altcha) -> None:
    token = _token(_solve(await captcha.challenge(SOLVER)))
    await _verify(captcha, token, "command-1")
    await _verify(captcha, token, "command-1")
    assert await _reason(captcha, token, "command-2") == "already_used"
    await _verify(captcha, token, "command-1")


async def test_a_solution_re_encoded_is_still_the_same(captcha: Altcha) -> None:
    solution = _solve(await captcha.challenge(SOLVER))
    await _verify(captcha, _token(solution), "command-1")
    solution["salt"] = str(solution["salt"]).removesuffix("&")
    assert await _reason(captcha, _token(solution), "command-2") == "already_used"


async def test_another_process_with_the_secret_accepts_it_and_one_without_does_not(redis: Redis) -> None:
    token = _token(_solve(await _altcha(redis).challenge(SOLVER)))
    assert await _reason(_altcha(redis, b"another secret"), token) == "wrong"
    await _verify(_altcha(redis), token)


async def test_the_secret_itself_is_not_the_key(captcha: Altcha) -> None:
    made = create_challenge(ChallengeOptions(max_number=10, hmac_key=SECRET, salt="00?expires=9999999999"))
    forged = {"algorithm": "SHA-256", "challenge": made.challenge, "salt": made.salt}
    number = solve_challenge(made)
    assert number is not None
    token = _token({**forged, "number": number.number, "signature": made.signature})
    assert await _reason(captcha, token) == "wrong"


async def test_expired(redis: Redis) -> None:
    captcha = Altcha(redis, secret=SECRET, work_max=WORK_MAX, ttl_seconds=-10)
    assert await _reason(captcha, _token(_solve(await captcha.challenge(SOLVER)))) == "expired"


@pytest.mark.parametrize(
    "change",
    [
        {"number": WORK_MAX + 1},
        {"number": 10**30},
        {"signature": "0" * 64},
        {"challenge": "0" * 64},
        {"salt": "00?expires=9999999999&"},
        {"salt": "00"},
        {"salt": ""},
    ],
)
async def test_a_forged_field_is_wrong(captcha: Altcha, change: dict[str, object]) -> None:
    solution = _solve(await captcha.challenge(SOLVER))
    assert await _reason(captcha, _token({**solution, **change})) in ("wrong", "malformed")
    await _verify(captcha, _token(solution))


async def test_no_digit_can_be_moved_from_the_number_into_the_salt(captcha: Altcha) -> None:
    """Both are hashed one behind the other, so that only the end of the salt tells them apart."""
    digits = ""
    while len(digits) < 2 or digits[1] == "0":
        solution = _solve(await captcha.challenge(SOLVER))
        digits = str(solution["number"])
    moved = {**solution, "salt": solution["salt"] + digits[0], "number": int(digits[1:])}
    assert await _reason(captcha, _token(moved)) == "wrong"
    shorter = {**solution, "salt": str(solution["salt"]).rstrip("&")}
    await _verify(captcha, _token(shorter))
    assert await _reason(captcha, _token(solution), "command-2") == "already_used"


async def test_a_prolonged_expiry_is_wrong(captcha: Altcha) -> None:
    solution = _solve(await captcha.challenge(SOLVER))
    salt = str(solution["salt"])
    for prolonged in (salt + "expires=9999999999&", salt.replace("expires=", "expires=9999999999&expires=")):
        assert await _reason(captcha, _token({**solution, "salt": prolonged})) == "wrong"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "not base64!",
        "ünïcode",
        "A",
        base64.b64encode(b"\xff\xfe").decode(),
        base64.b64encode(b"{").decode(),
        _token([]),
        _token(None),
        _token({}),
        _token({"algorithm": "SHA-256"}),
        _token({"algorithm": "SHA-1", "challenge": "a", "number": 1, "salt": "s", "signature": "x"}),
        _token({"algorithm": "SHA-256", "challenge": "a", "number": "1", "salt": "s", "signature": "x"}),
        _token({"algorithm": "SHA-256", "challenge": "a", "number": True, "salt": "s", "signature": "x"}),
        _token({"algorithm": "SHA-256", "challenge": "a", "number": -1, "salt": "s", "signature": "x"}),
        _token({"algorithm": "SHA-256", "challenge": "a", "number": 1, "salt": "\ud800", "signature": "x"}),
        _token({"algorithm": "SHA-256", "challenge": "a", "number": 1, "salt": None, "signature": "x"}),
        _token({"algorithm": "SHA-256", "challenge": "a", "number": 1, "salt": "s" * 300, "signature": "x"}),
        base64.b64encode(b"[" * 3000).decode(),
        "A" * 4097,
    ],
)
async def test_garbage_is_malformed(captcha: Altcha, token: str) -> None:
    assert await _reason(captcha, token) == "malformed"


async def test_the_record_outlives_the_challenge(captcha: Altcha, redis: Redis) -> None:
    challenge = await captcha.challenge(SOLVER)
    await _verify(captcha, _token(_solve(challenge)))
    digest = hashlib.sha256(str(challenge["challenge"]).encode()).hexdigest()
    assert await redis.get(f"captcha:{digest}") == b"command-1"
    assert 60 < await redis.ttl(f"captcha:{digest}") <= 121


async def test_without_redis_nobody_gets_through(captcha: Altcha) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with Redis(host="127.0.0.1", port=unused.getsockname()[1], socket_timeout=1) as away:
            token = _token(_solve(await captcha.challenge(SOLVER)))
            with pytest.raises(CaptchaUnavailable) as caught:
                await _verify(_altcha(away), token)
    assert caught.value.retry_after_seconds > 0
    await _verify(captcha, token)


async def test_off_lets_through_and_asks_nothing(redis: Redis) -> None:
    off = build_captcha(CaptchaSettings(provider="off"), redis)
    assert await off.verify("", SOLVER, command_id="command-1")
    assert json.loads(msgspec.json.encode(off.describe())) == {"provider": "off", "requiredFor": []}
    await off.close()


@pytest.mark.parametrize(
    ("settings", "missing"),
    [
        (CaptchaSettings(), "secret"),
        (CaptchaSettings(provider="recaptcha"), "captcha_site_key, captcha_secret"),
        (CaptchaSettings(provider="recaptcha_enterprise", site_key="k", secret="s"), "captcha_project"),
    ],
)
def test_a_provider_without_its_keys_is_refused(redis: Redis, settings: CaptchaSettings, missing: str) -> None:
    with pytest.raises(ValueError, match=missing):
        build_captcha(settings, redis)


async def test_who_has_the_secret_needs_no_search_and_is_verified_all_the_same(captcha: Altcha) -> None:
    token = solved(SECRET, work_max=WORK_MAX, ttl_seconds=60)
    await _verify(captcha, token)
    assert await _reason(captcha, token, "command-2") == "already_used"
    assert await _reason(captcha, solved(b"the secret of another site", work_max=WORK_MAX, ttl_seconds=60)) == "wrong"
    assert await _reason(captcha, solved(SECRET, work_max=WORK_MAX, ttl_seconds=-100)) == "expired"


@pytest.mark.parametrize(
    ("made_for", "shown_by", "reason"),
    [
        ({"fan": 8}, {}, "wrong_fan"),
        ({"fan": 0, "address": "127.9.0.1"}, {"fan": 0}, "wrong_fan"),
        ({"event_id": 4}, {}, "wrong_event"),
        ({"action": "reserve"}, {}, "wrong_action"),
    ],
)
async def test_a_solution_serves_those_it_was_made_for(
    captcha: Altcha, made_for: dict[str, Any], shown_by: dict[str, Any], reason: str
) -> None:
    token = _token(_solve(await captcha.challenge(msgspec.structs.replace(SOLVER, **made_for))))
    with pytest.raises(CaptchaFailed) as caught:
        await captcha.verify(token, msgspec.structs.replace(SOLVER, **shown_by), command_id="command-1")
    assert caught.value.reason == reason


async def test_only_a_solution_of_the_session_shows_a_person(captcha: Altcha) -> None:
    moved = msgspec.structs.replace(SOLVER, address="198.51.100.7")
    of_session = _token(_solve(await captcha.challenge(SOLVER)))
    assert await captcha.verify(of_session, moved, command_id="command-1"), "the phone left the wireless network"
    of_network = _token(_solve(await captcha.challenge(Solver(address=SOLVER.address))))
    assert not await captcha.verify(of_network, SOLVER, command_id="command-2")


async def test_the_work_grows_with_the_proofs_of_a_network_and_of_a_fan(captcha: Altcha) -> None:
    async def work(solver: Solver) -> int:
        return int((await captcha.challenge(solver))["maxnumber"])

    solved_ahead = _token(_solve(await captcha.challenge(SOLVER)))
    for number in range(NETWORK_FREE):
        fan = msgspec.structs.replace(SOLVER, fan=100 + number)
        await _verify_of(captcha, solved(SECRET, work_max=WORK_MAX, ttl_seconds=60), fan, f"command {number}")
    assert await work(SOLVER) == WORK_MAX
    for number in range(16 * NETWORK_FREE):
        fan = msgspec.structs.replace(SOLVER, fan=1000 + number)
        with contextlib.suppress(CaptchaFailed):
            await _verify_of(captcha, solved(SECRET, work_max=WORK_MAX, ttl_seconds=60), fan, f"further {number}")
    assert await work(SOLVER) == 16 * WORK_MAX
    assert await work(msgspec.structs.replace(SOLVER, address="198.51.100.7")) == WORK_MAX
    assert await _reason(captcha, solved_ahead) == "too_weak"


async def _verify_of(captcha: Altcha, token: str, solver: Solver, command_id: str) -> None:
    await captcha.verify(token, solver, command_id=command_id)
