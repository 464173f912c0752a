"""The keys of sealed fields: whether those of this environment open what stands in Postgres."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from admitone.doctor.finding import Finding, error, fine
from admitone.doctor.site import Site
from db.booking.ticket_codes import BEGINNING_CHARS
from db.sealing.keyring import Keyring, SealedField, SealError

LOOKED_AT_MAX: Final = 50

_SEALED: Final = f"""
(SELECT 'address', address FROM contact WHERE address_hash IS NOT NULL ORDER BY made_at DESC LIMIT {LOOKED_AT_MAX})
 UNION ALL
(SELECT 'ticket code', substring(ticket_code FROM {BEGINNING_CHARS + 1})
   FROM purchase_detail
  WHERE length(ticket_code) > {BEGINNING_CHARS}
  LIMIT {LOOKED_AT_MAX})
"""  # noqa: S608 - of constants alone


def examine(site: Site) -> Iterator[Finding]:
    if site.postgres is None:
        return
    keys = Keyring.of(site.settings.site)
    lost: dict[str, int] = {}
    for field, stored in site.rows(_SEALED):
        try:
            keys.open(SealedField(field), stored)
        except SealError:
            lost[field] = lost.get(field, 0) + 1
    if not lost:
        yield fine("setup", "data_keys", "The keys of this environment open what is sealed in Postgres")
        return
    named = " and ".join(f"{number} of the {field} fields" for field, number in lost.items())
    yield error(
        "setup",
        "data_keys",
        f"No key of this environment opens {named} that were looked at",
        "Name the secret that sealed them in ADMITONE_DATA_KEYS, on every process, and run `admitone data rotate`.",
    )
