"""``admitone keys``: the keys that sign."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from admitone.commands.environment import fail, load_settings, need_secret, sentence
from waiting_room.key_ring import FIRST, KeyGroup

FIRST_WORD = "first"
"""How the key that has no id is called here."""

Groups = Annotated[list[KeyGroup] | None, typer.Argument(help="Which keys: all groups where none is named.")]


def rotate(groups: Groups = None) -> None:
    """Sign with new keys. What the old ones signed stays good: nobody loses a session, a place or a link."""
    from admitone import keys

    settings = load_settings()
    need_secret(settings)
    try:
        lines = asyncio.run(keys.rotate(settings, groups or list(KeyGroup)))
    except keys.KeysError as error:
        raise fail(sentence(error)) from None
    for line in lines:
        typer.echo(line)


def list_all() -> None:
    """List the keys, and since when each has signed."""
    from admitone import keys

    for line in asyncio.run(keys.listed(load_settings())):
        typer.echo(line)


def remove(
    group: KeyGroup,
    key_id: Annotated[str, typer.Argument(help=f"As `admitone keys list` has it; {FIRST_WORD}: made of the secret.")],
) -> None:
    """Forget a key that signs no more: what it signed is refused within a second."""
    from admitone import keys

    settings = load_settings()
    need_secret(settings)
    try:
        asyncio.run(keys.remove(settings, group, FIRST if key_id == FIRST_WORD else key_id))
    except keys.KeysError as error:
        raise fail(sentence(error)) from None
