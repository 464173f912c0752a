"""The settings: defaults, bounds, names, and what production refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from admitone.cli import settings_markdown
from admitone.settings import Settings, SettingsError

SECRET = "an unlikely secret 0123456789 of the tests"


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = Settings.load({})
    assert (settings.hold_seconds, settings.line_cap, settings.lanes) == (600, 5000, 2)


def test_a_value_is_read_and_converted() -> None:
    assert Settings.load({"ADMITONE_LANES": "4", "DATABASE_URL": "postgresql://x"}).lanes == 4


def test_an_empty_value_is_no_value() -> None:
    assert Settings.load({"ADMITONE_LANES": ""}).lanes == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("ADMITONE_LANES", "0"), ("ADMITONE_LANES", "many"), ("ADMITONE_AUTH", "none"), ("ADMITONE_PORT", "70000")],
)
def test_a_bad_value_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.load({name: value})


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(SettingsError, match="ADMITONE_LANE is no setting"):
        Settings.load({"ADMITONE_LANE": "4"})


@pytest.mark.parametrize(
    "unsafe",
    [
        {"ADMITONE_AUTH": "open"},
        {"ADMITONE_SECRET": "short"},
        {"ADMITONE_CAPTCHA": "off"},
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
