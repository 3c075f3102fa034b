"""Serves one application in this process, the same way for the floors and for us.

    python -m benchmarks.serve bare|framework|ours

Prints the port that the kernel chose, and serves until its standard input is closed: whatever
happens to the bench, nothing stays behind.
"""

import asyncio
import socket
import sys
from typing import Any

import uvicorn


def application(name: str) -> Any:
    """Build an application by its name."""
    if name == "ours":
        from app import server

        return server.application()
    from benchmarks import apps

    return {"bare": apps.bare, "framework": apps.framework}[name]


async def serve(name: str) -> None:
    """Serve until standard input ends."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.bind(("127.0.0.1", 0))
    listening.listen(2048)
    config = uvicorn.Config(
        application(name), http="httptools", ws="none", access_log=False, log_config=None
    )
    server = uvicorn.Server(config)
    print(listening.getsockname()[1], flush=True)
    running = asyncio.create_task(server.serve(sockets=[listening]))
    ended = asyncio.create_task(asyncio.to_thread(sys.stdin.buffer.read))
    await asyncio.wait({running, ended}, return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    await running


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(sys.argv[1]))
