"""How Twilio signs what it posts (twilio.com/docs/usage/security)."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterable

from messages.settings import SMS_SCHEMES, SmsSettings, provider_of


def twilio_tokens(settings: SmsSettings) -> list[str]:
    """The tokens of the Twilio accounts by which this site sends SMS."""
    found = [provider_of(url, SMS_SCHEMES) for url in (settings.url, settings.fallback_url) if url]
    return [one.password for one in found if one.scheme == "twilio" and one.password]


def twilio_signature(token: str, address: str, fields: Iterable[tuple[str, str]]) -> str:
    """The signature of a form that is posted to an address, which has its query with it."""
    signed = address + "".join(name + value for name, value in sorted(set(fields)))
    return b64encode(hmac.digest(token.encode(), signed.encode(), "sha1")).decode()
