"""A visitor of the dashboard without a browser: says and hears what a browser would.

A page is fetched, its connection opened and its models are kept by name, so that many visitors cost
the machine little beside the server that is measured. What a browser draws costs the server nothing
and is left out.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bokeh.protocol import Protocol
from bokeh.protocol.receiver import Receiver
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect

LONGEST = 120.0  # seconds any answer may take
LARGEST = 2**30  # bytes of a message
READY = {
    "kind": "MessageSent",
    "msg_type": "bokeh_event",
    "msg_data": {"type": "event", "name": "document_ready", "values": {"type": "map"}},
}
# What changes with every click and shows nothing new.
UNSEEN = {"search", "busy", "busy_indicator", "loading", "active", "hash", "disabled"}

Event = Mapping[str, Any]


class Visitor:
    """One tab: `enter` it, `find` a model, `do` something with it and be answered, `leave`."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.models: dict[str, tuple[str, dict[str, Any]]] = {}
        self.errors: list[str] = []
        self.received = 0  # bytes
        self.said: Sequence[Event] = ()  # what was done last
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._protocol = Protocol()
        self._socket: WebSocketClientConnection | None = None
        self._listening: asyncio.Task[None] | None = None

    async def enter(self) -> float:
        """Open the page; seconds until it is on the screen. Errors: none comes (TimeoutError)."""
        began = time.perf_counter()
        page = await AsyncHTTPClient().fetch(self.address, request_timeout=LONGEST)
        token = re.search(r'"token":"([^"]+)"', page.body.decode())
        if token is None:
            raise ConnectionError(f"{self.address} is no page of the dashboard")
        socket = self.address.split("?")[0].replace("http", "ws", 1) + "/ws"
        self._socket = await websocket_connect(
            HTTPRequest(socket, connect_timeout=LONGEST, request_timeout=LONGEST),
            subprotocols=["bokeh", token.group(1)],
            max_message_size=LARGEST,
        )
        self._listening = asyncio.create_task(self._listen())
        await self._hear(lambda event: event["kind"] == "ACK")
        await self._say("PULL-DOC-REQ", {})
        await self._hear(lambda event: event["kind"] == "PULL-DOC-REPLY")
        await self._say("PATCH-DOC", {"events": [READY]})
        await self._hear(lambda event: event.get("attr") == "children")
        return time.perf_counter() - began

    async def leave(self) -> None:
        """Close the tab."""
        if self._socket is not None:
            self._socket.close()
        if self._listening is not None:
            await self._listening

    def find(self, kind: str, **attributes: Any) -> str:
        """The newest model whose name begins with `kind` and that has these attributes.

        Errors: there is none (LookupError).
        """
        for name, (found, known) in reversed(self.models.items()):
            if found.startswith(kind) and all(known.get(k) == v for k, v in attributes.items()):
                return name
        kinds = sorted({found for found, _ in self.models.values()})
        raise LookupError(f"no {kind} with {attributes} on the page; it has {kinds}")

    async def await_model(self, kind: str, **attributes: Any) -> str:
        """`find` it once it is on the page. Errors: it never comes (TimeoutError)."""
        while True:
            try:
                return self.find(kind, **attributes)
            except LookupError:
                await self._hear(lambda _: True)

    def maps(self) -> list[tuple[str, tuple[float, float], tuple[float, float]]]:
        """Plots in metres of a study area: the model, eastings and northings at first shown."""
        found = []
        for name, (kind, known) in self.models.items():
            ranges = [self._known(known.get(axis)) for axis in ("x_range", "y_range")]
            if kind == "Figure" and "easting" in json.dumps(ranges[0].get("tags", "")):
                x, y = ((shown["start"], shown["end"]) for shown in ranges)
                found.append((name, x, y))
        return found

    def _known(self, model: Any) -> dict[str, Any]:
        return self.models[model["id"]][1] if isinstance(model, dict) else {}

    def press(self, label: str) -> Event:
        """What pressing the button of this label says. Errors: there is none (LookupError)."""
        button = self.find("Button", label=label)
        for name, (_, known) in self.models.items():
            data = known.get("data")
            if isinstance(data, dict) and data.get("id") == button:
                shown = {"model": {"id": name}, "node": "click", "data": {"type": "map"}}
                said = {"name": "dom_event", "values": {"type": "map", "entries": [*shown.items()]}}
                return READY | {"msg_data": {"type": "event"} | said}
        raise LookupError(f"nothing shows the button {label}")

    async def do(self, *events: Event, seen: Callable[[Event], bool] | None = None) -> float:
        """Say what was done (`changed`, `zoomed`); seconds until something seen has changed.

        `seen` tells of an event from the server whether it answers; else any that is seen does.

        Errors: no answer (TimeoutError), the server went (ConnectionError).
        """
        while not self._events.empty():
            self._events.get_nowait()
        began = time.perf_counter()
        self.said = events
        await self._say("PATCH-DOC", {"events": events})
        await self._hear(seen or is_seen)
        return time.perf_counter() - began

    async def settle(self, quiet: float = 1.0) -> float:
        """Wait until nothing has come for `quiet` seconds; seconds until the last thing came."""
        began = last = time.perf_counter()
        while True:
            try:
                await asyncio.wait_for(self._events.get(), quiet)
                last = time.perf_counter()
            except TimeoutError:
                return last - began

    async def _say(self, kind: str, content: Mapping[str, Any]) -> None:
        header = self._protocol.create("PULL-DOC-REQ").header | {"msgtype": kind}
        if self._socket is None:
            raise ConnectionError("the page is not open")
        for part in (header, {}, content):
            await self._socket.write_message(json.dumps(part))

    async def _hear(self, wanted: Callable[[Event], bool]) -> None:
        try:
            async with asyncio.timeout(LONGEST):
                while not wanted(event := await self._events.get()):
                    if event["kind"] == "closed":
                        raise ConnectionError(f"{self.address}: the server closed the connection")
        except TimeoutError:
            words = f"{self.address}: no answer in {LONGEST:g} s to {self.said}"
            raise TimeoutError(f"{words}; the page has {len(self.models)} models") from None

    async def _listen(self) -> None:
        receiver = Receiver(self._protocol)
        while (fragment := await self._socket.read_message()) is not None:  # type: ignore[union-attr]
            self.received += len(fragment)
            message = await receiver.consume(fragment)
            if message is None:
                continue
            if message.msgtype == "ERROR":
                self.errors.append(str(message.content))
            for model in _objects(message.content):
                self.models[model["id"]] = model["name"], model.get("attributes", {})
            self._events.put_nowait({"kind": message.msgtype})
            for event in message.content.get("events", []):
                self._events.put_nowait(event)
        self._events.put_nowait({"kind": "closed"})


def changed(model: str, name: str, value: Any) -> Event:
    """A widget was set to another value."""
    return {"kind": "ModelChanged", "model": {"id": model}, "attr": name, "new": value}


def zoomed(plot: str, x: tuple[float, float], y: tuple[float, float]) -> Event:
    """A plot shows another part of the plane."""
    shown = {"model": {"id": plot}, "x0": x[0], "x1": x[1], "y0": y[0], "y1": y[1]}
    said = {"name": "rangesupdate", "values": {"type": "map", "entries": list(shown.items())}}
    return READY | {"msg_data": {"type": "event"} | said}


def is_seen(event: Event) -> bool:
    """Whether an event from the server changes what is on the screen."""
    changes = ("ModelChanged", "ColumnDataChanged", "ColumnsPatched", "ColumnsStreamed")
    return event["kind"] in changes and event.get("attr") not in UNSEEN


def _objects(content: Any) -> Iterator[dict[str, Any]]:
    """Models defined anywhere within a message."""
    if isinstance(content, dict):
        if content.get("type") == "object" and "id" in content:
            yield content
        for value in content.values():
            yield from _objects(value)
    elif isinstance(content, list):
        for value in content:
            yield from _objects(value)
