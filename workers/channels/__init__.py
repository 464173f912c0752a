"""News to the outside: a process of its own takes it from the outbox and sends it by channels.

Bookings and news never wait for each other: the dispatcher has its own connection to Postgres and its own event loop.
Recipients do not wait for each other either, because each may have only a few attempts under way.
"""
