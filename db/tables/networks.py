"""The tables of networks that operators let through or turn away."""

from __future__ import annotations

import datetime as dt
import uuid

from sqlalchemy import CheckConstraint, Index, PrimaryKeyConstraint, Uuid, func
from sqlalchemy.dialects.postgresql import CIDR
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import Base, one_of


class NetworkRule(Base):
    """A network that is let through (``allow``) or turned away (``deny``) until a moment, or for good: its addresses,
    or its ``origin``, which is an autonomous system (``AS64500``) or a country (``DE``).
    """

    __tablename__ = "network_rule"
    __table_args__ = (
        CheckConstraint(one_of("verdict", ("allow", "deny")), name="verdict"),
        CheckConstraint("num_nonnulls(network, origin) = 1", name="named"),
        PrimaryKeyConstraint("rule_id"),
        Index("ix_network_rule_until", "until"),
    )

    rule_id: Mapped[uuid.UUID] = mapped_column(Uuid)
    network: Mapped[str | None] = mapped_column(CIDR)
    verdict: Mapped[str]
    until: Mapped[dt.datetime | None]
    reason: Mapped[str] = mapped_column(server_default="")
    made_by: Mapped[str]
    made_at: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    origin: Mapped[str | None]


class NetworkRulesVersion(Base):
    """One row, whose version goes up with each change of the rules, so that gateways see a change by reading it."""

    __tablename__ = "network_rules_version"
    __table_args__ = (CheckConstraint("one = 1", name="one"), PrimaryKeyConstraint("one"))

    one: Mapped[int] = mapped_column(autoincrement=False)
    version: Mapped[int]
