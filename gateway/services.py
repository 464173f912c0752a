"""What the routes work with, made once a process and found on the application's state."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final, cast

import redis.asyncio
from sqlalchemy.ext.asyncio import AsyncEngine

from db.connections.old_reads import OldReads
from db.connections.small_reads import SmallReads
from gateway.accounts.accounts import Accounts
from gateway.accounts.issuer import Issuers
from gateway.accounts.linking import Linking
from gateway.accounts.merging import Merging
from gateway.booking.check_in import CheckIn
from gateway.booking.desk import Desk
from gateway.booking.invoices import Invoices
from gateway.booking.lane_office import LaneOffice
from gateway.booking.orders import Orders
from gateway.booking.payments import Payments
from gateway.booking.permits import Permits
from gateway.booking.reader import Reader
from gateway.booking.tickets import Tickets
from gateway.booking.vouchers import Vouchers
from gateway.captcha.captcha import Captcha
from gateway.contacts.contacts import Contacts
from gateway.hall.access import HallAccess
from gateway.hall.halls import Halls
from gateway.hall.pictures import PictureFiles
from gateway.hall.plans import HallPlans
from gateway.hall.proposals import HallProposals
from gateway.health.loop_lag import LoopLag
from gateway.health.metrics import Traffic
from gateway.health.readiness import Readiness
from gateway.identity.account_sessions import EndedSessions
from gateway.identity.keys import SiteKeys
from gateway.identity.limits import RateLimits
from gateway.identity.networks import Networks
from gateway.identity.operators import OperatorSessions
from gateway.identity.passkeys import Passkeys
from gateway.identity.sessions import Identity
from gateway.identity.sign_in import SignIn
from gateway.identity.suspicions import Suspicions
from gateway.identity.totp import Authenticators
from gateway.line.admission import Admission
from gateway.line.alerts import Alerts
from gateway.line.autopilot import Autopilot
from gateway.line.codes import AccessCodes, CodeIssues
from gateway.line.counts import Counts
from gateway.line.door import Door
from gateway.line.figures import RoomFigures
from gateway.line.finding import Finding
from gateway.line.help import FanHelp
from gateway.line.history import History
from gateway.line.joining import Joining
from gateway.line.passes import Passes
from gateway.line.places import Places
from gateway.line.receipts import PublicDraws, Receipts
from gateway.line.registry import RoomRegistry
from gateway.line.restoring import Restoring
from gateway.line.steps import Steps
from gateway.line.streams import LineStreams
from gateway.process.clock import Clock
from gateway.programme.pictures import Pictures
from gateway.programme.programme import Programme
from gateway.search.catalogue import SearchIndex
from gateway.search.held import HeldCatalogue
from gateway.search.memory import MemoryCatalogue
from gateway.settings import GatewaySettings
from gateway.shops.check import ShopChecks
from gateway.shops.probing import ShopProbes
from gateway.wire.connection_counts import Connections
from gateway.wire.requests import AnyRequest
from gateway.wire.stream_slots import StreamSlots
from tickets.keys import TicketKeys
from tickets.links import TicketLinks
from tickets.wallets import Wallets
from waiting_room.limits import address_prefix
from waiting_room.line import Line
from waiting_room.open_passes import OpenPasses
from waiting_room.shop_figures import ShopFigures

LAST_OUTCOMES_SECONDS: Final = 1.0


@dataclass(slots=True, kw_only=True)
class Services:
    settings: GatewaySettings
    engine: AsyncEngine
    small_reads: SmallReads
    old_reads: OldReads
    line_redis: redis.asyncio.Redis
    jobs: redis.asyncio.Redis
    clock: Clock
    keys: SiteKeys
    identity: Identity
    operators: OperatorSessions
    sign_in: SignIn
    authenticators: Authenticators
    passkeys: Passkeys
    ended_sessions: EndedSessions
    accounts: Accounts
    issuers: Issuers
    linking: Linking
    merging: Merging
    captcha: Captcha
    reader: Reader
    payments: Payments
    orders: Orders
    invoices: Invoices
    tickets: Tickets
    check_in: CheckIn
    halls: Halls
    hall_access: HallAccess
    hall_plans: HallPlans
    hall_proposals: HallProposals
    catalogue: HeldCatalogue
    search_index: SearchIndex | None
    search_memory: MemoryCatalogue | None
    limits: RateLimits
    connections: Connections
    stream_slots: StreamSlots
    line: Line
    rooms: RoomRegistry
    door: Door
    autopilot: Autopilot
    steps: Steps
    counts: Counts
    places: Places
    passes: Passes
    open_passes: OpenPasses
    shop_checks: ShopChecks
    shop_figures: ShopFigures
    shop_probes: ShopProbes
    ticket_keys: TicketKeys
    ticket_links: TicketLinks
    wallets: Wallets
    admission: Admission
    permits: Permits
    networks: Networks
    lane_office: LaneOffice
    suspicions: Suspicions
    finding: Finding
    joining: Joining
    restoring: Restoring
    codes: AccessCodes
    desk: Desk
    line_streams: LineStreams
    figures: RoomFigures
    history: History
    draws: PublicDraws
    receipts: Receipts
    help: FanHelp
    code_issues: CodeIssues
    vouchers: Vouchers
    readiness: Readiness
    programme: Programme
    pictures: Pictures
    picture_files: PictureFiles
    alerts: Alerts
    contacts: Contacts
    traffic: Traffic
    loop_lag: LoopLag = field(default_factory=LoopLag)

    def begin_ending(self) -> None:
        """Report that the process is not ready: it has been asked to end."""
        self.readiness.stopping = True

    def say_farewell(self) -> None:
        """End every stream with `bye`. A request that waits for an outcome a second later is answered with the job as
        queued.
        """
        self.line_streams.end()
        self.halls.end_streams()
        asyncio.get_running_loop().call_later(LAST_OUTCOMES_SECONDS, self.desk.waiters.dismiss)


def services_of(request: AnyRequest) -> Services:
    scope: Any = request.scope
    return cast(Services, scope["litestar_app"].services)


def address(request: AnyRequest) -> str:
    client = request.scope["client"]
    return "" if client is None else client[0]


def network(request: AnyRequest) -> str:
    """The address prefix that the request counts with."""
    return address_prefix(address(request))
