"""The dashboard and the alerts as files: what Grafana and Prometheus would refuse, and what an operator would miss.

That each metric in them exists is asked of a live gateway (tests/acceptance/test_metrics.py).
"""

from __future__ import annotations

import re
from itertools import combinations
from typing import Any

import pytest
import yaml

from tests.promql import DEPLOY, asked, dashboard, panels, rules, selectors


@pytest.mark.parametrize("where", sorted(asked()))
def test_every_expression_is_promql_and_selects_something(where: str) -> None:
    assert list(selectors(asked()[where])), where


def test_the_check_of_expressions_notices_a_wrong_one() -> None:
    with pytest.raises(ValueError, match="unclosed left parenthesis"):
        list(selectors("sum by (lane (admitone_batches_total)"))


def test_every_alert_says_how_urgent_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(set(names)) == len(names)
    for rule in rules():
        assert set(rule) == {"alert", "expr", "for", "labels", "annotations"}, rule["alert"]
        assert re.fullmatch(r"\d+[sm]", rule["for"])
        assert rule["labels"]["severity"] in {"page", "ticket"}
        assert set(rule["annotations"]) == {"summary", "description", "action"}
        assert all(text.strip() for text in rule["annotations"].values())


def test_prometheus_reads_the_alerts_and_finds_every_gateway() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    assert config["rule_files"] == ["/etc/prometheus/alerts.yml"]
    (job,) = config["scrape_configs"]
    assert job["job_name"] == "admitone"
    assert job["metrics_path"] == "/metrics"


def _overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return all(one[at] < other[at] + other[size] and other[at] < one[at] + one[size] for at, size in ("xw", "yh"))


def test_the_dashboard_is_whole() -> None:
    board = dashboard()
    every: list[dict[str, Any]] = board["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    assert not [
        (one["title"], other["title"])
        for one, other in combinations(every, 2)
        if _overlap(one["gridPos"], other["gridPos"])
    ]
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in every)
    variables = {variable["name"] for variable in board["templating"]["list"]}
    for panel in panels():
        assert panel["title"]
        assert panel["description"]
        for target in panel["targets"]:
            used = set(re.findall(r"\$\{?(\w+)", target["expr"])) - {"__rate_interval"}
            assert used <= variables, panel["title"]
