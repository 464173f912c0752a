"""Prometheus' own tool reads our files, and finds that the alerts fire when they should and not otherwise."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PROMETHEUS = Path(__file__).parents[3] / "deploy" / "prometheus"
PROMTOOL = shutil.which("promtool")

pytestmark = pytest.mark.skipif(PROMTOOL is None, reason="no promtool here (Debian: apt-get install prometheus)")


def _promtool(*arguments: str) -> str:
    assert PROMTOOL is not None
    answer = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def test_the_configuration_and_its_rules_are_valid() -> None:
    said = _promtool("check", "rules", str(PROMETHEUS / "alerts.yml"))
    assert "SUCCESS" in said


def test_alerts_fire_for_what_happened_and_for_nothing_else(tmp_path: Path) -> None:
    for path in (PROMETHEUS / "alerts.yml", Path(__file__).with_name("alerts_test.yml")):
        shutil.copy(path, tmp_path)
    assert "SUCCESS" in _promtool("test", "rules", str(tmp_path / "alerts_test.yml"))


def test_the_tool_notices_an_alert_that_does_not_fire(tmp_path: Path) -> None:
    """The negative control: without the rule for gateways that are gone, the test of the rules fails."""
    rules = (PROMETHEUS / "alerts.yml").read_text().replace("[10m:5s]", "[1s:1s]")
    (tmp_path / "alerts.yml").write_text(rules)
    shutil.copy(Path(__file__).with_name("alerts_test.yml"), tmp_path)
    assert PROMTOOL is not None
    answer = subprocess.run(
        [PROMTOOL, "test", "rules", str(tmp_path / "alerts_test.yml")], capture_output=True, check=False
    )
    assert answer.returncode != 0
