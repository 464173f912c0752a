"""Routers: each makes handlers for one role, with its guard, its problems and its operation ids.

A handler of `fan_router` or `operator_router` is only called for a subject of that role, and is given the subject where
it has a parameter of the guard's name (`gateway.identity.guards`). A route for operators says which role it needs, and
where (``needs``); the operator's session is confirmed by Postgres before (`gateway.identity.operators`).

The guard stands around the function itself, so that a call past Litestar's machinery (`gateway.express`) meets it too.
It is asked after the parameters and the body were read, as version 1 of the API has it: a malformed request is told so
(400) before it is asked for its session (401).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypedDict, Unpack

from litestar import HttpMethod
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler, route
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import Empty

from gateway.contract.values import ProblemAnswer
from gateway.identity.answers import Weighed
from gateway.identity.guards import FAN, OPERATOR, Guard
from gateway.identity.needs import UNDECLARED, Need
from gateway.identity.sessions import Session
from gateway.services import Services, address, services_of
from gateway.wire.openapi import Details, Fields, answers
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest

Function = Callable[..., Awaitable[Any]]
First = Callable[[Services, Mapping[str, Any]], None]
"""Called with the services and the handler's arguments before the guard; raises `ProblemError`."""

FAN_REFUSED: Final = ("unauthenticated", "session_invalid", "cross_site")
OPERATOR_REFUSED: Final = (*FAN_REFUSED, "not_operator", "not_your_role", "second_factor_needed", "unavailable")


class Options(TypedDict, total=False):
    """What a handler is made with, beside its path and methods.

    ``refuses``: the codes of the problems that it may answer with, beside its guard's. ``also``: further answers by
    their status. ``responses``: takes the place of both. ``guard``: takes the place of the router's, for the same role.
    ``first``: called before the guard. ``headers`` and ``body``: those that the handler reads by itself. ``links``:
    what an answer leads to, by its status; where the handler has several methods perhaps by one of them and the status,
    e.g. ``PUT 200``. ``needs``: the operator's role that the route needs; every route for operators declares one.
    ``weighed``: the step of a sale that its requests are counted as, and how suspicious ones may be answered.
    """

    refuses: Sequence[str]
    also: Mapping[int, type | None]
    responses: Mapping[int, ResponseSpec]
    guard: Guard
    needs: Need
    weighed: Weighed
    first: First
    headers: Sequence[Fields]
    links: Mapping[str, Mapping[str, Fields]]
    body: Fields
    status_code: int
    media_type: str
    include_in_schema: bool


class RoleRouter:
    """Decorators that make handlers, which it collects in ``handlers``; ``details`` describes them by operation id.

    Args:
        prefix: begins the operation ids, which are part of the published description.
        guard: None for handlers that anybody may call.
        refused: the codes of the guard's problems.
    """

    def __init__(self, prefix: str, guard: Guard | None = None, refused: tuple[str, ...] = ()) -> None:
        self.handlers: list[HTTPRouteHandler] = []
        self.details: dict[str, Details] = {}
        self._prefix = prefix
        self._guard = guard
        self._refused = refused

    def route(
        self, path: str, *, methods: Sequence[HttpMethod], **options: Unpack[Options]
    ) -> Callable[[Function], HTTPRouteHandler]:
        """A handler of several ``methods``."""
        guard = options.get("guard", self._guard)
        assert (guard and guard.role) == (self._guard and self._guard.role), "a guard of another role"
        responses = options.get("responses")
        if responses is None:
            codes = (*self._refused, *options.get("refuses", ()))
            responses = answers(codes, ProblemAnswer, also=options.get("also"))

        def make(function: Function) -> HTTPRouteHandler:
            handler = route(
                path,
                http_method=methods,
                status_code=options.get("status_code"),
                media_type=options.get("media_type"),
                operation_id=self._operation_id,
                responses=responses,
                security=None if guard is None else [{guard.role: []}],
                include_in_schema=options.get("include_in_schema", Empty),
                opt={"guard": guard, "needs": options.get("needs"), "weighed": options.get("weighed")},
            )(function if guard is None else guarded(function, guard, options))
            self.handlers.append(handler)
            for method in methods:
                self.details[self._operation_id(handler, method, ())] = _details(options, method)
            return handler

        return make

    def get(self, path: str, **options: Unpack[Options]) -> Callable[[Function], HTTPRouteHandler]:
        """A handler of GET, which answers 200 unless it is told otherwise."""
        return self.route(path, methods=[HttpMethod.GET], **options)

    def post(self, path: str, **options: Unpack[Options]) -> Callable[[Function], HTTPRouteHandler]:
        """A handler of POST, which answers 201 unless it is told otherwise."""
        return self.route(path, methods=[HttpMethod.POST], **options)

    def put(self, path: str, **options: Unpack[Options]) -> Callable[[Function], HTTPRouteHandler]:
        """A handler of PUT, which answers 200 unless it is told otherwise."""
        return self.route(path, methods=[HttpMethod.PUT], **options)

    def patch(self, path: str, **options: Unpack[Options]) -> Callable[[Function], HTTPRouteHandler]:
        """A handler of PATCH, which answers 200 unless it is told otherwise."""
        return self.route(path, methods=[HttpMethod.PATCH], **options)

    def delete(self, path: str, **options: Unpack[Options]) -> Callable[[Function], HTTPRouteHandler]:
        """A handler of DELETE, which answers 204 unless it is told otherwise."""
        return self.route(path, methods=[HttpMethod.DELETE], **options)

    def _operation_id(self, handler: HTTPRouteHandler, method: Any, _path: Any) -> str:
        """The prefix and the handler's name, then the method where there are several: bookingCheckoutPut."""
        words = handler.handler_name.split("_")
        if len(handler.http_methods) > 1:
            words.append(HttpMethod(method).value)
        return self._prefix + "".join(word.capitalize() for word in words)


def _details(options: Options, method: HttpMethod) -> Details:
    """What is said of one method of a handler."""
    links = {}
    for key, of_status in options.get("links", {}).items():
        *named, status = key.split()
        if named in ([], [method.value]):
            links[status] = of_status
    return Details(options.get("headers", ()), links, options.get("body"))


def public_router(prefix: str) -> RoleRouter:
    """Handlers that anybody may call."""
    return RoleRouter(prefix)


def fan_router(prefix: str) -> RoleRouter:
    """Handlers that take ``fan``, unless they name another guard."""
    return RoleRouter(prefix, FAN, FAN_REFUSED)


def operator_router(prefix: str) -> RoleRouter:
    """Handlers that take ``operator``."""
    return RoleRouter(prefix, OPERATOR, OPERATOR_REFUSED)


async def operators_only(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A guard of Litestar's, for large bodies: it is asked before the body is read."""
    services: Services = connection.app.state["services"]
    operator = services.identity.operator(connection)  # type: ignore[arg-type]
    await _confirmed(services, operator, handler.opt.get("needs"), connection.path_params)


async def _confirmed(
    services: Services, operator: Session, needs: Need | None, arguments: Mapping[str, Any]
) -> Session:
    """The operator with the roles that are in force, who may call the route with these arguments.

    Raises:
        ProblemError: ``session_invalid``, ``not_your_role``, ``second_factor_needed`` or ``unavailable``.
    """
    operator = await services.operators.confirmed(operator)
    (needs or UNDECLARED).check(operator, arguments)
    return operator


def weigh(services: Services, request: AnyRequest, subject: Session | int, weighed: Weighed) -> int:
    """Count the step of the fan, and return the fan's number. A form of a page calls this with what it stands for.

    Raises:
        ProblemError: ``conduct_refused``.
    """
    session = subject if isinstance(subject, Session) else None

    def rehearses() -> bool:
        found = session or services.identity.known(request)
        return found is not None and bool(found.rehearses)

    user_id = subject.user_id if isinstance(subject, Session) else subject
    has_account = session is not None and session.is_account
    services.suspicions.weigh(request, user_id, weighed, address(request), has_account=has_account, is_exempt=rehearses)
    return user_id


def guarded(function: Function, guard: Guard, options: Options) -> Function:
    """The function behind its guard. Litestar sees the parameters without the subject's."""
    first, needs, weighed = options.get("first"), options.get("needs"), options.get("weighed")
    name, subject = guard.parameter, guard.subject
    signature = inspect.signature(function)
    takes_subject = name in signature.parameters

    @functools.wraps(function)
    async def call(request: AnyRequest, **arguments: Any) -> Any:
        services = services_of(request)
        if first is not None:
            first(services, arguments)
        found = subject(services.identity, request, arguments)
        if guard.role == "operator":
            found = await _confirmed(services, found, needs, arguments)
        if takes_subject:
            arguments[name] = found
        if weighed is None:
            return await function(request, **arguments)
        user_id = weigh(services, request, found, weighed)
        try:
            return await function(request, **arguments)
        except ProblemError as refused:
            services.suspicions.refused(user_id, refused.document["code"], weighed.step)
            raise

    seen = [parameter for parameter in signature.parameters.values() if parameter.name != name]
    call.__signature__ = signature.replace(parameters=seen)  # type: ignore[attr-defined]
    call.__annotations__ = {key: hint for key, hint in function.__annotations__.items() if key != name}
    return call
