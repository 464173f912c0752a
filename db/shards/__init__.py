"""What is distributed by ``event_id`` where Postgres is a Citus cluster, and statements that are about one event alone.

A statement that Citus can see to be about one event runs on the one shard that has it. Any other one goes to every
shard, or is refused (ADR 131).
"""
