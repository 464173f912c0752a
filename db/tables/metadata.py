"""All tables together, for migrations and their tests."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Final

from sqlalchemy import MetaData

import db.tables
from db.tables.base import Base

# A table is known to SQLAlchemy once its module is imported, and every module beside this one holds tables.
for _module in pkgutil.iter_modules(db.tables.__path__, "db.tables."):
    importlib.import_module(_module.name)

METADATA: Final[MetaData] = Base.metadata
"""The tables of every module in this folder."""
