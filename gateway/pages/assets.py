"""The static files: read, bundled, made lighter, and each in every language that its texts are in."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import mimetypes
import re
from collections.abc import AsyncIterator
from functools import cached_property
from pathlib import Path
from typing import Final

import brotli

from gateway.branding.brand import AMBER, Brand
from gateway.pages.bundles import bundle_scripts
from gateway.pages.languages import LANGUAGES, OTHERS, Language, current
from gateway.pages.script_texts import has_texts, translated
from gateway.wire.addresses import below
from messages.colours import INK, readable_on

_CSS_COMMENT: Final = re.compile(r"/\*.*?\*/\s*", re.DOTALL)
_CSS_SPACE: Final = re.compile(r"""("[^"\n]*"|'[^'\n]*')|\s*([{};,])\s*|(:)\s+""")
"""White space after a colon is a declaration's: a selector has none there. Quoted text is matched first, and kept."""
_SPOKEN: Final = re.compile(r"(.+)\.([^./]+)\.js")
"""The name of a script's bundle in a language other than English: `_in`."""


class Asset:
    """A static file."""

    def __init__(self, name: str, plain: bytes) -> None:
        # Litestar adds the charset of text.
        self.media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        self.plain = plain
        self._brotli: asyncio.Future[bytes] | bytes | None = None

    @cached_property
    def gzipped(self) -> bytes:
        return gzip.compress(self.plain, 9, mtime=0)

    async def brotli(self) -> bytes:
        """The file in Brotli at its best, an eighth smaller than gzipped. That takes up to a fifth of a second, so a
        thread does it, once: when the file is first asked for, or before (`Assets.making_brotli`).
        """
        if self._brotli is None:
            self._brotli = asyncio.ensure_future(asyncio.to_thread(brotli.compress, self.plain, brotli.MODE_TEXT))
        if not isinstance(self._brotli, bytes):
            self._brotli = await asyncio.shield(self._brotli)
        return self._brotli


class Assets:
    """The static files. Their address holds a hash of them all, so that a browser may keep them.

    A file is gzipped, and a script translated, when it is first asked for: that is most of the work, and a gateway in
    development is not kept waiting for it. `make_all` does it beforehand, all but Brotli.

    Raises:
        BundleError: the scripts cannot be bundled.
    """

    def __init__(self, folder: Path) -> None:
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        ours = [name for name in sorted(files) if name.endswith(".js") and not name.startswith("vendor/")]
        scripts = {name: files.pop(name).decode() for name in ours}
        bundles = bundle_scripts(scripts)
        self._with_texts = frozenset(name for name, text in bundles.items() if has_texts(text))
        files.update((name, text.encode()) for name, text in bundles.items())
        styles = [name for name in files if name.endswith(".css") and not name.startswith("vendor/")]
        files.update((name, _lighter_css(files[name])) for name in styles)
        self._ours = {name: Asset(name, plain) for name, plain in files.items()}
        self._texts = b"".join(language.source for language in OTHERS)
        self._spoken: dict[str, Asset] = {}
        self.wear(Brand())

    def wear(self, brand: Brand) -> None:
        """Put the site's colour into the style and the icon, and its own images beside our files."""
        style, icon = self._ours["admit.css"].plain, self._ours["favicon.svg"].plain
        own = {image.name: image.content for image in (brand.logo, brand.icon) if image is not None}
        if brand.colour:
            own["admit.css"] = style + brand.style.encode()
            own["favicon.svg"] = icon.replace(AMBER.encode(), brand.colour.encode()).replace(
                INK.encode(), (readable_on(brand.colour) or INK).encode()
            )
        self._files = self._ours | {name: Asset(name, plain) for name, plain in own.items()}
        digest = hashlib.sha256(self._texts)
        for name, asset in sorted(self._files.items()):
            digest.update(name.encode() + b"\0" + asset.plain)
        self.version = digest.hexdigest()[:12]

    def make_all(self) -> None:
        """Make every file in every language, plain and gzipped. Brotli takes longer, and follows while the process
        serves (`making_brotli`).
        """
        for language in OTHERS:
            for name in self._with_texts:
                self.find(self.version, _in(language, name))
        for asset in (*self._files.values(), *self._spoken.values()):
            _ = asset.gzipped

    @contextlib.asynccontextmanager
    async def making_brotli(self, _: object = None) -> AsyncIterator[None]:
        """Meanwhile make every file that there is in Brotli, one after another with rests as long as the work, because
        a gateway that has just started serves too.
        """
        making = asyncio.create_task(self._make_brotli())
        try:
            yield
        finally:
            making.cancel()

    async def _make_brotli(self) -> None:
        loop = asyncio.get_running_loop()
        for asset in (*self._files.values(), *self._spoken.values()):
            began = loop.time()
            await asset.brotli()
            await asyncio.sleep(loop.time() - began)

    def address(self, name: str) -> str:
        """Where a page finds a file, in the page's language where it has one.

        Raises:
            KeyError: there is no such file; a page's mistake is found by its first render.
        """
        self._files[name]
        is_spoken = name in self._with_texts and current() in OTHERS
        return below(f"/static/{self.version}/{_in(current(), name) if is_spoken else name}")

    def named(self, name: str) -> Asset:
        """A file by its name alone, for an address that must stay the same.

        Raises:
            KeyError: there is no such file.
        """
        return self._files[name]

    def spoken(self, name: str, language: Language) -> Asset:
        """A script by its name alone, in a language.

        Raises:
            KeyError: there is no such file.
        """
        return self.find(self.version, _in(language, name)) or self._files[name]

    def find(self, version: str, name: str) -> Asset | None:
        if version != self.version:
            return None
        return self._files.get(name) or self._spoken.get(name) or self._translated(name)

    def _translated(self, name: str) -> Asset | None:
        parts = _SPOKEN.fullmatch(name)
        language = LANGUAGES.get(parts[2]) if parts else None
        if parts is None or language not in OTHERS or (script := f"{parts[1]}.js") not in self._with_texts:
            return None
        text = translated(self._files[script].plain.decode(), language)
        asset = self._spoken[name] = Asset(name, text.encode())
        return asset


def _in(language: Language, script: str) -> str:
    return f"{script.removesuffix('.js')}.{language.tag}.js"


def _lighter_css(plain: bytes) -> bytes:
    text = _CSS_COMMENT.sub("", plain.decode())
    return _CSS_SPACE.sub(lambda found: found[1] or found[2] or found[3], text).encode()
