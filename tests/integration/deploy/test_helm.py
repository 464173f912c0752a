"""The Helm chart: Helm itself lints and renders it, and Kubernetes' own schemas are held against what comes of it."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from admitone.settings import Settings
from workers.parts import Part

ROOT: Final = Path(__file__).parents[3]
CHART: Final = ROOT / "deploy" / "helm" / "admitone"
ALL: Final[dict[str, Any]] = {
    "lanes": 3,
    "gatewaySecret": "admitone-gateway",
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccountName": "admitone",
    "podAnnotations": {"team": "tickets"},
    "nodeSelector": {"disk": "fast"},
    "tolerations": [{"key": "sale", "operator": "Exists"}],
    "settings": {"ADMITONE_ENV": "production", "ADMITONE_TRUSTED_PROXIES": "10.0.0.0/8"},
    "migrate": {"gatewayRole": "admitone_gateway"},
    "gateway": {"autoscaling": {"enabled": True}},
    "ingress": {"enabled": True, "tlsSecret": "certificate"},
    "serviceMonitor": {"enabled": True},
    "workers": [
        {"name": "hot", "parts": ["lanes"], "lanes": [2], "nodeSelector": {"disk": "faster"}},
        {"name": "lanes", "parts": ["lanes", "housekeeping"], "lanes": [0, 1], "replicas": 2},
        {"name": "aside", "parts": ["cron", "messages", "webhooks", "payments"]},
    ],
}
INFO: Final = 1
"""Of what Helm tells of a chart, what is no warning."""
VALUES: Final = {"as it is": {}, "with everything": ALL}

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("helm_python") is None or importlib.util.find_spec("kubernetes_validate") is None,
    reason="helm-python-sdk (Helm) and kubernetes-validate (the schemas) have no wheel for this platform",
)


def _rendered(values: dict[str, Any]) -> list[dict[str, Any]]:
    from helm_python import Chart

    with Chart.load(CHART) as chart:
        files = chart.render(values, name="tickets", namespace="sale")
    texts = [text for name, text in files.items() if name.endswith(".yaml")]
    return [one for text in texts for one in yaml.safe_load_all(text) if one]


@pytest.fixture(params=list(VALUES.values()), ids=list(VALUES))
def manifests(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    return _rendered(request.param)


def _pods(manifests: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in manifests
        if one["kind"] in ("Deployment", "Job")
    }


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
def test_helm_finds_nothing_to_mend(values: dict[str, Any]) -> None:
    from helm_python.chart import lint

    found = lint(CHART, values, strict=True)
    told = [message for message in found["messages"] if message["severity"] > INFO]
    assert (told, found["errors"]) == ([], []), found


def test_every_object_is_one_of_kubernetes(manifests: list[dict[str, Any]]) -> None:
    import kubernetes_validate

    kinds = set()
    for one in manifests:
        kinds.add(one["kind"])
        if one["kind"] != "ServiceMonitor":  # The Prometheus operator's, of which Kubernetes has no schema.
            kubernetes_validate.validate(one, kubernetes_validate.latest_version(), strict=True)
    assert {"Job", "Deployment", "Service", "PodDisruptionBudget"} <= kinds


def test_every_pod_may_do_as_little_as_it_can(manifests: list[dict[str, Any]]) -> None:
    for name, pod in _pods(manifests).items():
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["automountServiceAccountToken"] is False, name
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        # Kubernetes would put ADMITONE_… variables of its own into each pod, which no process of ours starts with.
        assert pod["enableServiceLinks"] is False, name


def test_the_variables_are_settings_and_no_secret_is_among_them(manifests: list[dict[str, Any]]) -> None:
    secrets = {"DATABASE_URL": "postgresql://host/db", "REDIS_URL": "redis://host", "ADMITONE_SECRET": "0123456789" * 4}
    for pod in _pods(manifests).values():
        (container,) = pod["containers"]
        given = {one["name"]: one["value"] for one in container["env"]}
        assert not given.keys() & secrets.keys()
        Settings.load(given | secrets | {"ADMITONE_SECRET": "abcdefghijklmnopqrstuvwxyz0123456789"})


def test_every_part_and_every_lane_is_worked_on() -> None:
    """With the chart's own values, and with lanes that have a group of their own."""
    for values, lanes in ((VALUES["as it is"], 2), (ALL, 3)):
        pods = {name: pod for name, pod in _pods(_rendered(values)).items() if "-worker-" in name}
        arguments = [pod["containers"][0]["args"] for pod in pods.values()]
        parts = {one.removeprefix("--part=") for given in arguments for one in given if one.startswith("--part=")}
        assert parts == set(Part)
        worked = set()
        for given in arguments:
            if "--part=lanes" in given:
                named = {int(one.removeprefix("--lane=")) for one in given if one.startswith("--lane=")}
                worked |= named or set(range(lanes))
        assert worked == set(range(lanes))


def test_a_hot_lane_has_a_host_and_a_probe_of_its_own() -> None:
    hot = _pods(_rendered(ALL))["tickets-admitone-worker-hot"]
    assert hot["nodeSelector"] == {"disk": "faster"}
    (container,) = hot["containers"]
    assert container["args"] == ["worker", "--part=lanes", "--lane=2"]
    assert container["livenessProbe"]["exec"]["command"][-1].endswith(">= 1")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"lanes": 3, "workers": [*ALL["workers"][1:]]}, "no group works on lane 2"),
        ({"workers": ALL["workers"]}, "the lanes are 0 to 1"),
        ({"workers": [{"name": "all", "parts": ["lanes", "housekeeping"]}]}, "no group does the part messages"),
        ({"workers": [{"name": "a", "parts": ["cron"], "lanes": [0]}]}, "leave them out"),
        ({"workers": [{"name": "a", "parts": ["sweeping"]}]}, "sweeping|enum|parts"),
        ({"ingress": {"enabled": True}}, "all fans count as one network"),
        ({"settings": {"DATABASE_URL": "postgresql://user:password@host/db"}}, "DATABASE_URL|propertyNames|pattern"),
    ],
)
def test_what_would_not_work_is_refused(values: dict[str, Any], told: str) -> None:
    from helm_python.errors import HelmError

    with pytest.raises(HelmError, match=told):
        _rendered(values)


def test_the_chart_is_of_this_release() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert chart["appVersion"] == version[1]
