"""Redis or Valkey, the line's and the jobs': whether each is up, writable, durable and replicated where sentinels watch
it, and evicts no key; and each server of the line's cluster, where it is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import redis

from admitone.doctor.finding import Finding, error, fine, warning
from admitone.doctor.site import Site
from booking_lane.cluster_client import ClusterRedis
from booking_lane.clusters import SLOTS, Server
from booking_lane.sentinels import sentinel_address

NODE_TIMEOUT_MS_MAX: Final = 5000
FULL: Final = 0.8
"""The doctor warns once this share of maxmemory is used."""


def examine(site: Site) -> Iterator[Finding]:
    urls = site.settings.redis
    if isinstance(site.line, ClusterRedis):
        yield from _cluster(site, site.line)
    else:
        yield from _one(site, "line_redis", "REDIS_URL", site.line, holds_jobs=urls.one_server)
        yield from _failover("line_redis", urls.line, site.line)
    if not urls.one_server:
        yield from _one(site, "jobs_redis", "ADMITONE_JOBS_REDIS_URL", site.jobs, holds_jobs=True)
        yield from _failover("jobs_redis", urls.jobs, site.jobs)


def _cluster(site: Site, cluster: ClusterRedis) -> Iterator[Finding]:
    """Each server that has keys, and what the loss of one would cost."""
    for number, (server, client) in enumerate(cluster.servers().items(), 1):
        name = f"line_redis_{number}"
        try:
            yield from _one(site, name, "REDIS_URL", client, holds_jobs=False)
            yield from _shard(name, server, client)
        except (redis.ConnectionError, redis.TimeoutError, OSError) as problem:
            yield error(
                "up",
                name,
                f"The cluster's server {server} does not answer, so that its rooms stand still: {problem}",
                "Start it, or have the cluster make its replica the master (CLUSTER FAILOVER TAKEOVER).",
            )
    uncovered = SLOTS - cluster.slot_map.covered
    if uncovered:
        yield error(
            "up",
            "line_redis_slots",
            f"No server of the cluster has {uncovered} of its {SLOTS} slots, so that the rooms in them stand still",
            "Give them to a server (`valkey-cli --cluster fix`).",
        )


def _shard(name: str, server: Server, client: redis.Redis) -> Iterator[Finding]:
    if not client.info("replication")["connected_slaves"]:
        yield warning(
            "behind",
            f"{name}_replica",
            f"The cluster's server {server} has no replica, so that nobody could take over its rooms",
            "Add one (`valkey-cli --cluster add-node --cluster-slave`).",
        )
    try:
        settings = client.config_get("cluster-require-full-coverage", "cluster-node-timeout")
    except redis.ResponseError:
        return  # This user of Redis may not read the configuration.
    if settings.get("cluster-require-full-coverage") == "yes":
        yield warning(
            "setup",
            f"{name}_full_coverage",
            f"{server} refuses all rooms once any part of the cluster is away",
            "Set cluster-require-full-coverage no on every server.",
        )
    timeout_ms = int(settings.get("cluster-node-timeout") or 0)
    if timeout_ms > NODE_TIMEOUT_MS_MAX:
        yield warning(
            "setup",
            f"{name}_node_timeout",
            f"{server} waits {timeout_ms / 1000:.0f} s before a replica takes over",
            "Set cluster-node-timeout 2000 on every server.",
        )


def _one(site: Site, name: str, variable: str, client: redis.Redis | None, *, holds_jobs: bool) -> Iterator[Finding]:
    if client is None:
        yield error(
            "up",
            name,
            f"Redis does not answer: {site.errors[name]}",
            f"Start it, or correct {variable}, then look again.",
        )
        return
    facts: dict[str, Any] = client.info()
    product = str(facts.get("server_name", "redis")).capitalize()
    version = facts.get("valkey_version") or facts["redis_version"]
    yield _writes(name, variable, f"{product} {version}", facts)
    if facts.get("cluster_enabled") and name == "line_redis":
        yield error(
            "setup",
            "line_redis_cluster_url",
            f"{product} is a server of a cluster, and REDIS_URL names it as one that has every key",
            "Write REDIS_URL as redis+cluster://host:6379,host:6379/ (docs/running.md).",
        )
    if facts.get("cluster_enabled") and holds_jobs:
        yield error(
            "setup",
            f"{name}_cluster",
            f"{product} is a cluster, on which RQ's jobs do not run",
            "Set ADMITONE_JOBS_REDIS_URL to a Redis that is none; the line may stay.",
        )
    yield from _persistence(site, name, product, client, facts)
    yield from _memory(site, name, product, facts)


def _writes(name: str, variable: str, what: str, facts: dict[str, Any]) -> Finding:
    if facts["role"] not in ("master", "primary"):
        return error("up", name, f"{what} is a replica: it takes no writes", f"Let {variable} name the primary.")
    for key in ("aof_last_write_status", "aof_last_bgrewrite_status"):
        if facts.get(key, "ok") != "ok":
            return error("up", name, f"{what} cannot write its append-only file", "Make room on its disk.")
    limit = int(facts.get("maxmemory", 0))
    if limit and int(facts["used_memory"]) >= limit and facts.get("maxmemory_policy") == "noeviction":
        return error("up", name, f"{what} is full: it takes no writes", "Raise its maxmemory.")
    return fine("up", name, f"{what} answers")


def _persistence(site: Site, name: str, product: str, client: redis.Redis, facts: dict[str, Any]) -> Iterator[Finding]:
    if not facts["aof_enabled"]:
        yield site.misconfigured(
            "setup",
            f"{name}_appendonly",
            f"{product} keeps no append-only file: a restart loses queued bookings that were answered 202",
            "Set appendonly yes (CONFIG SET appendonly yes at once, and in its configuration).",
        )
        return
    try:
        appendfsync = client.config_get("appendfsync").get("appendfsync", "")
    except redis.ResponseError:
        return  # This user of Redis may not read the configuration.
    if appendfsync == "no":
        yield site.misconfigured(
            "setup",
            f"{name}_appendfsync",
            f"{product} leaves it to the system when its append-only file reaches the disk (appendfsync no)",
            "Set appendfsync everysec, or always where not even a second of queued bookings may be lost.",
        )


def _failover(name: str, url: str, client: redis.Redis | None) -> Iterator[Finding]:
    """Where sentinels watch the server: whether they have a replica to turn to, and what a failover may lose."""
    if client is None or sentinel_address(url) is None:
        return
    if not client.info("replication")["connected_slaves"]:
        yield error(
            "behind",
            f"{name}_replica",
            "The master has no replica, so that the sentinels could make nobody its successor",
            "Start one, and see that it reaches the master.",
        )
    try:
        replicas_min = client.config_get("min-replicas-to-write").get("min-replicas-to-write", "")
    except redis.ResponseError:
        return  # This user of Redis may not read the configuration.
    if replicas_min == "0":
        yield warning(
            "setup",
            f"{name}_min_replicas",
            "A master that is cut off goes on taking joins and bookings, which a failover loses",
            "Set min-replicas-to-write 1 and min-replicas-max-lag 2, with two replicas or more (docs/running.md).",
        )


def _memory(site: Site, name: str, product: str, facts: dict[str, Any]) -> Iterator[Finding]:
    policy = facts.get("maxmemory_policy", "noeviction")
    limit, used = int(facts.get("maxmemory", 0)), int(facts["used_memory"])
    if policy != "noeviction":
        yield site.misconfigured(
            "setup",
            f"{name}_eviction",
            f"{product} throws keys away when it is full ({policy}): places in line and results among them",
            "Set maxmemory-policy noeviction, so that it refuses instead.",
        )
    if limit and used > FULL * limit:
        yield warning(
            "behind",
            f"{name}_memory",
            f"{product} uses {used / limit:.0%} of its maxmemory",
            "Raise its maxmemory before it refuses writes.",
        )
