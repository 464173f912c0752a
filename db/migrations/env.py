"""What Alembic runs: the migrations, on the connection that ``db.migrate`` opened and locked."""

from alembic import context

from db.tables.metadata import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
