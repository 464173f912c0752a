"""Keys that change while processes run: what the old ones signed stays good, and what a removed one signed does not."""

from __future__ import annotations

import datetime as dt
import random
import time
import uuid

import jwt
import msgspec
import pytest

from admitone.fan.calls import Calls
from admitone.fan.counts import Counts
from admitone.fan.http import HttpClient
from admitone.rehearsal.generator import Site
from admitone.rehearsal.plan import Crowd
from db.keys.signing_keys import KeyRow
from gateway.identity.sessions import Identity
from gateway.identity.totp import Authenticators
from gateway.wire.problems import ProblemError
from messages.links import LinkTokens, Reader
from messages.purchase_keys import PurchaseKeys
from waiting_room.access import CodeHasher
from waiting_room.errors import TokenInvalid
from waiting_room.key_ring import FIRST, KeyGroup, KeyRing, SealedElsewhereError
from waiting_room.open_passes import PASS_SECONDS_MAX, OpenPasses
from waiting_room.signing import HEADER
from waiting_room.tokens import PlaceToken, Tokens

SECRET = "a secret of the tests, which is long enough"
NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
PLACE = PlaceToken(event=1, fan=7, epoch=1, number=3, joined_at_ms=int(time.time() * 1000), session="s")


def first_row(group: KeyGroup) -> KeyRow:
    return KeyRow(group, FIRST, None, "", NOW, NOW)


def new_row(ring: KeyRing, group: KeyGroup) -> KeyRow:
    key_id, sealed = ring.new_key(group)
    return KeyRow(group, key_id, sealed, "", NOW, NOW)


def rotated(ring: KeyRing) -> dict[KeyGroup, KeyRow]:
    """Give the ring a new key in front of the first one, in every group."""
    new = {group: new_row(ring, group) for group in KeyGroup}
    ring.take([row for group in KeyGroup for row in (new[group], first_row(group))])
    return new


def identity_of(ring: KeyRing) -> Identity:
    return Identity(ring, session_seconds=3600, open_auth=False, secure=False)


def test_what_was_signed_before_a_rotation_is_good_after_it() -> None:
    ring = KeyRing(SECRET)
    identity, tokens, links = identity_of(ring), Tokens(ring, place_seconds=86_400, hold_seconds=60), LinkTokens(ring)
    purchase = uuid.uuid4()
    phone, mail = Reader(channel="sms", address="+49301234567"), Reader(channel="mail", address="a@b.example")
    made = (
        identity.new_fan(7)[0], identity.operator_token("id", "Ada"), tokens.sign_place(PLACE),
        links.sign_reader(phone), links.sign_reader(mail), links.purchases.key(purchase, 7),
    )  # fmt: skip
    assert made[0].startswith(HEADER), "a site that never rotated signs as it always did"
    rotated(ring)
    session, operator, place, sms, letter, key = made
    assert identity.verify(session).user_id == 7
    assert identity.verify(operator).name == "Ada"
    assert tokens.verify_place(place, event=1) == PLACE
    assert (links.verify_reader(sms), links.verify_reader(letter)) == (phone, mail)
    assert links.purchases.fan(purchase, key) == 7
    after = tokens.sign_place(PLACE)
    assert tokens.verify_place(after, event=1) == PLACE
    assert links.purchases.key(purchase, 7) != key
    assert links.purchases.fan(purchase, links.purchases.key(purchase, 7)) == 7


def test_a_token_names_its_key_and_is_a_jwt_to_others() -> None:
    ring = KeyRing(SECRET)
    key = rotated(ring)[KeyGroup.PLACES]
    token = Tokens(ring, place_seconds=86_400, hold_seconds=60).sign_place(PLACE)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "kid": key.key_id, "typ": "JWT"}
    secret = ring.derived(KeyGroup.PLACES, b"admitone place token v1")[0].secret
    assert jwt.decode(token, secret, algorithms=["HS256"])["fan"] == 7


def test_a_key_verifies_before_it_signs() -> None:
    """Two gateways in the middle of a rotation: one signs already, the other does not yet."""
    ahead, behind = KeyRing(SECRET), KeyRing(SECRET)
    new = new_row(ahead, KeyGroup.PLACES)
    waiting = new._replace(signs_at=None)
    ahead.take([new, first_row(KeyGroup.PLACES)])
    behind.take([first_row(KeyGroup.PLACES), waiting])
    there, here = (Tokens(ring, place_seconds=86_400, hold_seconds=60) for ring in (ahead, behind))
    assert here.verify_place(there.sign_place(PLACE), event=1) == PLACE
    assert there.verify_place(here.sign_place(PLACE), event=1) == PLACE
    assert here.sign_place(PLACE).startswith(HEADER)


def test_what_a_removed_key_signed_is_refused_also_where_it_was_seen_before() -> None:
    ring = KeyRing(SECRET)
    identity, tokens, keys = identity_of(ring), Tokens(ring, place_seconds=86_400, hold_seconds=60), PurchaseKeys(ring)
    purchase = uuid.uuid4()
    session, operator = identity.new_fan(7)[0], identity.operator_token("id", "Ada")
    place, key = tokens.sign_place(PLACE), keys.key(purchase, 7)
    identity.verify(session)
    new = rotated(ring)
    newer = identity.new_fan(7)[0]
    ring.take(list(new.values()))
    for token in (session, operator):
        with pytest.raises(ProblemError):
            identity.verify(token)
    with pytest.raises(TokenInvalid):
        tokens.verify_place(place, event=1)
    with pytest.raises(TokenInvalid):
        keys.fan(purchase, key)
    assert identity.verify(newer).user_id == 7


def test_the_fans_key_makes_no_operator() -> None:
    """Groups are apart: who stole the fans' key cannot steer the door."""
    ring = KeyRing(SECRET)
    new = rotated(ring)
    ring.take(list(new.values()))
    swapped = KeyRing(SECRET)
    # The thief signs operators' sessions with the fans' key.
    swapped.take([new[KeyGroup.FANS]])
    swapped.keys = {**swapped.keys, KeyGroup.OPERATORS: swapped.keys[KeyGroup.FANS]}
    forged = identity_of(swapped)
    with pytest.raises(ProblemError):
        identity_of(ring).verify(forged.operator_token("id", "Ada"))
    assert identity_of(ring).verify(forged.new_fan(7)[0]).role == "fan"


def test_one_group_can_be_rotated_alone() -> None:
    ring = KeyRing(SECRET)
    before = identity_of(ring).new_fan(7)[0]
    new = new_row(ring, KeyGroup.PLACES)
    ring.take([new])
    assert identity_of(ring).verify(before).user_id == 7
    assert ring.names == ("codes:", "fans:", "links:", "operators:", f"places:{new.key_id}", "tickets:")


def test_codes_of_older_keys_are_known() -> None:
    ring = KeyRing(SECRET)
    hasher, authenticators = CodeHasher(ring), Authenticators(ring, time.time)
    code, recovery = hasher.hash(1, "FANCLUB"), authenticators.hash_of("Ada", "A")
    rotated(ring)
    assert hasher.hashes(1, "fanclub")[1] == code != hasher.hash(1, "FANCLUB")
    assert recovery in authenticators.hashes_of("Ada", "A")


def test_a_key_opens_with_the_sites_secret_alone_and_in_its_own_group() -> None:
    ring = KeyRing(SECRET)
    row = new_row(ring, KeyGroup.FANS)
    with pytest.raises(SealedElsewhereError):
        KeyRing("another secret, which is long enough too").take([row])
    with pytest.raises(SealedElsewhereError):
        ring.take([row._replace(key_group=KeyGroup.OPERATORS)])
    assert SECRET.encode() not in msgspec.json.encode(row)
    ring.take([row])
    before = ring.keys
    ring.take([row])
    assert ring.keys is before, "nothing changed, so that no process derives its keys anew"


def verified(token: str, key_set: dict[str, list[dict[str, str]]], event: int) -> dict[str, object]:
    """What a shop makes of a pass, by a library of its own."""
    kid = jwt.get_unverified_header(token)["kid"]
    key = next(jwt.PyJWK(one) for one in key_set["keys"] if one["kid"] == kid)
    claims: dict[str, object] = jwt.decode(
        token, key.key, algorithms=["EdDSA"], audience=f"event:{event}", issuer="https://venue.example"
    )
    return claims


def test_a_shop_verifies_open_passes_by_the_published_keys() -> None:
    ring, now = KeyRing(SECRET), int(time.time())
    passes = OpenPasses(ring)

    def signed(until: int) -> str:
        return passes.sign(1, 7, issuer="https://venue.example", now=now, until=until)[0]

    before = signed(now + 3600)
    assert verified(before, passes.key_set(), 1)["exp"] == now + PASS_SECONDS_MAX
    assert verified(signed(now + 60), passes.key_set(), 1)["exp"] == now + 60, "no longer than the pass itself"
    with pytest.raises(jwt.InvalidAudienceError):
        verified(before, passes.key_set(), 2)
    with pytest.raises(jwt.ExpiredSignatureError):
        verified(signed(now - 60), passes.key_set(), 1)
    new = rotated(ring)
    after = signed(now + 60)
    assert len(passes.key_set()["keys"]) == 2
    assert all(verified(token, passes.key_set(), 1)["sub"] == "7" for token in (before, after))
    ring.take(list(new.values()))
    with pytest.raises(StopIteration):
        verified(before, passes.key_set(), 1)
    assert all(set(key) == {"kty", "crv", "x", "kid", "use", "alg"} for key in passes.key_set()["keys"]), "no secrets"


async def test_a_rehearsals_fans_have_sessions_of_todays_keys() -> None:
    """Their generator is another process, which is told the sealed keys and has the secret."""
    ring = KeyRing(SECRET)
    rows = tuple(rotated(ring).values())
    ring.take(rows)
    plan = Crowd(
        base_url="http://127.0.0.1", event_id=5, first=0, fans=1, arrive_seconds=0, think_seconds=0, no_shows=0, idle=0,
        seats_per_fan=1, front=0, best=0, session_seconds=60, solves_captcha=True, captcha_work_max=10,
        captcha_ttl_seconds=60, ledger="", seed=1, keys=rows,
    )  # fmt: skip
    site = Site(msgspec.json.decode(msgspec.json.encode(plan), type=Crowd), SECRET)
    token, user_id = await site.session(Calls(HttpClient("http://127.0.0.1"), Counts(), random.Random(1)))
    session = identity_of(ring).verify(token)
    assert (session.user_id, session.rehearses) == (user_id, 5)
