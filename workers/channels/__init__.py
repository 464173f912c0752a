"""News to the outside: a process of its own takes it from the outbox and sends it by channels.

No booking waits for news and no news for a booking: the dispatcher has its own connection to Postgres and its own loop,
and each recipient has its own few attempts under way.
"""
