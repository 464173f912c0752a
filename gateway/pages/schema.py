"""The API's published description as JSON and as a page: which types it names, and how the page is laid out."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from litestar import Request
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Server

from gateway.captcha.captcha import CaptchaOffer
from gateway.contract.lists import ANSWERS, BODIES, UNIONS
from gateway.pages.look import PAGE_HEADERS, templates
from gateway.wire.openapi import Details, complete
from gateway.wire.routers import OnceRouter

PARAMETER_EXAMPLES: Final = {"event_id": (1,), "eventId": (1,)}

PARTS: Final = (
    (
        "For fans",
        "`Authorization: Bearer TOKEN`, with a token of `POST /api/session`, or its cookie. What goes wrong is told as"
        " `application/problem+json` with a stable `code`.",
        "/api/",
    ),
    ("For operators", "The same, with a token of `POST /api/ops/session`.", "/api/ops/"),
    ("For balancers", "Of one gateway process each.", "/health/"),
    ("For shops beside this one", "Keys that verify the passes of admitted fans.", "/.well-known/"),
)
"""The page's parts: title, words, and how the paths begin that stand in them."""


def _part_of(path: str) -> str:
    return max((start, title) for title, _, start in PARTS if path.startswith(start))[1]


class _Description:
    """The description, completed once."""

    def __init__(self, details: Mapping[str, Details], seats_max: int) -> None:
        self._details = details
        self._seats_max = seats_max
        self._document: dict[str, Any] | None = None

    def of(self, openapi_schema: dict[str, Any]) -> dict[str, Any]:
        if self._document is None:
            types: tuple[type, ...] = (*BODIES, *ANSWERS, CaptchaOffer)
            document = complete(copy.deepcopy(openapi_schema), self._details, types, UNIONS, PARAMETER_EXAMPLES)
            schemas = document["components"]["schemas"]
            for body in BODIES:
                if body.EXAMPLES:
                    schemas[body.__name__]["examples"] = list(body.EXAMPLES)
                body.complete_schema(schemas[body.__name__], self._seats_max)
            for parameter in document["paths"]["/api/events/{event_id}/proposals"]["get"]["parameters"]:
                if parameter["name"] == "quantity":
                    parameter["schema"]["maximum"] = self._seats_max
            self._document = document
        return self._document


class _Json(JsonRenderPlugin):
    def __init__(self, description: _Description) -> None:
        super().__init__()
        self._description = description

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return super().render(request, self._description.of(openapi_schema))


class _Page(OpenAPIRenderPlugin):
    """The description as a plain page of ours. Litestar's readers load their scripts from elsewhere, which would run
    at the fans' own origin, and show nothing where there is no internet.
    """

    def __init__(self, description: _Description) -> None:
        super().__init__(path="/")
        self._description = description
        self._page = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        if not self._page:
            document = self._description.of(openapi_schema)
            template = templates.get_template("schema.html")
            self._page = template.render(document=document, parts=PARTS, part_of=_part_of).encode()
        return self._page


def openapi_config(details: Mapping[str, Details], seats_max: int, server: str) -> OpenAPIConfig:
    """The description at ``/schema/openapi.json`` and, to read, at ``/schema``.

    Args:
        details: of the operations, by their ids.
        seats_max: seats in one request.
        server: what stands before every path; empty for nothing.
    """
    description = _Description(details, seats_max)
    return OpenAPIConfig(
        title="Admit One",
        version="1",
        servers=[Server(url=server or "/")],
        use_handler_docstrings=True,
        openapi_router=OnceRouter(
            path="/schema", route_handlers=[], include_in_schema=False, response_headers=PAGE_HEADERS
        ),
        render_plugins=[_Page(description), _Json(description)],
        components=Components(
            security_schemes={
                "fan": SecurityScheme(
                    type="http", scheme="bearer", bearer_format="JWT", description="POST /api/session"
                ),
                "operator": SecurityScheme(
                    type="http", scheme="bearer", bearer_format="JWT", description="POST /api/ops/session"
                ),
            }
        ),
    )
