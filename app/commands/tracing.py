"""Commands that trace: back, forward, the way between two lots, what several have in common."""

import asyncio
import sys
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission import service as gate
from app.admission.rules import recognise
from app.certificate import service as certificates
from app.certificate.rules import UnknownCertificate
from app.commands.console import (
    AT_THE_TERMINAL,
    AsJson,
    ComplaintError,
    PublicUrl,
    answer,
    complaining,
    settings,
    table,
    with_books,
)
from app.core.clock import system_clock
from app.core.db import Database
from app.core.errors import Text
from app.core.settings import Settings
from app.lot import service as lots
from app.product.units import spell_mass
from app.signing import service as signing
from app.ticket import service as tickets
from app.ticket.rules import UnknownTicket
from app.trace import export
from app.trace import service as traces
from app.trace.rules import Direction
from app.trace.schemas import CommonSourceOut, PathOut, TracedParty, TraceOut

Reference = Annotated[
    str, typer.Argument(help="A lot's, ticket's or certificate's id, short code or address.")
]


def trace(
    reference: Reference,
    forward: Annotated[
        bool, typer.Option("--forward/--back", help="To every holder, or back to the sources.")
    ] = False,
    to: Annotated[
        str | None, typer.Option("--to", help="The ways from here to this younger lot instead.")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="Refuse a graph of more lots than this.")
    ] = traces.LOTS_MAX,
    lines: Annotated[
        bool, typer.Option("--lines", help="A graph of any size, as a stream of JSON lines.")
    ] = False,
    public_url: PublicUrl = None,
    as_json: AsJson = False,
) -> None:
    """Trace a lot or a ticket, any depth, with grams and shares."""
    with complaining(as_json):
        chosen = settings()
        direction = Direction.FORWARD if forward else Direction.BACK
        base_urls = public_url or [chosen.public_url]
        if lines:
            asyncio.run(_write_lines(chosen, reference, direction, base_urls))
            return
        if to is not None:
            way = with_books(lambda session: _way(session, reference, to, base_urls), chosen)
            answer(way.model_dump(mode="json"), as_json, lambda console: _tell_way(console, way))
            return

        async def work(session: AsyncSession) -> TraceOut:
            ticket, lot = await _named(session, reference, base_urls)
            if ticket is not None:
                return await traces.trace_ticket(
                    session, ticket, direction, caller=AT_THE_TERMINAL, limit=limit
                )
            assert lot is not None, "what is named is one of the two"
            return await traces.trace(
                session, [lot], direction, caller=AT_THE_TERMINAL, limit=limit
            )

        found = with_books(work, chosen)
        answer(found.model_dump(mode="json"), as_json, lambda console: _tell_trace(console, found))


def common_source(
    samples: Annotated[
        list[str], typer.Argument(help="Lots that failed: ids, or codes of certificates.")
    ],
    limit: Annotated[int, typer.Option("--limit", min=1, help="Entries of each list.")] = 10,
    public_url: PublicUrl = None,
    as_json: AsJson = False,
) -> None:
    """Say what several bad lots have in common: sources, producers and plots, ranked."""
    with complaining(as_json):
        chosen = settings()
        base_urls = public_url or [chosen.public_url]

        async def work(session: AsyncSession) -> CommonSourceOut:
            found = [await _named_lot(session, sample, base_urls) for sample in samples]
            return await traces.common_source(session, found, caller=AT_THE_TERMINAL, most=limit)

        found = with_books(work, chosen)
        answer(found.model_dump(mode="json"), as_json, lambda console: _tell_common(console, found))


async def _write_lines(
    chosen: Settings, reference: str, direction: Direction, base_urls: list[str]
) -> None:
    database = Database(chosen)
    try:
        async with database.reading() as session:
            ticket, lot = await _named(session, reference, base_urls)
            if ticket is not None:
                stream = await export.ticket(
                    session,
                    ticket,
                    direction,
                    caller=AT_THE_TERMINAL,
                    reader=database.reader(),
                )
            else:
                assert lot is not None, "what is named is one of the two"
                stream = await export.lots(
                    session,
                    [lot],
                    direction,
                    caller=AT_THE_TERMINAL,
                    reader=database.reader(),
                )
        async for part in stream:
            sys.stdout.write(part.decode())
    finally:
        await database.close()


async def _way(session: AsyncSession, start: str, end: str, base_urls: list[str]) -> PathOut:
    return await traces.path(
        session,
        await _named_lot(session, start, base_urls),
        await _named_lot(session, end, base_urls),
        caller=AT_THE_TERMINAL,
    )


async def _named_lot(session: AsyncSession, reference: str, base_urls: list[str]) -> UUID:
    _, lot = await _named(session, reference, base_urls)
    if lot is None:
        raise ComplaintError(
            Text("这是票据，不是批次", "This names a ticket, not a lot"),
            Text("请给出批次或合格证的编号", "Give the id of a lot, or of its certificate"),
            code="not-a-lot",
        )
    return lot


async def _named(
    session: AsyncSession, reference: str, base_urls: list[str]
) -> tuple[UUID | None, UUID | None]:
    """Find the ticket, or else the lot, that a reference names."""
    try:
        public_id = UUID(reference)
    except ValueError:
        return await _coded(session, reference, base_urls)
    try:
        await tickets.find(session, public_id)
    except UnknownTicket:
        pass
    else:
        return public_id, None
    try:
        certificate = await certificates.find(session, public_id)
    except UnknownCertificate:
        return None, public_id
    return None, await _lot(session, certificate.lot_id)


async def _coded(
    session: AsyncSession, reference: str, base_urls: list[str]
) -> tuple[UUID | None, UUID | None]:
    code = recognise(reference, base_urls)
    keyset = await signing.load_keyset(session)
    found, _ = await gate.examine(
        session, code, AT_THE_TERMINAL, verifier=keyset, now=system_clock()
    )
    if found.ticket is not None:
        return found.ticket.ticket.public_id, None
    if found.certificate is not None:
        return None, await _lot(session, found.certificate.lot_id)
    raise ComplaintError(
        Text("没有这张票据、合格证或批次", "No ticket, certificate or lot is named so"),
        Text("请核对编号、短码或网址", "Check the id, the short code or the address"),
        code="unknown-reference",
    )


async def _lot(session: AsyncSession, lot_id: int) -> UUID:
    return (await lots.states_by_id(session, [lot_id]))[lot_id].public_id


def _tell_trace(console: Console, found: TraceOut) -> None:
    console.print(
        table(
            Text("批次", f"Lots ({found.direction})"),
            ("depth", "lot", "product", "holder", "village", "made", "mass", "of it"),
            (
                (
                    node.depth,
                    node.lot,
                    node.product_name,
                    _name(node.holder),
                    node.village,
                    node.origin.value,
                    _mass(node.mass_g),
                    f"{_mass(node.share_g)} {node.share:.1%}",
                )
                for node in found.nodes
            ),
        )
    )
    if found.direction is Direction.BACK:
        console.print(
            table(
                Text("来源", "Sources"),
                ("village", "producer", "mass", "share"),
                (
                    (
                        source.village,
                        _name(source.producer),
                        _mass(source.mass_g),
                        f"{source.share:.1%}",
                    )
                    for source in found.sources
                ),
            )
        )
        return
    console.print(
        table(
            Text("持有人", "Holders"),
            ("holder", "roles", "received", "of it", "left"),
            (
                (
                    _name(holder.party),
                    ", ".join(holder.roles),
                    _mass(holder.received_g),
                    _mass(holder.exposed_g),
                    _mass(holder.remaining_g),
                )
                for holder in found.holders
            ),
        )
    )
    for way in found.in_transit:
        console.print(f"在途 · on its way: {_mass(way.mass_g)} → {_name(way.buyer)}")


def _tell_way(console: Console, way: PathOut) -> None:
    if not way.reaches:
        console.print("没有路径 · nothing of the one is in the other")
        return
    console.print(
        table(
            Text("最短路径", "The shortest way"),
            ("lot", "when", "holder", "product", "village"),
            (
                (
                    step.lot,
                    f"{step.occurred_at:%Y-%m-%d %H:%M}",
                    _name(step.holder),
                    step.product_name,
                    step.village,
                )
                for step in way.shortest
            ),
        )
    )
    console.print(
        f"占比 · share: {way.share:.1%}, {_mass(way.share_g)}; "
        f"途经 · lots on all ways: {len(way.nodes)}"
    )


def _tell_common(console: Console, found: CommonSourceOut) -> None:
    samples = len(found.samples)
    console.print(
        table(
            Text("共同来源", "Common sources"),
            ("in", "share", "lot", "producer", "product", "village"),
            (
                (
                    f"{each.reaches}/{samples}",
                    f"{each.share:.1%}",
                    each.node.lot,
                    _name(each.node.producer) if each.node.producer else None,
                    each.node.product_name,
                    each.node.village,
                )
                for each in found.sources
            ),
        )
    )
    for title, rows in (
        (
            Text("生产者", "Producers"),
            [(each.producer.name, each.reaches, each.share) for each in found.producers],
        ),
        (Text("地块", "Plots"), [(each.name, each.reaches, each.share) for each in found.plots]),
    ):
        console.print(
            table(
                title,
                ("in", "share", "name"),
                ((f"{reaches}/{samples}", f"{share:.1%}", name) for name, reaches, share in rows),
            )
        )


def _name(party: TracedParty | None) -> str:
    return "散客 · walk-in" if party is None else party.name


def _mass(mass_g: int | None) -> str:
    return "" if mass_g is None else spell_mass(mass_g).zh
