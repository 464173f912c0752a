"""Holds know their network and whether their fan proved to be a person, and dials bound both; operators let networks
through, or turn them away.

The running release makes holds without a network, which count with none.

Revision ID: 0026
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None
while_serving = "safe"

_DIALS = (("pass_life_seconds", 0, 604_800), ("network_limits_max", 0, 100_000), ("fan_unbought_max", 3, 100_000))


def upgrade() -> None:
    op.add_column("reservation", sa.Column("network", sa.Text(), server_default="", nullable=False))
    op.add_column("reservation", sa.Column("proven", sa.Boolean(), server_default="false", nullable=False))
    op.add_column("reservation", sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_reservation_network",
        "reservation",
        ["event_id", "network"],
        postgresql_where=sa.text("NOT proven AND network <> ''"),
    )
    op.create_index(
        "ix_reservation_bought_unproven",
        "reservation",
        ["event_id"],
        postgresql_where=sa.text("state = 'purchased' AND NOT proven AND network <> ''"),
    )
    op.create_table(
        "network_rule",
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("network", postgresql.CIDR(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.CheckConstraint("verdict IN ('allow', 'deny')", name=op.f("ck_network_rule_verdict")),
        sa.PrimaryKeyConstraint("rule_id", name=op.f("pk_network_rule")),
    )
    op.create_index("ix_network_rule_until", "network_rule", ["until"])
    version = op.create_table(
        "network_rules_version",
        sa.Column("one", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("one = 1", name=op.f("ck_network_rules_version_one")),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_network_rules_version")),
    )
    op.bulk_insert(version, [{"one": 1, "version": 1}])
    for name, default, most in _DIALS:
        op.add_column("room", sa.Column(name, sa.Integer(), server_default=str(default), nullable=False))
        op.create_check_constraint(op.f(f"ck_room_{name}"), "room", f"{name} BETWEEN 0 AND {most}")


def downgrade() -> None:
    for table in ("network_rules_version", "network_rule"):
        op.drop_table(table)
    for name, _, _ in _DIALS:
        op.drop_column("room", name)
    op.drop_index("ix_reservation_bought_unproven", "reservation")
    op.drop_index("ix_reservation_network", "reservation")
    for name in ("network", "proven", "ended_at"):
        op.drop_column("reservation", name)
