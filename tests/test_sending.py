"""Messages to browsers go out whole and at once, and wait for who reads slowly."""

import asyncio
import json
from types import SimpleNamespace

import numpy as np
import pytest
from bokeh.document import Document
from bokeh.models import ColumnDataSource
from bokeh.protocol import Protocol
from bokeh.protocol.receiver import Receiver
from bokeh.server.views.ws import WSHandler
from tornado.locks import Lock
from tornado.websocket import WebSocketClosedError

from lsm_app import sending


class Wire:
    """A connection that takes what is written at once, until it is `full`."""

    def __init__(self):
        self.pieces, self.waiting, self.full = [], [], False
        self.stream = SimpleNamespace(writing=lambda: self.full)

    def write_message(self, piece, binary=False):
        assert binary == isinstance(piece, bytes)
        self.pieces.append(piece)
        loop = asyncio.get_running_loop()
        taken = loop.create_future()
        if self.full:
            self.waiting.append(taken)
        else:
            loop.call_soon(taken.set_result, None)  # Tornado says so in the next turn
        return taken

    def is_closing(self):
        return False

    def read(self):
        for taken in self.waiting:
            taken.set_result(None)
        self.waiting, self.full = [], False


@pytest.fixture
def handler(monkeypatch):
    monkeypatch.setattr(WSHandler, "send_message", WSHandler.send_message)
    sending.send_at_once()
    made = WSHandler.__new__(WSHandler)
    made.write_lock, made.ws_connection = Lock(), Wire()
    return made


def message(number):
    """One with an array, which travels beside it."""
    doc, events = Document(), []
    source = ColumnDataSource({"x": np.arange(3)})
    doc.add_root(source)
    doc.on_change(events.append)
    source.data = {"x": np.full(1000, float(number))}
    return Protocol().create("PATCH-DOC", events)


def test_all_pieces_are_written_in_one_turn_and_put_together_again(handler):
    async def send():
        with pytest.raises(StopIteration):  # it gives the loop no turn
            handler.send_message(message(7)).send(None)
        receiver, found = Receiver(Protocol()), None
        for piece in handler.ws_connection.pieces:
            found = await receiver.consume(piece)
        return found

    found = asyncio.run(send())
    assert found.content["events"][0]["attr"] == "data"
    assert len(found.buffers) == 1
    assert np.frombuffer(found.buffers[0].to_bytes(), "float64")[0] == 7


def test_the_next_message_waits_while_the_browser_has_not_read_the_last(handler):
    wire = handler.ws_connection

    async def send():
        wire.full = True
        first = asyncio.create_task(handler.send_message(message(1)))
        second = asyncio.create_task(handler.send_message(message(2)))
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(wire.pieces) == 5
        wire.read()
        await asyncio.gather(first, second)

    asyncio.run(send())
    assert len(wire.pieces) == 10
    assert [json.loads(wire.pieces[i])["msgtype"] for i in (0, 5)] == ["PATCH-DOC"] * 2


def test_who_has_gone_is_sent_nothing_and_holds_up_nobody(handler):
    def closed(*_, **__):
        raise WebSocketClosedError

    handler.ws_connection.write_message = closed
    asyncio.run(handler.send_message(message(1)))
    handler.ws_connection = None
    asyncio.run(handler.send_message(message(1)))
    assert handler.write_lock._block._value == 1
