"""Sends requests over loopback from a process of its own, and measures each.

    python -m benchmarks.load < order.json

An order names the port, how many connections, a file of requests (each a line of Base64), in which
order they are sent, how many seconds that may take, and the file for the outcome. Every connection
sends its next request when the answer to its last one is complete.
"""

import asyncio
import base64
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

_HOST = "127.0.0.1"


class _Connection(asyncio.Protocol):
    """One client: sends, waits for the whole answer, sends again."""

    def __init__(self, run: "_Run") -> None:
        self._run = run
        self._parts: list[bytes] = []
        self._is_head = True
        self._missing_bytes = 0
        self._status = ""
        self._place = -1
        self._sent_at = 0
        self._transport: asyncio.Transport | None = None
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's derives from nothing

    def send_next(self) -> None:
        """Send the next request, or end."""
        assert self._transport is not None, "connected"
        self._place = self._run.next_place()
        if self._place < 0:
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)
            return
        self._sent_at = time.perf_counter_ns()
        self._transport.write(self._run.requests[self._place])

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer; when it is complete, take its time.

        Parts are counted and put together only where somebody wants to read them: what a client
        does with an answer is none of the server's time.
        """
        self._parts.append(data)
        self._missing_bytes -= len(data)
        if self._is_head:
            answer = data if len(self._parts) == 1 else b"".join(self._parts)
            end = answer.find(b"\r\n\r\n") + 4
            if end < 4:
                return
            _, named, size = answer[:end].lower().partition(b"\r\ncontent-length:")
            if not named:
                self.connection_lost(ValueError("an answer without a length"))
                return
            self._is_head = False
            self._status = answer[9:12].decode()
            self._missing_bytes = end + int(size.partition(b"\r\n")[0]) - len(answer)
        if self._missing_bytes <= 0:
            took_ns = time.perf_counter_ns() - self._sent_at
            self._run.note(self._place, took_ns, self._status, self._parts)
            self._parts = []
            self._is_head = True
            self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        """End; a connection that breaks is an error of the run."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server closed the connection"))


class _Run:
    """What all connections of a run share."""

    def __init__(self, order: dict[str, Any]) -> None:
        lines = Path(order["requests"]).read_bytes().splitlines()
        self.requests = [base64.b64decode(line) for line in lines]
        self._places: Iterator[int] = iter(order.get("places") or range(len(self.requests)))
        self._until = time.perf_counter() + order["seconds_max"]
        self._keep = order.get("keep", False)
        self.statuses: Counter[str] = Counter()
        self.taken: list[tuple[int, int]] = []
        self.bodies: dict[int, str] = {}

    def next_place(self) -> int:
        """Answer which request comes next; -1 when it is time to end."""
        return -1 if time.perf_counter() > self._until else next(self._places, -1)

    def note(self, place: int, took_ns: int, status: str, answer: list[bytes]) -> None:
        """Take an answer down."""
        self.statuses[status] += 1
        self.taken.append((place, took_ns // 1000))
        if self._keep or status[0] != "2":
            _, _, body = b"".join(answer).partition(b"\r\n\r\n")
            self.bodies[place] = body.decode(errors="replace")


async def send(order: dict[str, Any]) -> dict[str, Any]:
    """Carry an order out."""
    run = _Run(order)
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: _Connection(run), _HOST, order["port"]))[1]
        for _ in range(order["connections"])
    ]
    began = time.perf_counter()
    for client in clients:
        client.send_next()
    await asyncio.gather(*(client.done for client in clients))
    return {
        "seconds": time.perf_counter() - began,
        "count": len(run.taken),
        "statuses": run.statuses,
        "taken": run.taken,
        "bodies": run.bodies,
    }


if __name__ == "__main__":
    import uvloop

    wanted = json.load(sys.stdin)
    # To a file: an unbuffered standard output (PYTHONUNBUFFERED) loses the rest of a large write.
    Path(wanted["outcome"]).write_text(json.dumps(uvloop.run(send(wanted))))
