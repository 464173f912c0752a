"""The settings of the worker's processes: one field for each component, whose struct stands beside the component."""

from __future__ import annotations

from typing import Annotated

import msgspec

from booking_lane.settings import HoldSettings, LaneSettings, RedisSettings
from db.edge.settings import EdgeSettings
from db.invoices.settings import InvoiceSettings
from db.search.index.settings import SearchIndexSettings
from db.settings import DatabaseSettings, Section, SiteSettings, bounded
from messages.brand_settings import BrandSettings
from messages.settings import AlarmSettings, MailSettings, MessageSettings, PushSettings, SmsSettings
from payments.settings import MollieSettings, PaymentSettings, StripeSettings
from waiting_room.settings import LineSettings
from workers.channels.webhooks.settings import WebhookSettings


class KeepSettings(Section, frozen=True, kw_only=True):
    """How long is kept what no other setting names; housekeeping carries it out."""

    place_hours: Annotated[
        int, bounded("how long it is kept that a place in line ended: as long as its token is valid", 168, 8760)
    ] = 168
    unconfirmed_hours: Annotated[
        int,
        bounded("how long a follower's address is kept that nobody confirmed, at most as long as its link", 24, 168),
    ] = 168
    answers_hours: Annotated[
        int, bounded("how long it is kept what a fan answered for a hold that was not bought", 2, 8760)
    ] = 24
    order_days: Annotated[
        int, bounded("how long names, addresses and answers of orders are kept after the event; 0: for good", 0, 36_500)
    ] = 365
    subscription_hours: Annotated[
        int, bounded("how long subscriptions to alerts are kept after the sale, which may be taken up again", 1, 8760)
    ] = 24
    network_hours: Annotated[
        int, bounded("how long a hold keeps the network that it was made from, which limits count by", 24, 26_280)
    ] = 2160
    invoice_years: Annotated[
        int, bounded("how long invoices say whom they are for, as the law of the seller's country wants", 1, 100)
    ] = 10
    log_days: Annotated[int, bounded("how long the log of operators' changes is kept; 0: for good", 0, 3660)] = 730


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    site: SiteSettings
    db: DatabaseSettings
    redis: RedisSettings
    lane: LaneSettings
    hold: HoldSettings
    webhook: WebhookSettings
    edge: EdgeSettings
    search_index: SearchIndexSettings
    message: MessageSettings
    mail: MailSettings
    sms: SmsSettings
    push: PushSettings
    brand: BrandSettings
    line: LineSettings
    alarm: AlarmSettings
    keep: KeepSettings
    payment: PaymentSettings
    stripe: StripeSettings
    mollie: MollieSettings
    invoice: InvoiceSettings

    @property
    def site_address(self) -> str:
        """Where fans find the site from outside. A development site that does not know its address is on this
        machine.
        """
        base = self.message.links or self.site.public_url
        return base if "://" in base else "http://127.0.0.1:8000" + base
