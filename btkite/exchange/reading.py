"""How a request is read: lines as long as Kite's longest, and JSON for what is no request at all."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from .door import refused
from .errors import Refusal

LONGEST = 128 * 1024
"""Bytes of a request line or a header. A thousand instruments of 25 letters are 40 KiB in a quote's URL."""


class Reader(web.RequestHandler):
    """One connection of HTTP."""

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """What could not be read or failed outside of every route, as Kite words an error."""
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is on its way already")
        if isinstance(exc, LineTooLong):
            refusal = Refusal(414, "InputException", f"The URL or a header is longer than {LONGEST} bytes.")
        elif status == 400:
            refusal = Refusal(400, "InputException", "The request is not HTTP.")
        else:
            self.log_exception("a request failed", exc_info=exc)
            refusal = Refusal(status, "GeneralException", "Something unexpected happened. Please try again.")
        response = refused(refusal)
        response.force_close()
        return response


def reader(server: web.Server, loop: asyncio.AbstractEventLoop) -> Reader:
    """The protocol of a new connection to ``server``; without an access log, which would hold the tokens of URLs."""
    quiet: Any = None  # aiohttp takes None, but its annotation does not say so
    return Reader(server, loop=loop, access_log=quiet, max_line_size=LONGEST, max_field_size=LONGEST)
