"""What a client of Redis says of the servers behind it: one that has every key, or a cluster's, each with some keys."""

from __future__ import annotations

from typing import Any


def is_cluster(client: Any) -> bool:
    """Whether the client's keys are shared out among a cluster's servers (`booking_lane.clusters`)."""
    return getattr(client, "slot_map", None) is not None


def shard_of(client: Any, key: str) -> str:
    """The name of the server that has the key; empty where one server has all keys, or it is not known yet."""
    slot_map = getattr(client, "slot_map", None)
    server = None if slot_map is None else slot_map.of(key)
    return "" if server is None else str(server)
