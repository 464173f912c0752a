"""Holds know the network that they were made from and whether their fan proved to be a person; three dials bound both.

The running release makes holds without a network, which count with none.

Revision ID: 0026
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0022"
branch_labels = None
depends_on = None

_DIALS = (("pass_life_seconds", 0, 604_800), ("network_limits_max", 2, 100_000), ("fan_unbought_max", 3, 100_000))


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
    for name, default, most in _DIALS:
        op.add_column("room", sa.Column(name, sa.Integer(), server_default=str(default), nullable=False))
        op.create_check_constraint(op.f(f"ck_room_{name}"), "room", f"{name} BETWEEN 0 AND {most}")


def downgrade() -> None:
    for name, _, _ in _DIALS:
        op.drop_column("room", name)
    op.drop_index("ix_reservation_bought_unproven", "reservation")
    op.drop_index("ix_reservation_network", "reservation")
    for name in ("network", "proven", "ended_at"):
        op.drop_column("reservation", name)
