"""The container files name commands, options, ports and variables that exist, checked without a container."""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import typer.main
import yaml
from compose_spec.models import ComposeSpecification
from typer.exceptions import TyperException

from admitone.cli import app
from admitone.settings import ROWS, Settings
from messages.fonts import FILES

ROOT = Path(__file__).parents[2]
OURS = ("migrate", "gateway", "worker")
SECRETS = {
    "ADMITONE_SECRET": "an unlikely secret 0123456789 of the tests",
    "POSTGRES_PASSWORD": "p",
    "VALKEY_PASSWORD": "v",
}
VARIABLE = r"(?<!\$)\$(?:\{(\w+)(:[?+-])?([^}]*)\}|(\w+))"


def composed(given: dict[str, str]) -> dict[str, Any]:
    """compose.yaml with these variables put in, as Compose does it."""

    def value(found: re.Match[str]) -> str:
        name, operator, other = found[1] or found[4], found[2] or "", found[3] or ""
        said = given.get(name, "")
        if operator == ":?" or not operator:
            return given[name]
        if operator == ":+":
            return other if said else ""
        return said or re.sub(VARIABLE, value, other)

    text = re.sub(VARIABLE, value, (ROOT / "compose.yaml").read_text())
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return composed(SECRETS)


def test_a_fourth_secret_gives_gateways_a_role_of_their_own() -> None:
    services = composed(SECRETS | {"GATEWAY_PASSWORD": "g"})["services"]
    settings = Settings.load(services["gateway"]["environment"])
    given = psycopg.conninfo.conninfo_to_dict(settings.db.url)
    assert (given["user"], given["password"]) == ("admitone_gateway", "g")
    assert _option(services["migrate"]["command"], "--gateway-role") == given["user"]
    assert Settings.load(services["migrate"]["environment"]).db.gateway_password == "g"
    worker = Settings.load(services["worker"]["environment"])
    assert psycopg.conninfo.conninfo_to_dict(worker.db.url)["user"] == "admitone"


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


def _option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def _redis_parts(url: str) -> dict[str, Any]:
    client = redis.Redis.from_url(url)
    return dict(client.connection_pool.connection_kwargs)


def _require_understood(arguments: list[str]) -> None:
    """Let the command line itself parse the arguments, without running the command."""
    root = typer.main.get_group(app)
    context = root.make_context("admitone", list(arguments))
    name, command, rest = root.resolve_command(context, list(arguments))
    assert command is not None
    command.make_context(name, rest, parent=context)


def test_compose_follows_the_specification(compose: dict[str, Any]) -> None:
    ComposeSpecification.model_validate(compose)


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_command_that_exists(services: dict[str, Any], name: str) -> None:
    _require_understood(services[name]["command"])


def test_the_check_of_commands_notices_a_wrong_option() -> None:
    with pytest.raises(TyperException, match="no-such-option"):
        _require_understood(["gateway", "--no-such-option"])


def test_the_image_starts_the_gateway(dockerfile: str) -> None:
    assert 'ENTRYPOINT ["admitone"]' in dockerfile
    (command,) = re.findall(r"^CMD (\[.*\])$", dockerfile, re.MULTILINE)
    arguments = yaml.safe_load(command)
    _require_understood(arguments)
    (exposed,) = re.findall(r"^EXPOSE (\d+)$", dockerfile, re.MULTILINE)
    assert _option(arguments, "--port") == exposed


@pytest.mark.parametrize("name", OURS)
def test_the_environment_is_what_settings_reads(services: dict[str, Any], name: str) -> None:
    environ = services[name]["environment"]
    known = {row.variable for row in ROWS}
    assert set(environ) <= known
    settings = Settings.load(environ)
    assert settings.site.env == "production"
    assert psycopg.conninfo.conninfo_to_dict(settings.db.url)["host"] in services
    assert _redis_parts(settings.redis.url)["host"] in services


@pytest.fixture(scope="module")
def valkey_lines(compose: dict[str, Any]) -> list[str]:
    """The lines of Valkey's configuration, which Compose writes to the file that Valkey is started with."""
    service = compose["services"]["valkey"]
    (config,) = service["configs"]
    assert service["command"] == ["valkey-server", config["target"]]
    content: str = compose["configs"][config["source"]]["content"]
    return content.splitlines()


def test_every_password_is_the_one_its_server_was_given(services: dict[str, Any], valkey_lines: list[str]) -> None:
    settings = Settings.load(services["gateway"]["environment"])
    given = psycopg.conninfo.conninfo_to_dict(settings.db.url)
    postgres = services["postgres"]["environment"]
    assert (given["user"], given["password"], given["dbname"]) == (
        postgres["POSTGRES_USER"],
        postgres["POSTGRES_PASSWORD"],
        postgres["POSTGRES_DB"],
    )
    assert f"requirepass {_redis_parts(settings.redis.url)['password']}" in valkey_lines


def test_no_password_stands_on_a_command_line(services: dict[str, Any]) -> None:
    for name, service in services.items():
        said = " ".join([*service.get("command", []), *service.get("entrypoint", [])])
        assert not [secret for secret in SECRETS.values() if secret in said.split()], name


def test_two_gateways_stand_behind_a_proxy_that_holds_no_stream_back(services: dict[str, Any]) -> None:
    files = {path.name: path.read_text() for path in (ROOT / "deploy" / "nginx").iterdir()}
    nginx = "".join(files[name] for name in ("compose.conf", "server.conf", "gateway.conf"))
    assert services["gateway"]["deploy"]["replicas"] == 2
    assert "ports" not in services["gateway"]
    assert f"server gateway:{_option(services['gateway']['command'], '--port')} resolve " in nginx
    assert "proxy_buffering off;" in nginx
    (patience,) = re.findall(r"proxy_read_timeout (\d+)s;", nginx)
    assert int(patience) > Settings().stream.seconds_max
    (listens,) = re.findall(r"listen (\d+);", nginx)
    assert services["proxy"]["ports"][0].endswith(f":{listens}")
    (body,) = re.findall(r"client_max_body_size (\d+)k;", nginx)
    assert int(body) * 1024 == Settings().body.bytes_max
    (sent,) = re.findall(
        r"location [^{]*/api/ops/\(\?:events\|plans\|pictures\)[^{]* {\s+client_max_body_size (\d+)m;", nginx
    )
    assert int(sent) * 1024 * 1024 == Settings().event.bytes_max == Settings().picture.bytes_max


def test_plain_http_is_published_to_this_machine_alone(services: dict[str, Any]) -> None:
    assert services["proxy"]["ports"] == ["127.0.0.1:8080:8080"]
    tls = yaml.safe_load((ROOT / "deploy" / "compose.tls.yaml").read_text())["services"]["proxy"]
    assert tls["ports"] == ["${TLS_PORT:-443}:8443"]
    for volume in tls["volumes"]:
        source = volume.split(":")[0]
        assert not source.startswith("./") or (ROOT / source).exists(), source
    assert "listen 8443 ssl;" in (ROOT / "deploy" / "nginx" / "compose-tls.conf").read_text()


def test_no_other_container_can_be_given_the_proxys_address(compose: dict[str, Any], services: dict[str, Any]) -> None:
    (network,) = compose["networks"]["default"]["ipam"]["config"]
    address = ipaddress.ip_address(services["proxy"]["networks"]["default"]["ipv4_address"])
    assert address in ipaddress.ip_network(network["subnet"])
    assert address not in ipaddress.ip_network(network["ip_range"])
    assert f"set_real_ip_from {network['gateway']};" in (ROOT / "deploy" / "nginx" / "real_ip.conf").read_text()


def test_every_captcha_setting_that_an_account_needs_is_passed_through(services: dict[str, Any]) -> None:
    passed = {name for name in services["gateway"]["environment"] if name.startswith("ADMITONE_CAPTCHA")}
    settings = {row.variable for row in ROWS if row.variable.startswith("ADMITONE_CAPTCHA")}
    tuned = {"VERIFY_URL", "SCORE_MIN", "TIMEOUT_SECONDS", "WORK_MAX", "TTL_SECONDS"}
    assert passed == settings - {f"ADMITONE_CAPTCHA_{name}" for name in tuned}


def test_grafana_does_not_start_without_a_password(services: dict[str, Any]) -> None:
    grafana = services["grafana"]
    assert grafana["environment"]["GF_SECURITY_ADMIN_PASSWORD"] == ""
    script = grafana["entrypoint"][2].replace("$$", "$").replace("exec /run.sh", "echo started")
    for password, status in (("", 1), ("s3cret", 0)):
        environ = {"PATH": os.environ["PATH"], "GF_SECURITY_ADMIN_PASSWORD": password}
        answer = subprocess.run(["sh", "-c", script], env=environ, capture_output=True, check=False)
        assert answer.returncode == status


def test_forwarded_addresses_are_believed_from_the_proxy_alone(services: dict[str, Any]) -> None:
    address = services["proxy"]["networks"]["default"]["ipv4_address"]
    assert services["gateway"]["environment"]["ADMITONE_TRUSTED_PROXIES"] == address


def test_everything_that_stays_up_has_a_healthcheck(services: dict[str, Any]) -> None:
    assert {name for name, service in services.items() if "healthcheck" not in service} == {"migrate"}


@pytest.mark.parametrize("name", ["gateway", "worker"])
def test_a_healthcheck_is_python_that_compiles(services: dict[str, Any], name: str) -> None:
    test = services[name]["healthcheck"]["test"]
    assert test[:3] == ["CMD", "python", "-c"]
    compile(test[3], name, "exec")


def test_nothing_starts_before_the_tables_are_there(services: dict[str, Any]) -> None:
    for name in ("gateway", "worker"):
        needs = services[name]["depends_on"]
        assert needs["migrate"]["condition"] == "service_completed_successfully"
        assert needs["valkey"]["condition"] == "service_healthy"


def test_valkey_keeps_what_it_is_told(valkey_lines: list[str]) -> None:
    assert {"appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"} <= set(valkey_lines)


def test_monitoring_is_asked_for_and_mounts_what_there_is(services: dict[str, Any]) -> None:
    watching = {name: service for name, service in services.items() if "profiles" in service}
    assert set(watching) == {"prometheus", "grafana"}
    for service in watching.values():
        assert service["profiles"] == ["monitoring"]
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            assert not source.startswith("./") or (ROOT / source).exists(), source
    scraped = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]
    (gateways,) = scraped["dns_sd_configs"]
    assert gateways["names"] == ["gateway"]
    assert str(gateways["port"]) == _option(services["gateway"]["command"], "--port")
    (source,) = yaml.safe_load(
        (ROOT / "deploy" / "grafana" / "provisioning" / "datasources" / "prometheus.yml").read_text()
    )["datasources"]
    assert source["url"] == "http://prometheus:9090"


def test_images_are_pinned_and_ours_is_not_root(services: dict[str, Any], dockerfile: str) -> None:
    images = [service["image"] for service in services.values()]
    bases = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    for image in (*images, *bases):
        assert re.search(r":v?\d+\.\d+(\.\d+)?(-[a-z-]+)?$", image), image
    (user,) = re.findall(r"^USER (\d+):\d+$", dockerfile, re.MULTILINE)
    assert int(user) > 0


def test_the_image_copies_every_package_of_the_wheel_and_the_page_that_a_site_serves(dockerfile: str) -> None:
    copied = set(re.findall(r"^COPY (\S+) \1$", dockerfile, re.MULTILINE))
    assert copied == {"admitone", "db", "deploy/gate", "docs/clients.md", "gateway", "queue", "workers"}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {f"!{folder}" for folder in copied} <= set(ignored)


def test_the_image_has_fonts_that_tickets_are_printed_with(dockerfile: str) -> None:
    copied = re.findall(r"^ +/usr/share/fonts/\S+/([\w-]+\.ttf) ", dockerfile, re.MULTILINE)
    assert {"DejaVuSans.ttf", "ipaexg.ttf"} < set(copied) <= set(FILES), "others would not be found"


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    answer = subprocess.run(
        [hadolint, ROOT / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LANG": "C.UTF-8"},
    )
    assert answer.returncode == 0, answer.stdout
