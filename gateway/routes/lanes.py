"""The lanes in which events are booked, as operators see and change them."""

from __future__ import annotations

from collections.abc import Awaitable

from booking_lane.lane_changes import LaneRefusedError
from booking_lane.lane_map import HandOversPendingError
from db.operators.roles import OWNER, VIEWER
from gateway.booking.lane_office import LanesSeen
from gateway.contract.lanes import LaneAnswer, LaneCountBody, LaneEvent, LaneList, MoveBody
from gateway.identity.needs import at_site
from gateway.identity.sessions import Session
from gateway.routes.routers import operator_router
from gateway.services import services_of
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest

operators = operator_router("lanes")

HAND_OVER_RETRY_SECONDS = 5
BODY_REFUSED = ("invalid_request", "lane_refused", "hand_over_pending", "body_too_large", "unsupported_media_type")


@operators.get("/api/ops/lanes", refuses=(), needs=at_site(VIEWER))
async def listed(request: AnyRequest) -> LaneList:
    """The lanes: whether each has a worker, its batches, and the events that were moved to it."""
    return _answer(await services_of(request).lane_office.seen())


@operators.put("/api/ops/lanes", refuses=BODY_REFUSED, needs=at_site(OWNER))
async def share(request: AnyRequest, operator: Session, data: LaneCountBody) -> LaneList:
    """Have so many lanes share the events from now on, in place of ``ADMITONE_LANES``, while they are sold. Each of
    them needs a worker first.
    """
    return await _changed(services_of(request).lane_office.share(data.count, operator.name))


@operators.post("/api/ops/lanes/moves", status_code=200, refuses=(*BODY_REFUSED, "unknown_event"), needs=at_site(OWNER))
async def move(request: AnyRequest, operator: Session, data: MoveBody) -> LaneList:
    """Move an event to a lane while it is sold: its bookings wait until the old lane has done what it was given. A lane
    from ``count`` on is for events that are moved there alone. The lane needs a worker first.
    """
    return await _changed(services_of(request).lane_office.move(data.event_id, data.lane, operator.name))


async def _changed(change: Awaitable[LanesSeen]) -> LaneList:
    try:
        return _answer(await change)
    except LookupError:
        raise ProblemError("unknown_event") from None
    except LaneRefusedError as error:
        raise ProblemError("lane_refused", f"{str(error)[0].upper()}{str(error)[1:]}.") from None
    except HandOversPendingError as error:
        raise ProblemError("hand_over_pending", str(error), retry_after_seconds=HAND_OVER_RETRY_SECONDS) from None


def _answer(seen: LanesSeen) -> LaneList:
    return LaneList(
        count=seen.sharing,
        revision=seen.revision,
        made_at=seen.made_at,
        made_by=seen.made_by,
        lanes=tuple(
            LaneAnswer(
                lane=one.lane,
                has_worker=one.has_worker,
                batches=one.batches,
                shares_events=one.shares,
                hands_over=one.hands_over,
                # An event that was deleted keeps its row of the map, and has no name.
                moved_here=tuple(LaneEvent(event_id=moved, name=seen.names.get(moved, "")) for moved in one.moved_here),
            )
            for one in seen.lanes
        ),
    )


ROUTERS = (operators,)
