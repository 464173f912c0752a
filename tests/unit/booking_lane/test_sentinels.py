"""URLs that name sentinels, and connections that leave a server that refuses writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from admitone.embedded.valkey import EmbeddedValkey
from booking_lane.clients import async_client, jobs_client
from booking_lane.sentinels import SENTINEL_PORT, is_refusal, sentinel_address
from db.channels import database_of


def test_a_plain_url_names_no_sentinels() -> None:
    assert sentinel_address("redis://:password@host:6379/0") is None
    assert sentinel_address("") is None


def test_a_url_names_sentinels_service_and_both_passwords() -> None:
    url = "redis+sentinel://me:a%20b@one:1,two,[::1]:3/tickets/4?sentinel_username=s&sentinel_password=c%20d&protocol=3"
    address = sentinel_address(url)
    assert address is not None
    assert address.sentinels == (("one", 1), ("two", SENTINEL_PORT), ("::1", 3))
    assert address.service == "tickets"
    assert not address.is_tls
    assert address.servers == {"username": "me", "password": "a b", "db": 4, "protocol": 3}
    assert address.asking == {"username": "s", "password": "c d"}


def test_tls_is_spoken_with_servers_and_sentinels() -> None:
    address = sentinel_address("rediss+sentinel://one/tickets?ssl_ca_certs=/etc/ssl/internal.pem")
    assert address is not None
    assert address.is_tls
    assert address.servers == {"ssl_ca_certs": "/etc/ssl/internal.pem"}
    assert address.asking == {"ssl": True, "ssl_ca_certs": "/etc/ssl/internal.pem"}


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://one,two",
        "redis+sentinel://:secret@one/tickets/first",
        "redis+sentinel://:secret@/tickets",
        "redis+sentinel://:secret@one,,two/tickets",
        "redis+sentinel://:secret@one:many/tickets",
    ],
)
def test_a_malformed_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="sentinel") as refused:
        sentinel_address(url)
    assert "secret" not in str(refused.value)


def test_a_clients_database_is_that_of_the_url() -> None:
    with jobs_client("redis+sentinel://one/tickets/4") as client:
        assert database_of(client) == 4


def test_what_a_refusal_is() -> None:
    assert is_refusal(redis.exceptions.ReadOnlyError("You can't write against a read only replica."))
    assert is_refusal(redis.ResponseError("NOREPLICAS Not enough good replicas to write."))
    assert not is_refusal(redis.ResponseError("WRONGTYPE"))
    assert not is_refusal(b"NOREPLICAS")


async def test_the_gateways_connection_leaves_a_server_that_refuses_writes(servers_folder: Path) -> None:
    """A server becomes a replica, and later the master again: as behind a name that moves with a failover."""
    with EmbeddedValkey(servers_folder / "refusing", appendonly=False) as server:
        client = async_client(server.url)
        with redis.Redis.from_url(server.url, socket_timeout=10) as control:
            await client.set("a", 1)
            asked = control.client_list()
            control.config_set("min-replicas-to-write", 1)
            with pytest.raises(redis.ConnectionError, match="takes no writes"):
                await client.set("a", 2)
            assert await client.get("a") == b"1", "by a new connection"
            assert {one["id"] for one in control.client_list()} != {one["id"] for one in asked}
            control.config_set("min-replicas-to-write", 0)
            control.replicaof("127.0.0.1", "1")
            with pytest.raises(redis.ConnectionError, match="takes no writes"):
                await client.eval("return redis.call('SET', KEYS[1], 3)", 1, "a")
            control.replicaof("NO", "ONE")
            await client.set("a", 4)
            assert await client.get("a") == b"4"
        await client.aclose(close_connection_pool=True)
