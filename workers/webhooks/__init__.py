"""News to the outside: from the outbox to operators' webhook endpoints, by a process of its own.

Nothing here waits for a booking and no booking for it: the dispatcher has its own connection to Postgres and its own
loop, and each endpoint its own few attempts under way.
"""
