"""Rules of networks may name an autonomous system or a country in place of addresses.

The running release makes rules with a network alone, as before. It cannot read the others, so they are made once every
process is upgraded.

Revision ID: 0035
"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.add_column("network_rule", sa.Column("origin", sa.Text(), nullable=True))
    op.alter_column("network_rule", "network", nullable=True)
    op.create_check_constraint(op.f("ck_network_rule_named"), "network_rule", "num_nonnulls(network, origin) = 1")


def downgrade() -> None:
    op.execute("DELETE FROM network_rule WHERE network IS NULL")
    op.drop_constraint(op.f("ck_network_rule_named"), "network_rule", type_="check")
    op.alter_column("network_rule", "network", nullable=False)
    op.drop_column("network_rule", "origin")
