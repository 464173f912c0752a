"""Makes the services of a gateway process and gives each the ones that it needs."""

from __future__ import annotations

import time
from functools import partial
from typing import Final

from booking_lane.clients import async_client, jobs_client
from db.connections.engines import create_engine
from db.connections.old_reads import OldReads
from db.connections.small_reads import SmallReads
from db.sealing.keyring import Keyring, use
from gateway.accounts.accounts import Accounts
from gateway.accounts.bringing import Bringing
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
from gateway.captcha.providers import build_captcha
from gateway.contacts.contacts import Contacts
from gateway.hall.access import HallAccess
from gateway.hall.glances import Glances
from gateway.hall.halls import Halls
from gateway.hall.pictures import PictureFiles
from gateway.hall.plans import HallPlans
from gateway.hall.proposals import HallProposals
from gateway.health.knocks import Knocks
from gateway.health.metrics import Traffic
from gateway.health.readiness import Readiness
from gateway.identity.account_sessions import EndedSessions
from gateway.identity.devices import Devices
from gateway.identity.keys import SiteKeys
from gateway.identity.limits import RateLimits
from gateway.identity.networks import Networks
from gateway.identity.operators import OperatorSessions
from gateway.identity.origins import Origins
from gateway.identity.passkeys import Passkeys
from gateway.identity.sessions import Identity
from gateway.identity.sightings import Sightings
from gateway.identity.sign_in import SignIn
from gateway.identity.suspicions import Suspicions
from gateway.identity.totp import Authenticators
from gateway.line.admission import Admission
from gateway.line.alerts import Alerts
from gateway.line.autopilot import Autopilot
from gateway.line.codes import AccessCodes, CodeIssues
from gateway.line.counts import Counts
from gateway.line.door import Door
from gateway.line.draws import Draws
from gateway.line.figures import RoomFigures
from gateway.line.finding import Finding
from gateway.line.help import FanHelp
from gateway.line.history import History
from gateway.line.joining import Joining
from gateway.line.moving import Moving
from gateway.line.passes import Passes
from gateway.line.patience import Patience
from gateway.line.places import Places
from gateway.line.receipts import PublicDraws, Receipts
from gateway.line.registry import RoomRegistry
from gateway.line.restoring import Restoring
from gateway.line.steps import Steps
from gateway.line.streams import LineStreams
from gateway.process.clock import Clock
from gateway.programme.pictures import Pictures
from gateway.programme.programme import Programme
from gateway.search.cached import CachedCatalogue
from gateway.search.catalogue import Catalogue, SearchIndex
from gateway.search.held import HeldCatalogue
from gateway.search.memory import MemoryCatalogue
from gateway.search.postgres import PostgresCatalogue
from gateway.services import Services
from gateway.settings import GatewaySettings
from gateway.shops.check import ShopChecks
from gateway.shops.probing import ShopProbes
from gateway.wire.connection_counts import Connections
from gateway.wire.proxies import TrustedProxies
from gateway.wire.served import Served, SitePart
from gateway.wire.stream_slots import StreamSlots
from messages.links import LinkTokens
from messages.look import Look
from tickets.keys import TicketKeys
from tickets.links import TicketLinks
from tickets.wallets import Wallets
from waiting_room.keys import suspects_key
from waiting_room.line import Line
from waiting_room.open_passes import OpenPasses
from waiting_room.shop_figures import ShopFigures
from waiting_room.shop_passes import ShopPasses
from waiting_room.tickers import Tickers
from waiting_room.tokens import PLACE_TOKEN_SECONDS, Tokens

REDIS_CONNECTIONS_MAX: Final = 32


def build_services(settings: GatewaySettings) -> Services:
    """The services of one process; none of them is connected yet."""
    use(Keyring.of(settings.site))
    engine = create_engine(settings.db.url, settings.db.pool_max)
    small_reads = SmallReads(settings.db.url, "admitone-gateway", settings.db.reader_pool_max)
    line_redis = async_client(settings.redis.line, connections_max=REDIS_CONNECTIONS_MAX)
    jobs = async_client(settings.redis.jobs, connections_max=REDIS_CONNECTIONS_MAX)
    old_reads = OldReads(engine, settings.db)
    halls = Halls(engine, old_reads, settings.hall)
    clock = Clock(line_redis)
    keys = SiteKeys(small_reads, settings.site.secret)
    ring = keys.ring
    tokens = Tokens(ring, place_seconds=PLACE_TOKEN_SECONDS, hold_seconds=settings.hold.seconds, now=clock.now)
    line = Line(line_redis)
    rooms = RoomRegistry(engine, line, settings.line)
    counts = Counts(engine, line, rooms, settings.hold.grace_seconds)
    places = Places(rooms, tokens, clock.now_of)
    restoring = Restoring(engine, line, rooms, settings.hold.seconds)
    passes = Passes(tokens, secure=settings.site.production)
    seen = Sightings(line_redis, clock.now)
    limits = RateLimits(line_redis, seen)
    origins = Origins(settings.guard.asn_database, settings.guard.country_database)
    networks = Networks(engine, clock.moment, seen, origins)
    moving = Moving(line, restoring, limits, settings.limit.moves_per_minute)
    finding = Finding(line, rooms, counts, restoring, moving, halls)
    codes = AccessCodes(engine, line_redis, ring, settings.limit.wrong_codes_per_minute)
    signing = ring if settings.site.secret else ""
    captcha = build_captcha(settings.captcha, line_redis, clock.now, process_secret=signing)
    ended = EndedSessions(small_reads, clock.now)
    identity = Identity(
        ring,
        session_seconds=settings.session.seconds,
        open_auth=settings.session.open_auth,
        secure=settings.site.production,
        now=clock.now,
        ended=ended,
    )
    ticket_keys = TicketKeys(ring, texts_max=settings.ticket.texts_max)
    link_tokens = LinkTokens(ring, now=clock.now)
    contacts = Contacts(
        engine,
        limits,
        link_tokens,
        settings.mail,
        settings.sms,
        in_development=not settings.site.production,
        per_minute=settings.limit.contacts_per_minute,
    )
    tickers = Tickers(line_redis)
    line_streams = LineStreams(line, rooms, counts, places, restoring, lambda: tickers.all_read_lists)
    ended.on_ended(line_streams.end_session)
    desk = Desk(settings.lane, engine, jobs)
    tickets = Tickets(halls, identity)
    draws = PublicDraws(engine, old_reads, rooms, counts, places)
    receipts = Receipts(line, draws)
    figures = RoomFigures(rooms, counts, halls, Glances(halls, old_reads, small_reads), desk, jobs)
    authenticators = Authenticators(ring, clock.now)
    traffic = Traffic()
    shop_figures = ShopFigures(line_redis)
    searched, search_index, search_memory = _searched(settings, old_reads)
    cached = CachedCatalogue(searched, line_redis, settings.search)
    catalogue = HeldCatalogue(search_memory, cached, settings.search)
    issuers = Issuers(settings.oidc, https_only=settings.site.production, now=clock.now)
    bringing = Bringing(engine, line, rooms, moving, settings.account.rooms_moved_max)
    accounts = Accounts(
        engine,
        line_redis,
        ring,
        settings.account,
        limits=limits,
        contacts=contacts,
        bringing=bringing,
        ended=ended,
        tokens=link_tokens,
        account_token=identity.account_token,
        links_per_minute=settings.limit.contacts_per_minute,
        now=clock.now,
    )
    return Services(
        settings=settings,
        engine=engine,
        small_reads=small_reads,
        old_reads=old_reads,
        line_redis=line_redis,
        jobs=jobs,
        clock=clock,
        keys=keys,
        identity=identity,
        operators=OperatorSessions(engine, settings.operator.needing_factor),
        sign_in=SignIn(engine, line_redis, ring, settings.operator.wrong_per_minute, authenticators, clock.now),
        authenticators=authenticators,
        passkeys=Passkeys(line_redis),
        ended_sessions=ended,
        accounts=accounts,
        issuers=issuers,
        linking=Linking(engine, ring, issuers, mails=contacts.takes_mail, now=clock.now),
        merging=Merging(engine, ring, accounts, bringing, ended, now=clock.now),
        captcha=captcha,
        reader=Reader(small_reads, grace_seconds=settings.hold.grace_seconds, ticket_keys=ticket_keys),
        payments=Payments(engine, desk.waiters, settings.payment, settings.stripe, settings.site.secret),
        tickets=tickets,
        check_in=CheckIn(settings.db.url, engine, halls, ticket_keys, settings.scan),
        halls=halls,
        hall_access=HallAccess(halls, identity),
        hall_plans=HallPlans(old_reads),
        hall_proposals=HallProposals(old_reads),
        catalogue=catalogue,
        search_index=search_index,
        search_memory=search_memory,
        limits=limits,
        connections=Connections(settings.connection, TrustedProxies.of(settings.connection.trusted_proxies)),
        stream_slots=StreamSlots(settings.stream),
        line=line,
        rooms=rooms,
        door=Door(line, rooms, Draws(engine, line), tickers),
        counts=counts,
        places=places,
        passes=passes,
        open_passes=OpenPasses(ring),
        shop_checks=ShopChecks(
            line,
            line_redis,
            rooms,
            counts,
            restoring,
            limits,
            networks,
            ShopPasses(ring, clock.now),
            settings.limit,
            traffic,
            clock.now,
        ),
        shop_figures=shop_figures,
        shop_probes=ShopProbes(rooms, shop_figures, settings.shop, public_only=settings.site.production, now=clock.now),
        ticket_keys=ticket_keys,
        ticket_links=TicketLinks(ring),
        wallets=Wallets.of(settings.wallet),
        admission=Admission(line, rooms, restoring, passes),
        permits=Permits(line_redis, captcha, settings.limit, networks, seen),
        networks=networks,
        lane_office=LaneOffice(settings.db.url, partial(jobs_client, settings.redis.jobs), settings.lane.count),
        suspicions=Suspicions(
            seen,
            Sightings(line_redis, clock.now, suspects_key),
            networks,
            Devices(line_redis, time.monotonic),
            settings.guard,
            hold_seconds=settings.hold.seconds,
            now=time.monotonic,
        ),
        finding=finding,
        joining=Joining(
            finding,
            restoring,
            limits,
            codes,
            captcha,
            settings.limit,
            Patience(ring, clock.now),
            networks,
        ),
        restoring=restoring,
        codes=codes,
        desk=desk,
        figures=figures,
        history=History(line_redis, rooms, figures),
        draws=draws,
        receipts=receipts,
        help=FanHelp(engine, line, rooms, counts, receipts, places),
        code_issues=CodeIssues(engine, codes.hasher),
        vouchers=Vouchers(engine, line_redis, ring, settings.limit.wrong_codes_per_minute),
        line_streams=line_streams,
        readiness=Readiness(
            settings.db,
            settings.redis,
            lanes=lambda: desk.site_lanes.numbers,
            lane_count=settings.lane.count,
            streams_max=settings.stream.per_process_max,
            keys=ring,
            knocks=Knocks(jobs),
        ),
        autopilot=Autopilot(line, rooms, desk, shop_figures, settings.autopilot.p95_ms),
        steps=Steps(engine, rooms),
        programme=Programme(
            settings.db.url,
            settings.event.seats_max,
            settings.hold.cancel_until_hours,
            halls,
            line,
            rooms,
            catalogue.forget,
        ),
        pictures=Pictures(settings.picture),
        picture_files=PictureFiles(old_reads),
        alerts=Alerts(engine, settings.push.public_key),
        contacts=contacts,
        traffic=traffic,
        invoices=Invoices(
            engine,
            limits,
            Look.of(settings.brand),
            tickets.making_pdf,
            font=settings.mail.font,
            pdfs_per_minute=settings.limit.pdfs_per_minute,
        ),
        orders=Orders(
            engine,
            halls,
            contacts,
            limits,
            link_tokens,
            per_minute=settings.limit.contacts_per_minute,
            now=clock.moment,
        ),
    )


def _searched(
    settings: GatewaySettings, old_reads: OldReads
) -> tuple[Catalogue, SearchIndex | None, MemoryCatalogue | None]:
    """What answers searches, and the index or the memory that it is, if it is one."""
    postgres = PostgresCatalogue(old_reads, settings.search.bounds)
    if settings.search_index.is_used:
        # Elasticsearch's client is large.
        from gateway.search.indexed import IndexedCatalogue

        indexed = IndexedCatalogue.of(settings.search_index, old_reads, postgres)
        return indexed, indexed, None
    served = Served.of(settings.gateway.serve, settings.gateway.events).parts
    if settings.search.memory_events_max and served & {SitePart.PAGES, SitePart.SEARCH}:
        memory = MemoryCatalogue(
            old_reads,
            postgres,
            events_max=settings.search.memory_events_max,
            fresh_seconds=settings.search.fresh_seconds,
            bounds=settings.search.bounds,
        )
        return memory, None, memory
    return postgres, None, None
