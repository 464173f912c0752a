"""The tables of the search: what is found of each event, and the words there are."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import DDL, ForeignKeyConstraint, Index, SmallInteger, Text, event, func
from sqlalchemy.dialects.postgresql import ARRAY, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column

from db.tables.base import UPDATED_OFTEN, Base


class EventSearch(Base):
    """An event as it is found; an unpublished event, a rehearsal's copy and a shop's room have no row.
    `db.search.writing` writes it from the event, and a trigger on ``ticket`` keeps ``is_available``: whether a seat is
    neither sold nor held.

    A ``…_key`` is the text folded (`db.search.folding`). ``terms`` has the words with the weights of
    `db.search.terms`. ``month`` is the event's in its own time zone, as 2027-06. ``price_from`` is what the cheapest
    seat costs, and null without a ticket type. ``revision`` is the event's that the row was made of, and ``folding``
    the spelling of its words.
    """

    __tablename__ = "event_search"
    __table_args__ = (
        ForeignKeyConstraint(["event_id"], ["event.event_id"], ondelete="CASCADE"),
        Index("ix_event_search_terms", "terms", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
        Index("ix_event_search_date", "date", "event_id"),
        Index("ix_event_search_town_date", "town_key", "date"),
        Index("ix_event_search_artist_key", "artist_key"),
        Index("ix_event_search_name_key", "name_key"),
        Index("ix_event_search_venue_key", "venue_key"),
        {"postgresql_with": UPDATED_OFTEN},
    )

    event_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    terms: Mapped[str] = mapped_column(TSVECTOR)
    name_key: Mapped[str]
    artist_key: Mapped[str]
    venue_key: Mapped[str]
    town_key: Mapped[str]
    town: Mapped[str]
    tag_keys: Mapped[list[str]] = mapped_column(ARRAY(Text))
    date: Mapped[dt.datetime]
    month: Mapped[str]
    on_sale_at: Mapped[dt.datetime]
    off_sale_at: Mapped[dt.datetime]
    state: Mapped[str]
    currency: Mapped[str]
    price_from: Mapped[int | None]
    price_band: Mapped[int] = mapped_column(SmallInteger)
    is_available: Mapped[bool]
    revision: Mapped[int]
    folding: Mapped[int] = mapped_column(SmallInteger)


class SearchWord(Base):
    """A word that some event has or had, for spellings that no event has: what a fan types is compared with these."""

    __tablename__ = "search_word"
    __table_args__ = (
        Index(
            "ix_search_word_trigrams",
            "word",
            postgresql_using="gin",
            postgresql_ops={"word": "gin_trgm_ops"},
            postgresql_with={"fastupdate": "off"},
        ),
    )

    word: Mapped[str] = mapped_column(primary_key=True)


class SearchChange(Base):
    """An event that the search's indices are to take in anew: that of Elasticsearch (`db.search.index.changes`), whose
    writer deletes the row then, and those that gateways keep in memory (`db.search.following`). It has changed
    ``number`` times since ``since``, last in the transaction ``changed``, which a trigger writes. It may be an event
    that is not on show any more. Without Elasticsearch each event has a row here after its first change, and no more.
    """

    __tablename__ = "search_change"
    __table_args__ = (
        Index("ix_search_change_since", "since"),
        Index("ix_search_change_changed", "changed"),
        {"postgresql_with": UPDATED_OFTEN},
    )

    event_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(server_default="1")
    since: Mapped[dt.datetime] = mapped_column(server_default=func.clock_timestamp())
    changed: Mapped[int] = mapped_column(server_default="0")


# Only for the tables as the models make them; a migration does it for a site.
event.listen(SearchWord.__table__, "before_create", DDL("CREATE EXTENSION IF NOT EXISTS pg_trgm"))  # type: ignore[no-untyped-call]  # SQLAlchemy gives it no types
