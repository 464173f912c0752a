"""Writes letters, and keeps what the letters to many readers have in common.

A whole arena is told the same in six languages, and a template takes longer than all the rest of a mail. So a letter is
rendered once as a draft, which has a mark wherever something is its reader's own: the token of the reader's links, and
the place in line. For each reader the marks are replaced.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from db.messages.kinds import MAIL, SIGNED_LINKS, MessageChannel
from messages.files import files_of
from messages.languages import known
from messages.letters import Letter, Occasion, compose
from messages.links import Links, Reader
from messages.look import Look
from messages.mime import Mime, mime_of

DRAFTS_MAX: Final = 64
"""Six languages of ten things that happen at once."""
TOKEN_MARK: Final = f"token.{secrets.token_hex(16)}"
PLACE_MARK: Final = f"place.{secrets.token_hex(16)}"
"""Nobody can guess a mark, so no event's name has one. HTML, addresses and quoted-printable leave its letters alone."""


@dataclass(slots=True)
class Draft:
    """A letter with marks, and the mail that it becomes, which is made for the first reader of a mail."""

    letter: Letter
    mime: Mime | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """A letter to one reader. ``own`` has what stands in the place of each mark."""

    draft: Draft
    own: tuple[tuple[str, str], ...]

    @property
    def kind(self) -> str:
        return self.draft.letter.kind

    @property
    def letter(self) -> Letter:
        """The letter as its reader sees it."""
        letter = self.draft.letter
        return replace(
            letter,
            text=self._filled(letter.text),
            html=self._filled(letter.html),
            url=self.url,
            preferences=self.preferences,
            unsubscribe=self._filled(letter.unsubscribe),
        )

    @property
    def subject(self) -> str:
        return self.draft.letter.subject

    @property
    def short(self) -> str:
        return self.draft.letter.short

    @property
    def choose(self) -> str:
        return self.draft.letter.choose

    @property
    def tag(self) -> str:
        return self.draft.letter.tag

    @property
    def url(self) -> str:
        return self._filled(self.draft.letter.url)

    @property
    def preferences(self) -> str:
        return self._filled(self.draft.letter.preferences)

    @property
    def sms(self) -> str:
        """What an SMS says: what happened, where to look, and where to choose or stop."""
        choose = f"\n{self.choose}: {self.preferences}" if self.preferences else ""
        return f"{self.short} {self.url}{choose}"

    def mail(self, address: str, sender: str, sender_name: str, message_id: str) -> bytes:
        """The letter as a mail.

        Raises:
            ValueError: a header would have more than one line, or an address is not of ASCII.
        """
        if self.draft.mime is None:
            self.draft.mime = mime_of(self.draft.letter, [mark for mark, _ in self.own])
        return self.draft.mime.mail(self.own, address, sender, sender_name, message_id)

    def _filled(self, text: str) -> str:
        for mark, own in self.own:
            text = text.replace(mark, own)
        return text


class Writer:
    """Writes letters.

    Args:
        font: file of the font for tickets; empty: one that the system has.
    """

    def __init__(self, look: Look, links: Links, font: str = "") -> None:
        self._look = look
        self._links = links
        self._font = font
        self._drafts: OrderedDict[tuple[object, ...], Draft] = OrderedDict()

    def write(self, occasion: Occasion, channel: MessageChannel, address: str, language: str) -> Written:
        """The letter to an address, in its language or else in English."""
        reader = Reader(channel=channel, address=address, kind=occasion.kind)
        token = self._links.tokens.sign_reader(reader)
        own = [(TOKEN_MARK, token)]
        if occasion.kind in SIGNED_LINKS:
            occasion = replace(occasion, payload={"mail": address})
        if place := str(occasion.payload.get("place") or ""):
            own.append((PLACE_MARK, place))
            occasion = replace(occasion, payload={**occasion.payload, "place": PLACE_MARK})
        return Written(self._draft(occasion, channel, known(language), TOKEN_MARK if token else ""), tuple(own))

    def _draft(self, occasion: Occasion, channel: MessageChannel, language: str, token: str) -> Draft:
        if occasion.tickets or occasion.kind in SIGNED_LINKS:
            return self._new(occasion, channel, language, token)
        payload = msgspec.json.encode(occasion.payload, order="sorted")
        key = (occasion.kind, occasion.event_id, occasion.event, payload, channel, language, token)
        draft = self._drafts.get(key)
        if draft is None:
            draft = self._drafts[key] = self._new(occasion, channel, language, token)
            if len(self._drafts) > DRAFTS_MAX:
                self._drafts.popitem(last=False)
        return draft

    def _new(self, occasion: Occasion, channel: MessageChannel, language: str, token: str) -> Draft:
        letter = compose(occasion, channel, token, language, self._look, self._links)
        if channel == MAIL:
            letter.files = files_of(occasion, letter, self._look, self._font)
        return Draft(letter)
