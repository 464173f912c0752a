"""Makes the sender, with the providers that the settings name."""

from __future__ import annotations

from collections.abc import Sequence

import redis.asyncio

from db.messages.kinds import MAIL, PUSH, SMS, MessageChannel
from messages.links import Links, LinkTokens
from messages.look import Look
from messages.settings import SmsSettings
from tickets.keys import TicketKeys
from waiting_room.key_ring import KeyRing
from workers.messages.pace import Pace
from workers.messages.provider import Provider
from workers.messages.sender import Sender
from workers.messages.smtp import Mailbox, Smtp
from workers.settings import WorkerSettings


def make_sender(settings: WorkerSettings, client: redis.asyncio.Redis, keys: KeyRing) -> Sender:
    """The sender of one process, in its running loop; in Redis it keeps pace with other processes."""
    links = Links(settings.site_address, LinkTokens(keys))
    look = Look.of(settings.brand)
    return Sender(
        settings.message, settings.mail, providers(settings, links.base, client), look, links, TicketKeys(keys)
    )


def providers(
    settings: WorkerSettings, base: str, client: redis.asyncio.Redis
) -> dict[MessageChannel, Sequence[Provider]]:
    """The providers that the settings name. A development site without any of a channel has its mailbox."""
    mail = settings.mail
    found: dict[MessageChannel, Sequence[Provider]] = {
        MAIL: [
            Smtp(name, url, mail, settings.brand.name, Pace(client, name, mail.per_second))
            for name, url in (("smtp", mail.url), ("smtp-fallback", mail.fallback_url))
            if url
        ],
        SMS: _sms(settings.sms, client),
        PUSH: _push(settings, base, client),
    }
    if not settings.site.production:
        found = {channel: chosen or [Mailbox()] for channel, chosen in found.items()}
    return found


def _sms(settings: SmsSettings, client: redis.asyncio.Redis) -> list[Provider]:
    urls = [(name, url) for name, url in (("sms", settings.url), ("sms-fallback", settings.fallback_url)) if url]
    if not urls:
        return []
    # The HTTP client takes longer to load than all that a mail needs, and a site that only mails needs none.
    from workers.messages.sms import Sms

    return [Sms(name, url, settings, Pace(client, name, settings.per_second)) for name, url in urls]


def _push(settings: WorkerSettings, base: str, client: redis.asyncio.Redis) -> list[Provider]:
    push = settings.push
    if not push.private_key:
        return []
    # As for SMS.
    from workers.messages.push import WebPush

    pace = Pace(client, WebPush.name, push.per_second)
    return [
        WebPush(push, f"mailto:{settings.mail.sender}", base, pace, public_only=settings.site.production),
    ]
