"""The mailbox of a development site: every message that it would have sent, as a person would see it."""

from __future__ import annotations

import base64
import re
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from litestar import MediaType, Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import Parameter

from db.messages.reading import MessageRow, message_with_copy, newest_messages
from gateway.pages.look import page
from gateway.services import services_of

SHOWN_MAX: Final = 200
FRAME_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self';"
    " sandbox allow-popups allow-popups-to-escape-sandbox",
    "Cache-Control": "no-store",
}
_CID: Final = re.compile(r'src="cid:([a-z0-9-]+)"')


def with_images(html: str, images: Mapping[str, bytes]) -> str:
    """A mail's HTML with its PNG images in it, by their names, as a mail program shows it."""
    return _CID.sub(lambda at: f'src="data:image/png;base64,{base64.b64encode(images.get(at[1], b"")).decode()}"', html)


class Copied(msgspec.Struct, rename="camel"):
    """A message as the worker's mailbox kept it."""

    subject: str
    text: str
    html: str = ""
    images: dict[str, bytes] = {}
    files: list[str] = []


def _require_development(request: Request[Any, Any, Any]) -> None:
    if services_of(request).settings.site.production:
        raise NotFoundException


def _copied(row: MessageRow) -> Copied | None:
    return None if row.copy is None else msgspec.json.decode(row.copy, type=Copied)


@get("/dev/mailbox")
async def mailbox_page(
    request: Request[Any, Any, Any], to: Annotated[str, Parameter(max_length=254)] = ""
) -> Response[str]:
    """The newest messages; ``to`` shows those of one address alone."""
    _require_development(request)
    async with services_of(request).engine.connect() as connection:
        rows = await newest_messages(connection, SHOWN_MAX, address=to)
    return page("mailbox.html", messages=[(row, _copied(row)) for row in rows], to=to)


@get("/dev/mailbox/{message_id:uuid}")
async def message_page(request: Request[Any, Any, Any], message_id: uuid.UUID) -> Response[str]:
    """One message, as its reader sees it."""
    _require_development(request)
    async with services_of(request).engine.connect() as connection:
        row = await message_with_copy(connection, message_id)
    copied = None if row is None else _copied(row)
    if row is None or copied is None:
        raise NotFoundException
    return page("mailbox_message.html", own_frame=True, row=row, message=copied)


@get("/dev/mailbox/{message_id:uuid}/html")
async def message_html(request: Request[Any, Any, Any], message_id: uuid.UUID) -> Response[str]:
    """A mail's HTML, in the frame of its page."""
    _require_development(request)
    async with services_of(request).engine.connect() as connection:
        row = await message_with_copy(connection, message_id)
    copied = None if row is None else _copied(row)
    if copied is None or not copied.html:
        raise NotFoundException
    return Response(with_images(copied.html, copied.images), media_type=MediaType.HTML, headers=FRAME_HEADERS)


MAILBOX: Final = (mailbox_page, message_page, message_html)
