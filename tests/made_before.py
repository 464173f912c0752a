"""What a process of a site makes when it first needs it, and what is the same in every one: pages' templates, scripts
in their lightest form, catalogues, and what Litestar and msgspec work out of the types of our routes. The process that
forks the others (`tests.forking`) makes it once, for all of them.
"""

from __future__ import annotations

from typing import Final

import brotli

from admitone.settings import Settings
from db.sealing import keyring
from gateway.app import create_app
from gateway.pages import look
from gateway.pages.languages import LANGUAGES
from gateway.settings import GatewaySettings
from messages.languages import translations_of

NOWHERE: Final = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "ADMITONE_SECRET": "of an application that is never started",
}


def make() -> None:
    """Make it in this process."""
    create_app(Settings.load(NOWHERE).part(GatewaySettings))
    # That took a keyring into use. A command that forgets to take its own must still be found out.
    keyring._InUse.keyring = None
    for name in look.templates.list_templates():
        look.templates.get_template(name)
    for language in LANGUAGES.values():
        _ = language.locale, language.translations, language.forms
        translations_of(language.tag)
    for asset in look.assets._files.values():
        # A gateway has a thread do it (`Asset.brotli`), and a process that forks can have none.
        asset._brotli = brotli.compress(asset.plain, brotli.MODE_TEXT)
