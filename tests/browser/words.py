"""Sentences of the pages that depend on how full the line is."""

from __future__ import annotations

import re
from typing import Final

JOIN: Final = re.compile(r"^(Join the line|Choose seats)$")
"""The button that joins: a fan who would wait for nobody is told of no line."""
