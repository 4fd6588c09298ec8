"""The tables. Times are UNIX seconds (UTC), as floats."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

VERSION = 1
"""Raised when an older Offhook could not read what a newer one wrote. Columns that may be null can be added
without: they are made in an older database when it is opened.
"""

metadata = MetaData()

meta = Table(
    "meta", metadata,
    Column("key", String, primary_key=True),
    Column("value", String, nullable=False),
)

campaigns = Table(
    "campaigns", metadata,
    Column("id", Integer, primary_key=True),
    Column("path", Text, nullable=False, index=True),
    Column("created_at", Float, nullable=False),
)

entries = Table(
    "entries", metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", ForeignKey("campaigns.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("rank", Integer, nullable=False),  # the order of dialling; a redial goes in front
    Column("number", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("name", Text, nullable=False, default=""),
    Column("note", Text, nullable=False, default=""),
    Column("state", String, nullable=False, default="queued"),
    Column("attempts", Integer, nullable=False, default=0),
    Column("disposition", String, nullable=False, default=""),
    Column("heard", Text, nullable=False, default=""),
    Column("reason", Text, nullable=False, default=""),
    Column("hold_until", Float, nullable=False, default=0.0),
    Column("at", Float),
    Column("manual", Boolean, nullable=False, default=False),
    Column("options", JSON, nullable=False, default=dict),
    Index("entries_in_order", "campaign", "position", unique=True),
    Index("entries_to_dial", "campaign", "state", "rank"),
    Index("entries_by_key", "campaign", "key"),
)

attempts = Table(
    "attempts", metadata,
    Column("id", Integer, primary_key=True),
    Column("campaign", ForeignKey("campaigns.id"), nullable=False),
    Column("entry", ForeignKey("entries.id"), nullable=False, index=True),
    Column("number", Text, nullable=False),
    Column("name", Text, nullable=False, default=""),
    Column("key", Text, nullable=False),
    Column("started_at", Float, nullable=False),
    Column("states", JSON, nullable=False, default=dict),
    Column("detections", JSON, nullable=False, default=list),
    Column("digits", Text, nullable=False, default=""),
    Column("sip_code", Integer),
    Column("reason", Text, nullable=False, default=""),
    Column("disposition", String, nullable=False, default=""),  # empty while the attempt is up
    Column("duration_s", Float, nullable=False, default=0.0),
    Column("agent", Text, nullable=False, default=""),
    Column("recording", Text, nullable=False, default=""),
    Column("leg", Text, nullable=False, default=""),
    Column("answered", Boolean, nullable=False, default=False),
    Column("quality", JSON),
    Column("hearing", JSON),
    Index("attempts_by_key", "campaign", "key"),
    Index("attempts_answered", "campaign", "answered", "disposition"),
    Index("attempts_up", "disposition"),
)

recordings = Table(
    "recordings", metadata,
    Column("id", Integer, primary_key=True),
    Column("attempt", Integer, index=True),  # none: a call beside the queue
    Column("leg", String, nullable=False),
    Column("path", Text, nullable=False),
    Column("name", Text, nullable=False, default=""),  # the path's end, with the result's place in it
    Column("began_at", Float, nullable=False),
    Column("ended_at", Float, index=True),  # none: it is being written, or was when the engine died
    Column("seconds", Float, nullable=False, default=0.0),
    Column("result", String, nullable=False, default=""),
    Column("error", Text, nullable=False, default=""),
    Column("deleted_at", Float),
)
