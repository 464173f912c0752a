"""The application: its routes, the express way before them, and the services that they work with."""

from __future__ import annotations

import inspect
from typing import Any

from litestar import Litestar
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.plugins import PluginProtocol
from litestar.plugins.core import MsgspecDIPlugin
from litestar.routes import HTTPRoute

from gateway.branding.brand import brand_of
from gateway.build import build_services
from gateway.express import Express
from gateway.health.scrape import Scrape
from gateway.lifespan import lifespan
from gateway.pages import languages, look
from gateway.pages import routes as pages
from gateway.pages.data import PagesFromServices
from gateway.pages.problems import EVERYWHERE
from gateway.pages.schema import openapi_config
from gateway.routes import (
    account_identities,
    account_joins,
    account_passkeys,
    accounts,
    alarms,
    allotments,
    booking,
    codes,
    contacts,
    desk,
    draws,
    entries,
    factors,
    halls,
    health,
    invoices,
    lanes,
    line,
    networks,
    operator_accounts,
    operators,
    orders,
    payments,
    pictures,
    plans,
    programme,
    rooms,
    sessions,
    shops,
    takings,
    vouchers,
    waiting,
    webhooks,
)
from gateway.services import Services
from gateway.settings import GatewaySettings
from gateway.shops.asked import PATH as CHECKS_PATH
from gateway.wire import addresses, request_ids
from gateway.wire.bodies import StrictRequest
from gateway.wire.bounded_connection import STATE as CONNECTIONS_STATE
from gateway.wire.head import as_get
from gateway.wire.hosts import has_one_host
from gateway.wire.openapi import Details
from gateway.wire.path_parameters import require_canonical
from gateway.wire.problems import ProblemError, answer_to, invalid
from gateway.wire.served import Served
from gateway.wire.shared import name_keys_for
from gateway.wire.stream import serve


class Gateway(Litestar):
    """Litestar, with a shortcut for the most frequent requests (`gateway.express`), and with streams that outlast the
    call of the application (`gateway.wire.stream.serve`).
    """

    def __init__(self, site: addresses.PublicAddress, services: Services, served: Served, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._site = site
        self._served = None if served.is_all else served
        self._express = Express(self, services)
        self._checks = services.shop_checks
        self.services = services
        self.state["services"] = services

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        """Without Pydantic, which Litestar's own method loads, since typer brings it: a fifth of a gateway's start."""
        return [*plugins, MsgspecDIPlugin()]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope = addresses.enter(scope, self._site)
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                scope.setdefault("state", {})[CONNECTIONS_STATE] = self.services.connections
            await super().__call__(scope, receive, send)
            return
        serves = self._served is None or self._served.serves(languages.without_language(scope["path"]))
        if serves and scope["path"].startswith(CHECKS_PATH):
            # The check stands before each request of a shop, and does without all that comes below.
            await self._checks.answers(scope, send)
            return
        request_ids.begin(scope)
        if scope["method"] == "HEAD":
            scope, send = as_get(scope, send)
        scope = languages.enter(scope)
        if serves and await self._express.answers(scope, receive, send):
            return
        if not has_one_host(scope):
            await self._refuse(scope, receive, send, invalid("a request names exactly one host", "Host"))
        elif not serves:
            await self._refuse(scope, receive, send, ProblemError("not_served_here"))
        else:
            await serve(self._through_litestar, scope, receive, send)

    async def _refuse(self, scope: Any, receive: Any, send: Any, problem: ProblemError) -> None:
        scope["app"] = scope["litestar_app"] = self
        request = StrictRequest(scope, receive, send)
        answer = answer_to(request, problem).to_asgi_response(None, request)
        await answer(scope, receive, self.services.traffic.watch(scope, send))

    async def _through_litestar(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__(scope, receive, self.services.traffic.watch(scope, send))


def _handlers(*modules: Any) -> list[HTTPRouteHandler]:
    """The handlers of all routers of these modules of `gateway.routes`, in their order."""
    return [handler for module in modules for router in module.ROUTERS for handler in router.handlers]


def _details() -> dict[str, Details]:
    """By the name of each operation: what its router adds to the description that its types give."""
    modules = (
        sessions,
        accounts,
        account_passkeys,
        account_identities,
        account_joins,
        operators,
        operator_accounts,
        factors,
        halls,
        line,
        contacts,
        draws,
        booking,
        waiting,
        payments,
        rooms,
        programme,
        plans,
        pictures,
        webhooks,
        alarms,
        codes,
        vouchers,
        takings,
        allotments,
        orders,
        invoices,
        networks,
        lanes,
        desk,
        entries,
        shops,
        health,
    )
    return {
        name: details for module in modules for router in module.ROUTERS for name, details in router.details.items()
    }


def _allow_all_methods(app: Litestar) -> None:
    """Have the answer to OPTIONS name all methods of a path. Where several handlers share a path, Litestar keeps the
    answer of the first one's route, which names that one's methods alone (`HTTPRoute.create_options_handler`).
    """
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            answers, _ = route.route_handler_map["OPTIONS"]
            inspect.getclosurevars(answers.fn).nonlocals["self"].methods = route.methods


def create_app(settings: GatewaySettings) -> Litestar:
    """The ASGI application of one gateway process."""
    services = build_services(settings)
    look.wear(brand_of(settings.brand), all_at_once=settings.site.production)
    look.offer_accounts(services.accounts.has_passwords or (services.accounts.is_offered and bool(services.issuers)))
    name_keys_for(settings.edge.provider)
    require_canonical()
    site = addresses.PublicAddress.of(settings.site.public_url or "/")
    # Below a path the host is not ours alone, and another site there may be served without TLS.
    if settings.site.production and settings.connection.hsts_seconds and not site.root:
        look.keep_to_tls(settings.connection.hsts_seconds)
    app = Gateway(
        site,
        services,
        Served.of(settings.gateway.serve, settings.gateway.events),
        route_handlers=[
            *_handlers(
                sessions,
                accounts,
                account_passkeys,
                account_identities,
                account_joins,
                operators,
                factors,
                halls,
                line,
                contacts,
                draws,
                booking,
                waiting,
                payments,
                rooms,
            ),
            programme.router(settings.event.bytes_max),
            plans.router(settings.event.bytes_max),
            pictures.router(settings.picture.bytes_max),
            *pictures.public.handlers,
            *_handlers(
                webhooks,
                alarms,
                codes,
                vouchers,
                takings,
                allotments,
                orders,
                invoices,
                desk,
                entries,
                networks,
                lanes,
                operator_accounts,
                shops,
                health,
            ),
            pages.pages_router(),
        ],
        dependencies={"pages": Provide(lambda: PagesFromServices(services), sync_to_thread=False)},
        exception_handlers=EVERYWHERE,
        request_class=StrictRequest,
        logging_config=None,
        lifespan=[lifespan, *([look.assets.making_brotli] if settings.site.production else [])],
        request_max_body_size=settings.body.bytes_max,
        openapi_config=openapi_config(_details(), settings.limit.seats_per_request_max, site.origin + site.root),
    )
    _allow_all_methods(app)
    app.state["scrape"] = Scrape(
        traffic=services.traffic,
        loop_lag=services.loop_lag,
        readiness=services.readiness,
        stream_slots=services.stream_slots,
        connections=services.connections,
        engine=services.engine,
        old_reads=services.old_reads,
        reader=services.reader,
        small_reads=services.small_reads,
        desk=services.desk,
        sign_ins=services.sign_in.outcomes,
        fan_sign_ins=services.accounts.outcomes,
        jobs=services.jobs,
        searches=services.catalogue.answered,
        search_index=services.search_index,
        read_rooms=services.figures.most_watched,
    )
    return app
