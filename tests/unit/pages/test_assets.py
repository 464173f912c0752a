"""The static files: each made once, when it is first asked for or all beforehand, in every language."""

from __future__ import annotations

import asyncio
import gzip

import brotli
import pytest

from gateway.branding.brand import Brand
from gateway.pages.assets import Assets
from gateway.pages.languages import LANGUAGES, OTHERS
from gateway.pages.look import FOLDER


@pytest.fixture
def assets() -> Assets:
    return Assets(FOLDER / "static")


def test_a_script_is_translated_when_it_is_asked_for(assets: Assets) -> None:
    english = assets.named("event/main.js")
    german = assets.find(assets.version, "event/main.de.js")
    assert german is not None
    assert LANGUAGES["de"].translations.gettext("Drawing…") in german.plain.decode()
    assert "Drawing…" in english.plain.decode()
    assert assets.find(assets.version, "event/main.de.js") is german, "once"
    assert gzip.decompress(german.gzipped) == german.plain


async def test_a_file_is_made_in_brotli_once_for_all_who_ask_at_a_time(assets: Assets) -> None:
    script = assets.named("event/main.js")
    made = await asyncio.gather(*(script.brotli() for _ in range(5)))
    assert all(one is made[0] for one in made)
    assert await script.brotli() is made[0]
    assert brotli.decompress(made[0]) == script.plain
    assert len(made[0]) < 0.9 * len(script.gzipped)


async def test_all_files_are_made_in_brotli_before_anybody_asks() -> None:
    beforehand = Assets(FOLDER / "static")
    async with beforehand.making_brotli(), asyncio.timeout(60):
        while any(not isinstance(one._brotli, bytes) for one in beforehand._files.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    script = beforehand.named("event/main.js")
    assert brotli.decompress(await script.brotli()) == script.plain


@pytest.mark.parametrize(
    "name", ["event/main.en.js", "event/main.xx.js", "admit.de.css", "vendor/uPlot.iife.min.de.js", "de.js", ".de.js"]
)
def test_what_no_page_names_is_not_found(assets: Assets, name: str) -> None:
    assert assets.find(assets.version, name) is None


def test_another_release_has_no_file_here(assets: Assets) -> None:
    assert assets.find("0" * 12, "event/main.js") is None
    assert assets.find("0" * 12, "event/main.de.js") is None


def test_all_made_beforehand_are_the_same(assets: Assets) -> None:
    beforehand = Assets(FOLDER / "static")
    beforehand.make_all()
    assert beforehand.version == assets.version
    names = {"event/main.js", *(f"event/main.{language.tag}.js" for language in OTHERS)}
    for name in names:
        made, asked = beforehand.find(assets.version, name), assets.find(assets.version, name)
        assert made is not None
        assert asked is not None
        assert (made.plain, "gzipped" in vars(made), "gzipped" in vars(asked)) == (asked.plain, True, False)


def test_another_look_is_another_release(assets: Assets) -> None:
    before = assets.version
    assets.wear(Brand(colour="#00567d"))
    assert assets.version != before
