"""What a process of a site makes when it first needs it, and what is the same in every one: pages' templates, scripts
in their lightest form, catalogues, and what Litestar and msgspec work out of the types of our routes. The process that
forks the others (`tests.forking`) makes it once, for all of them.
"""

from __future__ import annotations

import functools
from typing import Any, Final

import brotli
import typer.main
from litestar._signature import SignatureModel
from litestar.utils.signature import ParsedSignature

from admitone.cli import app
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
    _remember()
    typer.main.get_command(app)
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


def _remember() -> None:
    """Have Litestar and typer keep what they read out of functions: forked processes have the same ones."""
    read, model = ParsedSignature.from_fn, SignatureModel.create
    signatures: dict[object, tuple[dict[str, Any], ParsedSignature]] = {}
    models: dict[object, type[SignatureModel]] = {}
    # What is named by its `id` has to stay.
    kept: list[object] = []

    def from_fn(fn: Any, signature_namespace: dict[str, Any]) -> ParsedSignature:
        key = _identity(fn)
        if key not in signatures or signatures[key][0] != signature_namespace:
            kept.append(fn)
            signatures[key] = (signature_namespace, read(fn, signature_namespace))
        return signatures[key][1]

    def create(
        dependency_name_set: set[str],
        fn: Any,
        parsed_signature: ParsedSignature,
        type_decoders: Any,
        data_dto: Any = None,
    ) -> type[SignatureModel]:
        named = frozenset(dependency_name_set), tuple(map(id, type_decoders)), data_dto
        key = (_identity(fn), id(parsed_signature), *named)
        if key not in models:
            kept.append((fn, parsed_signature, type_decoders))
            models[key] = model(dependency_name_set, fn, parsed_signature, type_decoders, data_dto)
        return models[key]

    for owner, function in ((ParsedSignature, from_fn), (SignatureModel, create)):
        setattr(owner, function.__name__, staticmethod(function))
    typer.main.get_command = functools.cache(typer.main.get_command)


def _identity(fn: Any) -> object:
    """The same for functions of the same signature: Litestar makes the answer to OPTIONS anew for each route."""
    made_anew = getattr(fn, "__closure__", None) and not hasattr(fn, "__wrapped__") and fn.__name__ == "options_handler"
    return fn.__code__ if made_anew else id(fn)
