"""The settings of the worker's processes: one field for each component, whose struct stands beside the component."""

from __future__ import annotations

import msgspec

from booking_lane.settings import HoldSettings, LaneSettings, RedisSettings
from db.settings import DatabaseSettings, SiteSettings
from messages.brand_settings import BrandSettings
from messages.settings import AlarmSettings, MailSettings, MessageSettings, PushSettings, SmsSettings
from waiting_room.settings import LineSettings
from workers.channels.webhooks.settings import WebhookSettings


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    site: SiteSettings
    db: DatabaseSettings
    redis: RedisSettings
    lane: LaneSettings
    hold: HoldSettings
    webhook: WebhookSettings
    message: MessageSettings
    mail: MailSettings
    sms: SmsSettings
    push: PushSettings
    brand: BrandSettings
    line: LineSettings
    alarm: AlarmSettings
