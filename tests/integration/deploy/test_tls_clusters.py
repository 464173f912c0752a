"""A site whose line is on a cluster, whose jobs have sentinels and whose Postgres has a standby, all by TLS alone.

The certificate is of a host's name and of no address, so that a connection to what a server or sentinel announces is
made only where it announces the name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import redis

from admitone.doctor.finding import Level
from admitone.doctor.site import open_site
from admitone.doctor.valkey import examine
from admitone.settings import Settings
from booking_lane.clients import prompt_client
from db.connections import primary
from db.migrate import migrate
from tests.client import Fan
from tests.clusters import Cluster, slot_of
from tests.factories import OPEN_DOOR, environ_of, make_event, plan_event
from tests.integration.deploy.test_tls import status
from tests.sentinels import Watched
from tests.services import Services
from tests.tls_servers import HOST, LACKS_POSTGRES, LACKS_REDIS, PASSWORD, POSTGRES, REDIS, Certified, TlsPostgres
from tests.waiting import await_that

pytestmark = [
    pytest.mark.skipif(REDIS is None, reason=LACKS_REDIS),
    pytest.mark.skipif(POSTGRES is None, reason=LACKS_POSTGRES),
    pytest.mark.timeout(400),
]
RECOVERY_SECONDS_MAX = 60


@dataclass
class Servers:
    certified: Certified
    cluster: Cluster
    replicas: dict[int, int]
    """Those of the cluster, by their masters."""
    watched: Watched
    main: TlsPostgres
    standby: TlsPostgres

    def database_url(self, host: str = HOST, authority: Path | None = None) -> str:
        """As a site has it: libpq finds the one of both that takes writes."""
        hosts = f"{host}:{self.main.port},{host}:{self.standby.port}"
        return (
            f"postgresql://admitone:{PASSWORD}@{hosts}/postgres?target_session_attrs=read-write&sslmode=verify-full"
            f"&sslrootcert={authority or self.certified.authority}"
        )


@pytest.fixture(scope="module")
def servers(servers_folder: Path) -> Iterator[Servers]:
    folder = servers_folder / "tls"
    folder.mkdir(mode=0o755)
    certified = Certified.make(folder / "certificates")
    with ExitStack() as stack:
        main = TlsPostgres(folder / "main", certified)
        main.start()
        stack.callback(main.stop)
        standby = TlsPostgres(folder / "standby", certified, primary=main)
        standby.start()
        stack.callback(standby.stop)
        (folder / "sentinels").mkdir()
        watched = stack.enter_context(Watched(folder / "sentinels", certified=certified))
        cluster = stack.enter_context(Cluster(folder / "cluster", certified=certified))
        replicas = {port: cluster.give_replica(port) for port in [*cluster.servers]}
        servers = Servers(certified, cluster, replicas, watched, main, standby)
        migrate(servers.database_url())
        yield servers


@pytest.fixture
def services(servers: Servers, tmp_path: Path) -> Iterator[Services]:
    environ = environ_of(servers.database_url(), servers.cluster.url, {"ADMITONE_JOBS_REDIS_URL": servers.watched.url})
    services = Services(environ, tmp_path)
    yield services
    services.stop()


def _found(fan: Fan, purchase_id: str) -> str:
    answer = fan.get(f"/api/purchases/{purchase_id}")
    return str(answer.json["status"]) if answer.status == 200 else ""


def test_another_authority_and_another_name_are_refused(servers: Servers) -> None:
    ours, other = str(servers.certified.authority), str(servers.certified.other_authority)
    for url in (servers.watched.url, servers.cluster.url):
        with prompt_client(url) as client:
            assert client.ping()
        plain = url.replace("rediss+", "redis+").partition("?")[0]
        for wrong in (url.replace(ours, other), url.replace(HOST, "127.0.0.1"), plain):
            with prompt_client(wrong) as client, pytest.raises(redis.ConnectionError):
                client.ping()
    with primary.connect(servers.database_url(), "test") as connection:
        assert connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (True,)
    for wrong in (
        servers.database_url(authority=servers.certified.other_authority),
        servers.database_url("127.0.0.1"),
        servers.database_url().replace("verify-full", "disable"),
    ):
        with pytest.raises(psycopg.OperationalError):
            primary.connect(wrong, "test")


@pytest.mark.long
def test_fans_buy_before_and_after_each_master_is_lost(servers: Servers, services: Services) -> None:
    services.worker()
    gateway = services.gateway()

    def buy() -> None:
        event_id = make_event(servers.database_url(), plan_event(room=OPEN_DOOR))
        fan = Fan.arrive(gateway.url)
        await_that(lambda: fan.join(event_id).status in (200, 201), RECOVERY_SECONDS_MAX, what="the join")
        bought = fan.buy(event_id, [(1, 1, 1)])
        # A connection that a failover broke is found by its first reader, who is asked to retry.
        found = await_that(lambda: _found(fan, bought["purchaseId"]), RECOVERY_SECONDS_MAX, what="the purchase")
        assert found == "confirmed"

    def is_ready() -> bool:
        return status(gateway.url) == 200

    await_that(is_ready, RECOVERY_SECONDS_MAX, what="readiness")
    buy()
    with open_site(Settings.load(services.environ), (), "") as site:
        assert not [one for one in examine(site) if one.level is Level.ERROR]

    old = servers.watched.kill_master()
    await_that(lambda: servers.watched.master() != old, RECOVERY_SECONDS_MAX, what="a new master of the jobs")
    await_that(is_ready, RECOVERY_SECONDS_MAX, what="readiness after the jobs' failover")
    buy()

    lost = servers.cluster.port_of(slot_of(1))
    servers.cluster.kill(lost)
    heir = servers.replicas[lost]
    await_that(lambda: servers.cluster.port_of(slot_of(1)) == heir, RECOVERY_SECONDS_MAX, what="the replica's turn")
    await_that(is_ready, RECOVERY_SECONDS_MAX, what="readiness after the cluster's failover")
    for _ in range(3):
        buy()

    servers.main.stop()
    servers.standby.promote()
    await_that(is_ready, RECOVERY_SECONDS_MAX, what="readiness after the database's failover")
    buy()
