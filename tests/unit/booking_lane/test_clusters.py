"""URLs that name servers of a cluster, and what a client knows of a cluster."""

from __future__ import annotations

import pytest
from redis.exceptions import MovedError

from booking_lane.clients import jobs_client
from booking_lane.clusters import SERVER_PORT, SLOTS, Server, SlotMap, cluster_address, key_of
from db.channels import database_of
from db.shards import is_cluster

ONE, TWO = Server("one", 1), Server("two", 2)
HALF = SLOTS // 2
REPLY = [[0, HALF - 1, [b"", 1, b"id"]], [HALF, SLOTS - 1, [b"two", 2, b"id"], [b"replica", 3, b"id"]]]


def test_a_url_names_servers_and_what_all_have_in_common() -> None:
    address = cluster_address("rediss+cluster://me:a%20b@one:1,two,[::1]:3/?ssl_ca_certs=/etc/internal.pem")
    assert address is not None
    assert address.seeds == (("one", 1), ("two", SERVER_PORT), ("::1", 3))
    assert address.is_tls
    assert address.options == {"username": "me", "password": "a b", "ssl_ca_certs": "/etc/internal.pem"}
    assert cluster_address("redis://one:1/0") is None
    assert cluster_address("redis+sentinel://one/tickets") is None
    assert cluster_address("redis+cluster://one/0") is not None


@pytest.mark.parametrize(
    "url",
    ["redis+cluster://:secret@one/1", "redis+cluster://:secret@/", "redis+cluster://:secret@one,,two/"],
)
def test_a_malformed_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="cluster") as refused:
        cluster_address(url)
    assert "secret" not in str(refused.value)


def test_a_clients_database_is_the_only_one_there_is() -> None:
    with jobs_client("redis+cluster://one,two/") as client:
        assert database_of(client) == 0
        assert is_cluster(client)
    with jobs_client("redis://one/4") as client:
        assert not is_cluster(client)


def test_the_key_of_a_command() -> None:
    assert key_of(("GET", "a")) == "a"
    assert key_of(("EVALSHA", "sha", 2, "a", "b", 1)) == "a"
    assert key_of(("EVAL", "return 1", 0, 1)) is None
    assert key_of(("TIME",)) is None
    assert key_of(("INFO", "cpu")) is None


def test_the_map_follows_what_servers_say() -> None:
    slots = SlotMap()
    assert slots.of("a") is None
    assert not slots.servers
    slots.take(REPLY, ONE)
    assert [*slots.servers] == [ONE, TWO], "a server that leaves out its host means the one that was asked"
    assert slots.covered == SLOTS
    assert slots.of("{7}:a") == slots.of(b"{7}:b")
    key = slots.key_at(TWO, "look")
    assert slots.of(key) == TWO
    with pytest.raises(LookupError):
        slots.key_at(Server("three", 3), "look")
    assert slots.move(MovedError(f"{HALF - 1} three:3"), ONE) == ("three", 3)
    assert [*slots.servers] == [ONE, ("three", 3), TWO]
    slots.take(REPLY[:1], ONE)
    assert slots.covered == HALF
    assert slots.of(key) is None
