"""Starts servers and sends them load, each in a process of its own."""

import asyncio
import base64
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

_START_S_MAX = 30
_SCRIPTS = str(Path(__file__).resolve().parents[1])


class ServerError(Exception):
    """A server did not start, or did not answer as it should."""


@dataclass(frozen=True, slots=True)
class Server:
    """An application that runs in a process of its own.

    Attributes:
        first_answer_s: From the start of the process to its first answer.
        first_answer_cpu_s: The time of a core that the process had until then: the same, as far as
            it does not depend on who else wants the cores.
    """

    port: int
    pid: int
    first_answer_s: float
    first_answer_cpu_s: float

    @property
    def url(self) -> str:
        """Answer its address."""
        return f"http://127.0.0.1:{self.port}"

    def resident_bytes(self) -> int:
        """Answer how much memory it holds."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def serving(name: str, environment: Mapping[str, str], ready: str) -> AsyncIterator[Server]:
    """Run an application until the block ends.

    Args:
        name: What `serve.py` calls it.
        environment: Its settings.
        ready: A path that it answers once it is ready.
    """
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.serve",
        name,
        env={**os.environ, **environment, "PYTHONPATH": _SCRIPTS},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin is not None, "started with a pipe"
    assert process.stdout is not None, "started with a pipe"
    try:
        async with asyncio.timeout(_START_S_MAX):
            line = await process.stdout.readline()
            if not line:
                message = f"{name} did not start"
                raise ServerError(message)
            port = int(line)
            await _first_answer(port, ready)
            took_s = time.perf_counter() - began
            server = Server(port, process.pid, took_s, _cpu_s(process.pid))
        # What it prints from now on (its log) must be read, or it would block; nobody needs it.
        swallowing = asyncio.create_task(_swallow(process.stdout))
        yield server
    finally:
        process.stdin.close()
        await process.wait()
    await swallowing


def _cpu_s(pid: int) -> float:
    """Answer how much time of a core a process has had, its own and the kernel's for it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def _first_answer(port: int, path: str) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        while True:
            try:
                if (await client.get(path)).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.01)


async def _swallow(output: asyncio.StreamReader) -> None:
    while await output.read(1 << 16):
        pass


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back.

    Attributes:
        rate: Answers a second.
        statuses: How many of each status.
        taken_us: (place of the request, microseconds) in the order of the answers.
        bodies: By the place of the request, if kept, and of every refusal.
    """

    rate: float
    statuses: Mapping[str, int]
    taken_us: Sequence[tuple[int, int]]
    bodies: Mapping[int, str]

    def refused(self) -> str | None:
        """Describe a refusal, if there was one."""
        others = {status: count for status, count in self.statuses.items() if status[0] != "2"}
        if not others:
            return None
        return f"{others}: {next(iter(self.bodies.values()), '')[:200]}"


async def send(
    server: Server,
    requests: Iterable[bytes],
    *,
    connections: int,
    seconds_max: float,
    places: Sequence[int] | None = None,
    keep: bool = False,
) -> Answers:
    """Send requests from another process; each once, or in the order of `places`."""
    with tempfile.TemporaryDirectory() as directory:
        file, outcome = Path(directory) / "requests", Path(directory) / "outcome"
        content = b"\n".join(base64.b64encode(request) for request in requests)
        await asyncio.to_thread(file.write_bytes, content)
        order = {
            "port": server.port,
            "requests": str(file),
            "outcome": str(outcome),
            "connections": connections,
            "seconds_max": seconds_max,
            "places": places,
            "keep": keep,
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.load",
            env={**os.environ, "PYTHONPATH": _SCRIPTS},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(seconds_max + _START_S_MAX):
            _, errors = await process.communicate(json.dumps(order).encode())
        if process.returncode != 0:
            raise ServerError(errors.decode().strip()[-500:])
        found: dict[str, Any] = json.loads(await asyncio.to_thread(outcome.read_text))
    return Answers(
        rate=found["count"] / found["seconds"],
        statuses=found["statuses"],
        taken_us=[(place, took) for place, took in found["taken"]],
        bodies={int(place): body for place, body in found["bodies"].items()},
    )


def request(
    method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> bytes:
    """Write a request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body
