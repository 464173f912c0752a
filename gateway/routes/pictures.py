"""Pictures of events and hall plans: operators upload them, everybody may see them."""

from __future__ import annotations

from typing import Annotated, Final

from litestar import Response
from litestar.params import Parameter

from db.operators.roles import OWNER
from gateway.contract.pictures import PictureAnswer
from gateway.identity.needs import somewhere
from gateway.identity.sessions import Session
from gateway.programme.pictures import FORMATS
from gateway.routes.routers import operator_router, operators_only, public_router
from gateway.services import services_of
from gateway.wire.addresses import below
from gateway.wire.bodies import StrictRequest
from gateway.wire.negotiation import field, has_already
from gateway.wire.problems import ProblemError
from gateway.wire.requests import AnyRequest
from gateway.wire.routers import OnceRouter

operators = operator_router("pictures")
public = public_router("pictures")

# The schema says nothing: any bytes may be told that they are no picture.
PICTURE: Final = {"required": True, "content": {media_type: {"schema": {}} for media_type in FORMATS}}
Whole = Annotated[bool, Parameter(query="whole", description="keep the picture's own shape, for a hall plan")]
HEADERS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    # Share previews and other sites of the organiser may show it.
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


@operators.post(
    "/api/ops/pictures",
    refuses=("invalid_request", "body_too_large", "unsupported_media_type", "picture_refused", "overloaded"),
    body=PICTURE,
    needs=somewhere(OWNER),
)
async def upload(request: AnyRequest, operator: Session, whole: Whole = False) -> PictureAnswer:
    """Upload a picture (JPEG, PNG or WebP), which can then be given to events. It is cut to 16:9 and written anew.

    With ``whole`` it keeps its shape, to stand behind a hall plan as the plan's ``picture``.
    """
    services = services_of(request)
    assert isinstance(request, StrictRequest)
    if request.content_type[0] not in FORMATS:
        raise ProblemError("unsupported_media_type", f"Send a picture with a Content-Type of {', '.join(FORMATS)}.")
    forms = await services.pictures.forms(await request.body(), whole=whole)
    await services.programme.keep_picture(forms)
    address = below(f"/pictures/{forms.hash}")
    return PictureAnswer(
        hash=forms.hash,
        width=forms.width,
        height=forms.height,
        href=f"{address}.webp",
        small_href=f"{address}-small.webp",
        card_href=f"{address}-card.jpg",
    )


@public.get("/pictures/{name:str}", include_in_schema=False)
async def picture(request: AnyRequest, name: str) -> Response[bytes]:
    """A picture in one of its forms. Its name is a hash of it, so that a browser may keep it for ever."""
    tag = f'"{name}"'
    found = await services_of(request).picture_files.read(name)
    if found is None:
        raise ProblemError("not_found")
    headers = HEADERS | {"ETag": tag}
    if has_already(field(request, "if-none-match"), tag):
        return Response(b"", status_code=304, headers=headers, media_type=found[1])
    return Response(found[0], media_type=found[1], headers=headers)


def router(body_bytes_max: int) -> OnceRouter:
    """The operators' route, which takes larger bodies than a fan's."""
    return OnceRouter(
        path="/", route_handlers=operators.handlers, guards=[operators_only], request_max_body_size=body_bytes_max
    )


ROUTERS = (public, operators)
