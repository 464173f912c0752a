"""The settings: defaults, bounds, names, and what production refuses."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.inspect import (
    BoolType,
    EnumType,
    FloatType,
    IntType,
    LiteralType,
    Metadata,
    StrType,
    StructType,
    type_info,
)

import admitone
import booking_lane
import db
import gateway
import messages
import waiting_room
import workers
from admitone.commands.setup import settings_markdown
from admitone.settings import ROWS, Row, Settings, SettingsError, environ_with
from db.settings import Section
from gateway.settings import GatewaySettings
from workers.settings import WorkerSettings

SECRET = "an unlikely secret 0123456789 of the tests"


def test_a_cluster_has_the_line_and_never_the_jobs() -> None:
    cluster = {"REDIS_URL": "redis+cluster://:secret@one,two/"}
    with pytest.raises(SettingsError, match="ADMITONE_JOBS_REDIS_URL"):
        Settings.load(cluster)
    with pytest.raises(SettingsError, match="jobs do not run"):
        Settings.load({"REDIS_URL": "redis://one", "ADMITONE_JOBS_REDIS_URL": cluster["REDIS_URL"]})
    with pytest.raises(SettingsError, match="REDIS_URL: a cluster has one database") as refused:
        Settings.load({"REDIS_URL": cluster["REDIS_URL"] + "1"})
    assert "secret" not in str(refused.value)
    assert not Settings.load({**cluster, "ADMITONE_JOBS_REDIS_URL": "redis://jobs"}).redis.one_server


EVERYBODY = (
    "*",
    " * ",
    "10.0.0.1,*",
    "0.0.0.0/0",
    "0.0.0.0/0.0.0.0",
    "1.2.3.4/0",
    "::/0",
    "0:0::0/0",
    "2000::/3",
    "::/1,8000::/1",
    "0.0.0.0/1,128.0.0.0/1",
    "128.0.0.0/2, 192.0.0.0/2, 0.0.0.0/1",
    "0.0.0.0/2,64.0.0.0/2,128.0.0.0/2",
    "::ffff:0:0/96",
    "::ffff:0.0.0.0/97,::ffff:128.0.0.0/97",
)
"""Spellings of all addresses, or of most of them."""
GIVEN = {
    "ADMITONE_INVOICE_SINCE": "2027-01-01",
    "ADMITONE_PAYMENT_PROVIDERS": "test",
    "ADMITONE_OPERATOR_FACTOR_ROLES": "owner,steward",
    "ADMITONE_OIDC_ALGORITHMS": "ES512,EdDSA",
    "ADMITONE_OIDC_ISSUERS": '[{"key": "uni", "name": "Uni", "issuer": "https://id.uni.example", "clientId": "us"}]',
    "ADMITONE_TRUSTED_PROXIES": "10.0.0.1",
    "ADMITONE_SHOP_PROBE_NETWORKS": "10.1.0.0/16",
    "ADMITONE_PUBLIC_URL": "https://venue.example/tickets",
    "ADMITONE_BRAND_COLOUR": "#00567d",
    "ADMITONE_BRAND_IMPRINT_URL": "https://example.org/imprint",
    "ADMITONE_BRAND_PRIVACY_URL": "https://example.org/privacy",
    "ADMITONE_BRAND_TERMS_URL": "https://example.org/terms",
    "ADMITONE_MESSAGE_LINKS": "https://venue.example/tickets",
    "ADMITONE_MAIL_URL": "smtp://ada:hush@mail.example.org",
    "ADMITONE_MAIL_FALLBACK_URL": "smtps://mail.example.org",
    "ADMITONE_MAIL_BOUNCES_URL": "imaps://ada:hush@mail.example.org/INBOX",
    "ADMITONE_MAIL_RETURN_PATH": "bounces@venue.example",
    "ADMITONE_SMS_URL": "twilio://AC1:token@api",
    "ADMITONE_SMS_FALLBACK_URL": "https://sms.example.org/send",
    "ADMITONE_PUSH_CONTACT": "mailto:ops@venue.example",
    "ADMITONE_GATEWAY_SERVE": "pages,search",
    "ADMITONE_GATEWAY_EVENTS": "7,8",
    "ADMITONE_PUSH_PUBLIC_KEY": (
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    ),
}
"""A value of the settings that take no plain word."""


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = Settings.load({})
    assert (settings.hold.seconds, settings.session.seconds, settings.lane.count) == (600, 172_800, 2)


def test_a_value_is_read_and_converted() -> None:
    assert Settings.load({"ADMITONE_LANES": "4", "DATABASE_URL": "postgresql://x"}).lane.count == 4


def test_an_empty_value_is_no_value() -> None:
    assert Settings.load({"ADMITONE_LANES": ""}).lane.count == 2


@pytest.mark.parametrize(
    "proxies", ["172.28.0.10", "10.0.0.0/8, 192.168.0.0/16,fd00::/8", "103.21.244.0/22,2400:cb00::/32"]
)
def test_production_takes_proxies_by_their_addresses(proxies: str) -> None:
    Settings.load({"ADMITONE_ENV": "production", "ADMITONE_SECRET": SECRET, "ADMITONE_TRUSTED_PROXIES": proxies})


@pytest.mark.parametrize("proxies", EVERYBODY)
def test_development_may_trust_everybody(proxies: str) -> None:
    Settings.load({"ADMITONE_TRUSTED_PROXIES": proxies})


@pytest.mark.parametrize("proxies", ["proxy", "10.0.0.0/33", "10.0.0", "10.0.0.1;10.0.0.2", "http://10.0.0.1"])
def test_what_is_no_address_of_a_proxy_is_refused(proxies: str) -> None:
    with pytest.raises(SettingsError, match=r"ADMITONE_TRUSTED_PROXIES: .* neither an address nor a network"):
        Settings.load({"ADMITONE_TRUSTED_PROXIES": proxies})


@pytest.mark.parametrize(
    ("name", "value"),
    [("ADMITONE_LANES", "0"), ("ADMITONE_LANES", "many"), ("ADMITONE_AUTH", "none"), ("ADMITONE_PORT", "70000")],
)
def test_a_bad_value_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.load({name: value})


@pytest.mark.parametrize(
    ("issuers", "why"),
    [
        ("uni", "malformed"),
        ('[{"key": "uni", "name": "Uni", "issuer": "https://id.uni.example"}]', "clientId"),
        ('[{"key": "Uni!", "name": "Uni", "issuer": "https://id.uni.example", "clientId": "us"}]', "key"),
        ('[{"key": "back", "name": "Uni", "issuer": "https://id.uni.example", "clientId": "us"}]', "key"),
        ('[{"key": "u", "name": "Uni", "issuer": "https://a.example", "clientId": "us", "secret": "x"}]', "secret"),
        ('[{"key": "u", "name": "Uni", "issuer": "https://first.example", "clientId": "us"}]', "the same issuer"),
    ],
)
def test_a_list_of_issuers_that_cannot_be_meant_is_refused(issuers: str, why: str) -> None:
    first = {"ADMITONE_OIDC_ISSUER": "https://first.example", "ADMITONE_OIDC_CLIENT_ID": "us"}
    with pytest.raises(SettingsError, match=f"ADMITONE_OIDC_ISSUERS: .*{why}"):
        Settings.load({**first, "ADMITONE_OIDC_ISSUERS": issuers})


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(SettingsError, match="ADMITONE_LANE is no setting"):
        Settings.load({"ADMITONE_LANE": "4"})


@pytest.mark.parametrize(
    "unsafe",
    [
        {"ADMITONE_AUTH": "open"},
        {"ADMITONE_SECRET": "short"},
        {"ADMITONE_CAPTCHA": "off"},
        {"ADMITONE_METRICS_TOKEN": "short"},
        *({"ADMITONE_TRUSTED_PROXIES": everybody} for everybody in EVERYBODY),
    ],
)
def test_production_refuses_what_is_unsafe(unsafe: dict[str, str]) -> None:
    safe = {"ADMITONE_ENV": "production", "ADMITONE_SECRET": SECRET}
    Settings.load(safe)
    with pytest.raises(SettingsError):
        Settings.load(safe | unsafe)


def test_the_page_of_settings_is_in_step() -> None:
    page = Path(__file__).parents[2] / "docs" / "settings.md"
    assert page.read_text() == settings_markdown(), "write it anew: admitone settings --markdown > docs/settings.md"


def test_every_field_of_every_section_is_a_setting() -> None:
    for package in (db, booking_lane, waiting_room, messages, gateway, workers, admitone):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("settings"):
                importlib.import_module(module.name)
    composed = {type(getattr(Settings(), name)) for name in Settings.__struct_fields__}
    assert set(_sections(Section)) == composed
    assert {(row.section, row.field) for row in ROWS} == {
        (section, field)
        for section in Settings.__struct_fields__
        for field in getattr(Settings(), section).__struct_fields__
    }


def _sections(base: type[Section]) -> Iterator[type[Section]]:
    """The sections that are not the base of another one."""
    for section in base.__subclasses__():
        if section.__subclasses__():
            yield from _sections(section)
        else:
            yield section


def test_no_two_settings_share_a_variable() -> None:
    variables = [row.variable for row in ROWS]
    assert len(set(variables)) == len(variables)


@pytest.mark.parametrize("row", ROWS, ids=[row.variable for row in ROWS])
def test_a_variable_sets_its_own_field_alone(row: Row) -> None:
    section = getattr(Settings(), row.section)
    value = GIVEN.get(row.variable) or _another(section, row.field)
    wanted = msgspec.structs.replace(section, **{row.field: value})
    environ = {row.variable: str(value)}
    if row.variable == "ADMITONE_ENV":
        # Production is refused without a secret.
        environ["ADMITONE_SECRET"] = SECRET
        wanted = msgspec.structs.replace(wanted, secret=SECRET)
    assert Settings.load(environ) == msgspec.structs.replace(Settings(), **{row.section: wanted})
    assert row.sentence


def _another(section: Section, field: str) -> Any:
    """A value that the field may have and has not by default."""
    info = type_info(type(section))
    assert isinstance(info, StructType)
    (described,) = (one.type for one in info.fields if one.name == field)
    assert isinstance(described, Metadata)
    default = getattr(section, field)
    match described.type:
        case IntType(ge=least):
            return least if least != default else default + 1
        case FloatType(le=most):
            return most
        case LiteralType(values=values):
            return next(value for value in values if value != default)
        case EnumType(cls=members):
            return next(value for value in members if value != default)
        case StrType():
            return "another"
        case BoolType():
            return not default
    raise AssertionError(f"no value is known for {described.type}")


@pytest.mark.parametrize("part", [GatewaySettings, WorkerSettings])
def test_gateway_and_workers_take_sections_that_there_are(part: type[msgspec.Struct]) -> None:
    sections = {name: type(getattr(Settings(), name)) for name in Settings.__struct_fields__}
    assert part.__annotations__.items() <= {name: kind.__name__ for name, kind in sections.items()}.items()


def test_the_repr_of_the_settings_shows_no_secret() -> None:
    settings = Settings.load({"ADMITONE_SECRET": SECRET, "DATABASE_URL": "postgresql://u:hidden@h/d"})
    assert SECRET not in repr(settings)
    assert "hidden" not in repr(settings.part(GatewaySettings))


def test_nothing_below_the_command_reads_the_environment() -> None:
    for package in (db, booking_lane, waiting_room, gateway, workers):
        for path in Path(package.__path__[0]).rglob("*.py"):
            assert not {"environ", "getenv"} & set(re.findall(r"\bos\.(\w+)", path.read_text())), path


def test_a_value_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(SECRET + "\n")
    assert Settings.load({"ADMITONE_SECRET_FILE": str(file)}).site.secret == SECRET
    assert Settings.load({"DATABASE_URL_FILE": str(file)}).db.url == SECRET


def test_a_file_that_gives_no_value_is_refused_in_a_sentence(tmp_path: Path) -> None:
    binary, long = tmp_path / "binary", tmp_path / "long"
    binary.write_bytes(b"\xff\xfe\x00")
    long.write_text("x" * 70_000)
    for path, why in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "Is a directory"),
        (binary, "no text"),
        (long, "65536 characters"),
    ):
        with pytest.raises(SettingsError, match=f"ADMITONE_SECRET_FILE: .*{why}"):
            Settings.load({"ADMITONE_SECRET_FILE": str(path)})
    with pytest.raises(SettingsError, match="both set"):
        Settings.load({"ADMITONE_SECRET_FILE": str(long), "ADMITONE_SECRET": SECRET})


def test_a_child_is_given_a_value_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMITONE_SECRET_FILE", "/run/secrets/admitone")
    monkeypatch.setenv("DATABASE_URL", "postgresql://old")
    given = environ_with({"ADMITONE_SECRET": SECRET, "DATABASE_URL": "postgresql://new"})
    assert (given["ADMITONE_SECRET"], given["DATABASE_URL"]) == (SECRET, "postgresql://new")
    assert "ADMITONE_SECRET_FILE" not in given


KEYS_OF_STRIPE = {
    "ADMITONE_STRIPE_SECRET_KEY": "sk_test_1",
    "ADMITONE_STRIPE_PUBLIC_KEY": "pk_test_1",
    "ADMITONE_STRIPE_WEBHOOK_SECRET": "whsec_1",
}


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"ADMITONE_PAYMENT_PROVIDERS": "stripe"}, "ADMITONE_STRIPE_SECRET_KEY"),
        ({"ADMITONE_PAYMENT_PROVIDERS": "mollie"}, "ADMITONE_MOLLIE_API_KEY"),
        (
            {
                "ADMITONE_PAYMENT_PROVIDERS": "mollie",
                "ADMITONE_MOLLIE_API_KEY": "test_1",
                "ADMITONE_MOLLIE_METHODS": "ideal banktransfer",
            },
            "banktransfer",
        ),
        (
            {"ADMITONE_PAYMENT_PROVIDERS": "stripe", **KEYS_OF_STRIPE, "ADMITONE_ENV": "production"},
            "ADMITONE_PUBLIC_URL",
        ),
    ],
)
def test_a_payment_provider_wants_its_keys_an_address_and_methods_paid_at_once(
    environ: dict[str, str], sentence: str
) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Settings.load({"ADMITONE_SECRET": SECRET, "ADMITONE_CAPTCHA": "altcha", **environ})


def test_a_providers_key_may_come_from_a_file(tmp_path: Path) -> None:
    key = tmp_path / "stripe"
    key.write_text("sk_test_2\n")
    keys = {**KEYS_OF_STRIPE, "ADMITONE_STRIPE_SECRET_KEY": "", "ADMITONE_STRIPE_SECRET_KEY_FILE": str(key)}
    settings = Settings.load({"ADMITONE_PAYMENT_PROVIDERS": "stripe", **keys})
    assert settings.stripe.secret_key == "sk_test_2"
    assert not settings.stripe.is_live
