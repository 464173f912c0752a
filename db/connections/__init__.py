"""The only makers of connections to Postgres: `primary` (with SQLAlchemy: `engines`), `replica` and `look`. A gateway
reads a replica by `old_reads`.

A caller chooses by what it needs: to write or to read what was just written, to read what may be a little old, or to
look for a moment whether Postgres is well.
"""
