"""One world for all machines, and a line that says how much was played."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.model.stage import World


@pytest.fixture(scope="session")
def world(server: "object", template: str) -> Iterator[World]:
    """A copy of the template in which the cast is registered."""
    admin_url: str = server.admin_url  # type: ignore[attr-defined]
    world = World(admin_url, f"{template}_world_{secrets.token_hex(4)}")
    asyncio.run(world.build(template))
    yield world
    asyncio.run(world.admin(f'DROP DATABASE "{world.name}" WITH (FORCE)'))


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all examples: the application stays in it."""
    with asyncio.Runner() as runner:
        yield runner


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what the machines played; the numbers travel with the reports, over workers too."""
    played: Counter[str] = Counter()
    for report in terminalreporter.stats.get("passed", []):
        for name, value in getattr(report, "user_properties", ()):
            if name.startswith("model: "):
                played[name] += value
    for name, value in sorted(played.items()):
        terminalreporter.write_line(f"{name} {value:,}")
