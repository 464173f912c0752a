"""Postgres as a Citus cluster: a coordinator, to which everybody connects, and nodes that share out the events.

A statement that Citus can see to be about one event runs on the one node that has the event. Any other one goes to
every node, or is refused (ADR 131).
"""
