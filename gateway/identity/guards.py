"""The guards that routers carry: each requires a role and finds the subject that a handler is called with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from booking_lane import about
from gateway.identity.cookies import Role
from gateway.identity.sessions import Identity, Session
from gateway.wire.requests import AnyRequest

Arguments = Mapping[str, Any]
"""The other keyword arguments of a handler, for example ``data``, which is the body."""


PURCHASE_KEY: Final = "x-purchase-key"
"""The header with the key of a purchase's own link, which stands for the fan who bought it."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A role, and how the subject of a request is found.

    Args:
        parameter: the handler's keyword argument that takes the subject.
        subject: finds the subject; raises `ProblemError` for a request without the role.
    """

    role: Role
    parameter: str
    subject: Callable[[Identity, AnyRequest, Arguments], Any]


def _fan(identity: Identity, request: AnyRequest, _: Arguments) -> Session:
    return identity.fan(request)


def _ticket_holder(identity: Identity, request: AnyRequest, _: Arguments) -> Session:
    holder = identity.ticket_holder(request)
    if holder is None:
        return identity.fan(request)
    about.note(user_id=holder.user_id)
    return holder


def _purchase_fan(identity: Identity, request: AnyRequest, arguments: Arguments) -> Session:
    key = request.headers.get(PURCHASE_KEY)
    return identity.fan(request) if key is None else identity.fan_of_purchase(arguments["purchase_id"], key)


def _purchase_holder(identity: Identity, request: AnyRequest, arguments: Arguments) -> Session:
    has_key = PURCHASE_KEY in request.headers
    return (_purchase_fan if has_key else _ticket_holder)(identity, request, arguments)


def _fan_of_body(identity: Identity, request: AnyRequest, arguments: Arguments) -> int:
    return identity.user(request, arguments["data"].user_id)


def _job_owner(identity: Identity, request: AnyRequest, _: Arguments) -> int | None:
    return None if identity.open_auth else identity.fan(request).user_id


def _operator(identity: Identity, request: AnyRequest, _: Arguments) -> Session:
    return identity.operator(request)


FAN: Final = Guard("fan", "fan", _fan)
"""The handler takes ``fan``, a `Session`."""
FAN_OF_BODY: Final = Guard("fan", "user_id", _fan_of_body)
"""The handler takes ``user_id``, which the session and the body must agree on. Under open auth the body's suffices."""
TICKET_HOLDER: Final = Guard("fan", "holder", _ticket_holder)
"""The handler takes ``holder``, a `Session` that may have ended, and asks `gateway.booking.tickets`."""
PURCHASE_HOLDER: Final = Guard("fan", "holder", _purchase_holder)
"""As `TICKET_HOLDER` for the one purchase that the address names, whose key does as well."""
PURCHASE_FAN: Final = Guard("fan", "fan", _purchase_fan)
"""The handler takes ``fan``, a `Session`, of which the key of the purchase that the address names proves as much."""
JOB_OWNER: Final = Guard("fan", "owner_id", _job_owner)
"""The handler takes ``owner_id``, the session's user id. Under open auth it is None, and every job may be read."""
OPERATOR: Final = Guard("operator", "operator", _operator)
"""The handler takes ``operator``, a `Session`."""
