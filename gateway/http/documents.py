"""The documents that the API tells of itself: OpenAPI, AsyncAPI, and a page that people read. Made on first use."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec
from starlette.responses import HTMLResponse, Response

from gateway.http.docs_page import docs_page
from gateway.http.operation import JSON, Operation, declare
from gateway.http.pages import DOCS_PATH, page_headers
from gateway.papers.asyncapi import asyncapi
from gateway.papers.openapi import openapi

_STYLE: Final = Path(__file__).parent / "docs.css"
_FRESH: Final = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


class Documents:
    """The documents of one gateway.

    Attributes:
        operations: all of them, those of the documents among them.
    """

    def __init__(self, operations: Iterable[Operation]) -> None:
        self.operations = (
            *operations,
            declare("GET", "/openapi.json", self.read_openapi, tag="documents", counted=False),
            declare("GET", "/asyncapi.json", self.read_asyncapi, tag="documents", counted=False),
            declare("GET", DOCS_PATH, self.read_docs, tag="documents", counted=False, media_type="text/html"),
            declare(
                "GET", f"{DOCS_PATH}/style.css", self.read_style, tag="documents", counted=False, media_type="text/css"
            ),
        )

    async def read_openapi(self) -> Response:
        """Tell this API as an OpenAPI 3.1 document."""
        return Response(self._openapi, headers=_FRESH, media_type=JSON)

    async def read_asyncapi(self) -> Response:
        """Tell the WebSocket's messages as an AsyncAPI 3.0 document."""
        return Response(self._asyncapi, headers=_FRESH, media_type=JSON)

    async def read_docs(self) -> Response:
        """Show this API to people."""
        return HTMLResponse(self._docs, headers=page_headers(framed_by="'none'"))

    async def read_style(self) -> Response:
        """The style of that page."""
        return Response(_STYLE.read_bytes(), headers=_FRESH, media_type="text/css")

    @cached_property
    def _openapi(self) -> bytes:
        return msgspec.json.encode(openapi(self.operations))

    @cached_property
    def _asyncapi(self) -> bytes:
        return msgspec.json.encode(asyncapi())

    @cached_property
    def _docs(self) -> str:
        return docs_page(openapi(self.operations))
