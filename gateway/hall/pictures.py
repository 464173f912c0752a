"""Events' pictures as fans see them: read from Postgres once, and the latest kept in memory."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from db.connections.old_reads import OldReads
from db.pictures import READ

KEPT_BYTES_MAX: Final = 33_554_432
"""Of pictures in one process. A home page of sixty events has two megabytes of them."""
FORMS: Final = {
    ".webp": ("large", "image/webp"),
    "-small.webp": ("small", "image/webp"),
    "-card.jpg": ("card", "image/jpeg"),
}
"""A form's column and media type, by how the name of its file ends."""
_name: Final = re.compile(r"([0-9a-f]{32})(\.webp|-small\.webp|-card\.jpg)").fullmatch


class PictureFiles:
    """Reads pictures by the names of their files, e.g. ``0123…cdef-small.webp``."""

    def __init__(self, old_reads: OldReads) -> None:
        self._old_reads = old_reads
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    async def read(self, name: str) -> tuple[bytes, str] | None:
        """A file's content and media type; None where there is no such picture."""
        found = _name(name)
        if found is None:
            return None
        form, media_type = FORMS[found[2]]
        content = self._kept.get(name)
        if content is None:
            statement, which = text(READ[form]), {"hash": found[1]}

            async def read(connection: AsyncConnection) -> bytes | None:
                content: bytes | None = (await connection.execute(statement, which)).scalar()
                return content

            content = await self._old_reads.read(read)
            if content is None:
                return None
            self._keep(name, content)
        else:
            self._kept.move_to_end(name)
        return content, media_type

    def _keep(self, name: str, content: bytes) -> None:
        if name in self._kept:
            return
        self._kept[name] = content
        self._bytes += len(content)
        while self._bytes > KEPT_BYTES_MAX:
            self._bytes -= len(self._kept.popitem(last=False)[1])
