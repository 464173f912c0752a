"""The booking engine: a batch of commands is one Postgres transaction.

`engine.Engine` locks, reads, has `book.Book` decide each command in memory, and writes the difference.
"""
