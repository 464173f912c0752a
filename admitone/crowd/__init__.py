"""Simulated fans over real HTTP and SSE: for the demo, the tests and the benchmarks."""

from __future__ import annotations

from .crowd import run_crowd
from .plan import CrowdPlan
from .report import CrowdReport

__all__ = ["CrowdPlan", "CrowdReport", "run_crowd"]
