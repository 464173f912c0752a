from __future__ import annotations

from alembic.script import ScriptDirectory

from db.connections.schema_head import head
from db.migrate import alembic_config


def test_the_newest_revision_is_found_without_alembic() -> None:
    assert head() == ScriptDirectory.from_config(alembic_config()).get_current_head()
