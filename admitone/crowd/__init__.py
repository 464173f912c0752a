"""Simulated fans over real HTTP and SSE: for the demo, the tests and the benchmarks."""

from __future__ import annotations

from admitone.crowd.crowd import run_crowd
from admitone.crowd.plan import CrowdPlan
from admitone.crowd.report import CrowdReport

__all__ = ["CrowdPlan", "CrowdReport", "run_crowd"]
