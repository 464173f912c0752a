"""A site's own look: what it may be, what follows from its colour, and what is refused at the start."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from admitone.settings import Settings, SettingsError
from gateway.branding.brand import Brand, BrandError, brand_of
from gateway.pages import look
from messages.brand_settings import BrandSettings
from messages.colours import CONTRAST_MIN, INK, WHITE, contrast, readable_on

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><path d="M0 0h10v10z"/></svg>'


@pytest.fixture
def plain() -> Iterator[None]:
    yield
    look.wear(Brand())


def png(size: tuple[int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "navy").save(file, "PNG")
    return file.getvalue()


def test_contrast_is_wcags() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert contrast("#f5b301", INK) > 9


@given(st.integers(0, 0xFFFFFF))
def test_text_on_any_colour_can_be_read_or_the_colour_is_refused(number: int) -> None:
    colour = f"#{number:06x}"
    text = readable_on(colour)
    if text is None:
        assert max(contrast(colour, INK), contrast(colour, WHITE)) < CONTRAST_MIN
        with pytest.raises(BrandError, match="darker or lighter"):
            brand_of(BrandSettings(colour=colour))
    else:
        assert contrast(colour, text) >= CONTRAST_MIN
        assert f"--on-amber:{text}" in brand_of(BrandSettings(colour=colour)).style


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("ADMITONE_BRAND_COLOUR", "blue", "write it as #rrggbb"),
        ("ADMITONE_BRAND_COLOUR", "#7f7f7f", "neither dark nor white"),
        ("ADMITONE_BRAND_COLOUR", "#00567d;}body{", "write it as #rrggbb"),
        ("ADMITONE_BRAND_NAME", "x" * 61, "ADMITONE_BRAND_NAME"),
        ("ADMITONE_BRAND_NAME", "two\nlines", "ADMITONE_BRAND_NAME"),
        ("ADMITONE_BRAND_IMPRINT_URL", "imprint.html", "is no address"),
        ("ADMITONE_BRAND_PRIVACY_URL", "javascript:alert(1)", "is no address"),
        ("ADMITONE_BRAND_TERMS_URL", "https://[::1", "is no address"),
        ("ADMITONE_PUSH_PUBLIC_KEY", "short", "no VAPID public key"),
    ],
)
def test_a_look_that_cannot_be_is_refused_at_the_start(variable: str, value: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Settings.load({variable: value})


@pytest.mark.parametrize(
    ("field", "content", "words"),
    [
        ("logo", None, "cannot be read"),
        ("logo", b"GIF89a", "neither an SVG"),
        ("logo", b"<html/>", "neither an SVG"),
        ("logo", b'<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG, "neither an SVG"),
        ("logo", SVG + b" " * 102_400, "more than"),
        ("icon", SVG, "no PNG"),
        ("icon", png((300, 200)), "must be square"),
        ("icon", png((64, 64)), "must be square"),
    ],
)
def test_a_file_that_is_no_image_is_refused(tmp_path: Path, field: str, content: bytes | None, words: str) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BrandError, match=words):
        brand_of(BrandSettings(**{field: str(path)}))


def test_pages_wear_the_brand(tmp_path: Path, plain: None) -> None:
    (tmp_path / "logo.svg").write_bytes(SVG)
    (tmp_path / "icon.png").write_bytes(png((256, 256)))
    ours = look.assets.version
    settings = BrandSettings(
        name="Thalia & Söhne",
        colour="#00567D",
        logo=str(tmp_path / "logo.svg"),
        icon=str(tmp_path / "icon.png"),
        imprint_url="https://thalia.example/imprint?a=1&b=2",
    )
    look.wear(brand_of(settings))
    assert look.assets.version != ours, "browsers must not keep the old style"
    html = look.error_page(404).content
    assert "<title>We cannot find that page · Thalia &amp; Söhne</title>" in html
    assert f'<img src="/static/{look.assets.version}/logo.svg" alt="Thalia &amp; Söhne">' in html
    assert '<meta name="theme-color" content="#00567d">' in html
    assert '<a href="https://thalia.example/imprint?a=1&amp;b=2">Imprint</a>' in html
    assert "Privacy" not in html
    assert "Admit One" not in html
    style = look.assets.named("admit.css").plain.decode()
    assert "--amber:#00567d" in style
    assert "--on-amber:#ffffff" in style
    assert b"#00567d" in look.assets.named("favicon.svg").plain
    manifest = json.loads(look.manifest())
    assert (manifest["name"], manifest["theme_color"]) == ("Thalia & Söhne", "#00567d")
    assert {icon["sizes"] for icon in manifest["icons"]} == {"256x256"}
    assert all(look.assets.find(*icon["src"].split("/")[2:]) is not None for icon in manifest["icons"])


def test_without_settings_the_pages_are_ours() -> None:
    look.wear(Brand())
    manifest = json.loads(look.manifest())
    assert {icon["sizes"] for icon in manifest["icons"]} == {"192x192", "512x512"}
    assert "brand-ticket" in look.error_page(404).content
