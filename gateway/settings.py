"""The settings that a gateway process takes: one field a component, each struct defined beside its component."""

from __future__ import annotations

import msgspec

from booking_lane.settings import HoldSettings, LaneSettings, RedisSettings
from db.edge.settings import EdgeSettings
from db.rooms.settings import RoomSettings
from db.search.index.settings import SearchIndexSettings
from db.settings import DatabaseSettings, SiteSettings
from gateway.accounts.settings import AccountSettings, OidcSettings
from gateway.booking.settings import ScanSettings, TicketSettings
from gateway.captcha.settings import CaptchaSettings
from gateway.hall.settings import HallSettings
from gateway.identity.settings import GuardSettings, OperatorSettings, SessionSettings
from gateway.line.settings import AutopilotSettings
from gateway.process.settings import EndingSettings
from gateway.programme.settings import EventSettings, PictureSettings
from gateway.search.settings import SearchSettings
from gateway.shops.settings import ShopSettings
from gateway.wire.settings import (
    BodySettings,
    ConnectionSettings,
    LimitSettings,
    MetricsSettings,
    ServedSettings,
    StreamSettings,
)
from messages.brand_settings import BrandSettings
from messages.settings import MailSettings, MessageSettings, PushSettings, SmsSettings
from payments.settings import PaymentSettings, StripeSettings
from tickets.settings import WalletSettings
from waiting_room.settings import LineSettings


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """``room`` is the room of a new event; ``event`` bounds the events that operators make."""

    site: SiteSettings
    db: DatabaseSettings
    redis: RedisSettings
    lane: LaneSettings
    hold: HoldSettings
    line: LineSettings
    room: RoomSettings
    autopilot: AutopilotSettings
    session: SessionSettings
    operator: OperatorSettings
    guard: GuardSettings
    account: AccountSettings
    oidc: OidcSettings
    captcha: CaptchaSettings
    limit: LimitSettings
    gateway: ServedSettings
    connection: ConnectionSettings
    metrics: MetricsSettings
    body: BodySettings
    stream: StreamSettings
    event: EventSettings
    hall: HallSettings
    picture: PictureSettings
    ticket: TicketSettings
    scan: ScanSettings
    brand: BrandSettings
    push: PushSettings
    ending: EndingSettings
    message: MessageSettings
    mail: MailSettings
    sms: SmsSettings
    wallet: WalletSettings
    payment: PaymentSettings
    edge: EdgeSettings
    stripe: StripeSettings
    search: SearchSettings
    shop: ShopSettings
    search_index: SearchIndexSettings
