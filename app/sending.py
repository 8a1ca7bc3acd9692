"""What is sent to a browser is written at once, not one piece a turn of the server's loop.

Bokeh waits after each of the three pieces of each message, and keeps the page for itself meanwhile.
Where many visitors are heard, a turn takes long, and one answer is some ten messages. What the
system takes at once need not be waited for; a browser that reads slowly is.
"""

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

from bokeh.protocol.message import Message
from bokeh.server.views.ws import WSHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

log = logging.getLogger(__name__)


def send_at_once() -> None:
    """Have Bokeh do so, in all of this process."""
    WSHandler.send_message = _send  # type: ignore[method-assign]


async def _send(self: WSHandler, message: Message[Any]) -> None:
    """All of a message, no other's pieces between; waits only for what the system did not take."""
    with await self.write_lock.acquire():
        try:
            written = [
                WebSocketHandler.write_message(self, piece, binary=isinstance(piece, bytes))
                for piece in _pieces(message)
            ]
        except WebSocketClosedError:
            log.info("a visitor went before all was sent")
            return
        everything = asyncio.gather(*written, return_exceptions=True)
        if self.ws_connection is not None and self.ws_connection.stream.writing():
            await everything


def _pieces(message: Message[Any]) -> Iterator[str | bytes]:
    yield from (message.header_json, message.metadata_json, message.content_json)
    for buffer in message._buffers:
        yield json.dumps(buffer.ref)
        yield buffer.to_bytes()
