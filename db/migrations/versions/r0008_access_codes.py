"""Access codes, what was redeemed of them, and the share of their class.

Revision ID: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
while_serving = "safe"


def upgrade() -> None:
    op.add_column("room", sa.Column("priority_share", sa.Integer(), server_default="50", nullable=False))
    op.create_check_constraint(op.f("ck_room_priority_share"), "room", "priority_share BETWEEN 0 AND 100")
    op.create_table(
        "code_issue",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("issue_id", sa.Uuid(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("codes", sa.Integer(), nullable=False),
        sa.Column("uses_max", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("issued_by", sa.Text(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.CheckConstraint("codes > 0 AND uses_max > 0", name=op.f("ck_code_issue_counts")),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("ck_code_issue_window")),
        sa.CheckConstraint("(revoked_at IS NULL) = (revoked_by IS NULL)", name=op.f("ck_code_issue_revoked")),
        sa.ForeignKeyConstraint(["event_id"], ["event.event_id"], name="fk_code_issue_event", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("issue_id", "event_id", name="pk_code_issue"),
    )
    op.create_index("ix_code_issue_event_id", "code_issue", ["event_id"])
    op.create_table(
        "access_code",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("issue_id", sa.Uuid(), nullable=False),
        sa.Column("uses", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("uses >= 0", name=op.f("ck_access_code_uses")),
        sa.ForeignKeyConstraint(
            ["issue_id", "event_id"],
            ["code_issue.issue_id", "code_issue.event_id"],
            name="fk_access_code_code_issue",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("code_hash", "event_id", name="pk_access_code"),
    )
    op.create_index("ix_access_code_issue_id", "access_code", ["issue_id"])
    op.create_table(
        "code_redemption",
        sa.Column("event_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("redeemed_at", sa.DateTime(timezone=True), server_default=sa.func.clock_timestamp(), nullable=False),
        sa.ForeignKeyConstraint(
            ["code_hash", "event_id"],
            ["access_code.code_hash", "access_code.event_id"],
            name="fk_code_redemption_access_code",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "event_id", "code_hash", name="pk_code_redemption"),
    )
    op.create_index("ix_code_redemption_code_hash", "code_redemption", ["code_hash"])


def downgrade() -> None:
    op.drop_table("code_redemption")
    op.drop_table("access_code")
    op.drop_table("code_issue")
    op.drop_column("room", "priority_share")
