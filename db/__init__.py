"""The database: tables, migrations, the SQL of the hot path, seeds and the invariant audit."""
