"""Make the README's pictures from what `test_every_page.py` has photographed: `make pictures`."""

from __future__ import annotations

from typing import Final

from PIL import Image

from tests.browser.looks import ARTEFACTS
from tests.services import ROOT

FOLDER: Final = ROOT / "docs" / "pictures"
BYTES_MAX: Final = 150_000
WIDTH_MAX: Final = 1280
HEIGHT_MAX: Final = 1100
"""A long page is cut: what matters of each stands at its top."""
PICTURES: Final = {
    "waiting": "waiting-desktop-en",
    "stadium": "stadium-desktop-en",
    "ticket": "ticket-phone-en",
    "console": "console-desktop-en",
}


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, photograph in PICTURES.items():
        with Image.open(ARTEFACTS / f"{photograph}.png") as whole:
            picture = whole.convert("RGB").crop((0, 0, min(whole.width, WIDTH_MAX), min(whole.height, HEIGHT_MAX)))
        path = FOLDER / f"{name}.webp"
        picture.save(path, "WEBP", quality=82, method=6)
        assert path.stat().st_size <= BYTES_MAX, f"{path} is too large: {path.stat().st_size} bytes"
        print(path.relative_to(ROOT), path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
