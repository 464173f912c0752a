"""Answers about events' pictures."""

from __future__ import annotations

from gateway.contract.values import AnswerBody


class PictureAnswer(AnswerBody, kw_only=True):
    """An uploaded picture, which an event gets as its ``pictureHash``. ``width`` and ``height`` are of ``href``.

    ``smallHref`` is smaller, and ``cardHref`` is a JPEG for share previews. What stands at these addresses never
    changes. A picture that no event and no hall plan shows is forgotten after a day.
    """

    hash: str
    width: int
    height: int
    href: str
    small_href: str
    card_href: str
