"""Where the machines play: the real application on a database of its own, and what is in it."""

import base64
import contextlib
import io
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from fastapi import FastAPI
from PIL import Image
from pydantic import SecretStr
from sqlalchemy import make_url
from sqlalchemy.util import greenlet_spawn

from app.core.db import Database
from app.core.sealing import Vault
from app.core.settings import Settings
from app.main import create_app
from app.party import credentials
from app.party import service as parties
from app.party.access import NOT_FOR_KEYS, POLICY, RoleKind, audiences_of
from app.signing import service as signing
from app.signing.keys import IssuerClass
from app.trace.memory import Memory, memory_of
from tests.model.books import Books, Json


def drawn(number: int) -> bytes:
    """Draw a photo that no other number has."""
    written = io.BytesIO()
    Image.new("RGB", (64 + number % 512, 64 + number // 512 % 512)).save(written, "PNG")
    return written.getvalue()


START = datetime(2026, 6, 17, 20, tzinfo=UTC)  # four in the morning in Nantong
VILLAGE = "320682001001"
CAST = {
    "coop": RoleKind.COOP,
    "farmer": RoleKind.FARMER,
    "collector": RoleKind.COLLECTOR,
    "stall": RoleKind.STALL,
    "school": RoleKind.GROUP_BUYER,
    "office": RoleKind.REGULATOR,
}
PATHS = {
    "open": "/lots/{}",
    "certify": "/certificates/{}",
    "void_certificate": "/certificates/{}/void",
    "split": "/splits/{}",
    "merge": "/merges/{}",
    "transform": "/transforms/{}",
    "lose": "/losses/{}",
    "destroy": "/destructions/{}",
    "issue": "/tickets/{}",
    "decide": "/tickets/{}/decision",
    "void_ticket": "/tickets/{}/void",
    "hold": "/holds/{}",
    "release": "/holds/{}/release",
    "release_all": "/hold-releases/{}",
    "recall": "/recalls/{}",
    "acknowledge": "/recalls/{}",  # the subject names what is below the case
    "step": "/recalls/{}",
    "dispose": "/recalls/{}",
    "annul": "/recalls/{}",
    "close": "/recalls/{}/closure",
    "sample": "/samples/{}",
    "test": "/samples/{}",  # the subject names the test too
}


def uuid_of(number: int) -> str:
    """Number an id, so that the same example always says the same."""
    return str(UUID(int=(0x7 << 76) | (0b10 << 62) | number))


def settings_of(database_url: str) -> Settings:
    secret = base64.b64encode(bytes(range(32))).decode()
    return Settings(
        database_url=database_url,
        secret_key=SecretStr(secret),
        pool_size=8,
        log_level="CRITICAL",
    )


@dataclass
class World:
    """A database with the cast in it, to be copied for every example."""

    admin_url: str
    name: str
    ids: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    app: FastAPI | None = None
    books: Books = field(init=False)

    @property
    def copy(self) -> str:
        return f"{self.name}_copy"

    def url(self, name: str) -> str:
        return make_url(self.admin_url).set(database=name).render_as_string(hide_password=False)

    async def build(self, template: str) -> None:
        """Register the cast with a key each, in a copy of the template."""
        await self.admin(f'CREATE DATABASE "{self.name}" TEMPLATE "{template}" STRATEGY FILE_COPY')
        settings = settings_of(self.url(self.name))
        vault = Vault(settings.secret_bytes)
        owner, server = Database(settings, role="none"), Database(settings)
        async with owner.transaction() as session:
            await signing.create_key(
                session,
                vault=vault,
                now=START - timedelta(days=1),
                issuer_class=IssuerClass.TICKET,
                ttl_h_max=9000,
                publish_ahead_days=0,
            )
        async with server.transaction() as session:
            for number, (name, kind) in enumerate(CAST.items()):
                draft = parties.PartyDraft(
                    public_id=UUID(uuid_of(number)),
                    form="natural",
                    name=f"张{name}",
                    division_code="320682",
                )
                area = "320600" if kind is RoleKind.REGULATOR else None
                role = parties.RoleDraft(kind, date(2020, 1, 1), division_code=area)
                party, _ = await parties.register(
                    session, draft, [role], vault=vault, by=None, now=START
                )
                mine = audiences_of(frozenset({kind}))
                self.ids[name] = str(party.public_id)
                self.keys[name], _ = await credentials.make_key(
                    session,
                    public_id=UUID(uuid_of(number)),
                    party_id=party.id,
                    name="model",
                    # All that the policy knows: it is the role that must stop the wrong actor.
                    scopes=sorted(set(POLICY) - NOT_FOR_KEYS) if mine else [],
                    now=START,
                )
        await owner.close()
        await server.close()

    async def admin(self, *statements: str) -> None:
        connection = await asyncpg.connect(self.admin_url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    @contextlib.asynccontextmanager
    async def stage(self) -> AsyncIterator["Stage"]:
        """Open the application on a fresh copy.

        The application stays from example to example, and with it what it remembers of reference
        data (reading two thousand villages costs more than an example); connections do not.
        """
        await self.admin(f'CREATE DATABASE "{self.copy}" TEMPLATE "{self.name}" STRATEGY FILE_COPY')
        if self.app is None:
            self.app = create_app(settings_of(self.url(self.copy)), clock=lambda: self.books.now)
        self.books = Books(self.ids, START)
        database: Database = self.app.state.database
        reader = await asyncpg.connect(self.url(self.copy))
        try:
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="https://test") as client:
                yield Stage(self, client, reader)
        finally:
            await reader.close()
            pool = database.engine.sync_engine.pool
            await greenlet_spawn(pool.dispose)
            _forget(memory_of(pool))
            await self.admin(f'DROP DATABASE "{self.copy}" WITH (FORCE)')


def _forget(memory: Memory) -> None:
    """Let nothing of a database's lots be taken for those of the next one."""
    memory.lots.forget()
    memory.parties.forget()
    memory.roles.forget()
    memory.lot_words.forget()
    memory.edge_words.forget()


@dataclass
class Stage:
    """The application on a database of its own, the books it should keep, and what it holds."""

    world: World
    client: httpx.AsyncClient
    reader: "asyncpg.Connection[asyncpg.Record]"

    @property
    def books(self) -> Books:
        return self.world.books

    async def put(self, kind: str, actor: str, subject: str, body: Json) -> httpx.Response:
        headers = self._headers(actor)
        return await self.client.put(PATHS[kind].format(subject), json=body, headers=headers)

    async def take_photo(self, actor: str, photo: str) -> None:
        """Bring a photo that nobody has brought before."""
        answer = await self.client.put(
            f"/evidence/{photo}",
            content=drawn(UUID(photo).int & 0xFFFF),
            headers={**self._headers(actor), "content-type": "image/png"},
        )
        assert answer.status_code == HTTPStatus.CREATED, answer.text

    async def get(self, actor: str, path: str) -> httpx.Response:
        return await self.client.get(path, headers=self._headers(actor))

    def _headers(self, actor: str) -> dict[str, str]:
        known = actor in self.world.keys
        return {"authorization": f"Bearer {self.world.keys[actor]}"} if known else {}

    async def held(self) -> dict[str, Any]:
        """Read everything that the database holds, in the shape of `expected`."""
        found: dict[str, Any] = json.loads(await self.reader.fetchval(_EVERYTHING))
        for row in found["lots"].values():
            row["certificates"] = set(row["certificates"])
        for name in ("entries", "events"):
            found[name] = Counter({key: count for key, count in found[name].items() if count})
        return found


def expected(books: Books) -> dict[str, Any]:
    """Write the auditor's books in the shape of what the database holds."""
    return {
        "lots": {
            name: {
                **vars(lot),
                "certificates": set(lot.certificates),
                "made_on": lot.made_on.isoformat(),
            }
            for name, lot in books.lots.items()
        },
        "edges": {
            f"{src} {dst}": [grams, proof] for (src, dst), (grams, proof) in books.edges.items()
        },
        "certificates": {name: vars(paper) for name, paper in books.certificates.items()},
        "tickets": {
            name: {
                "kind": ticket.kind,
                "seller": ticket.seller,
                "buyer": ticket.buyer,
                "one_sided": ticket.one_sided,
                "lines": [list(line) for line in ticket.lines],
                "mass": sum(grams for _, grams in ticket.lines),
                "status": ticket.status,
                "draws": {
                    f"{draw.line} {draw.lot}": {
                        "grams": draw.grams,
                        "cover": draw.cover,
                        "accepted": draw.accepted,
                        "received": draw.received,
                        "returned": draw.returned,
                    }
                    for draw in ticket.draws
                },
            }
            for name, ticket in books.tickets.items()
        },
        "holds": {name: vars(hold) for name, hold in books.holds.items()},
        "recalls": {
            name: {
                "mock": recall.mock,
                "outcome": recall.outcome,
                "told": {party: by is not None for party, by in recall.told.items()},
                "lots": {
                    lot: {
                        key: value
                        for key, value in vars(scope).items()
                        if key not in {"held", "came_back"}
                    }
                    for lot, scope in recall.lots.items()
                },
            }
            for name, recall in books.recalls.items()
        },
        "samples": {
            name: {
                "lot": sample.lot,
                "grams": sample.grams,
                "status": sample.status,
                "hold": sample.hold,
                "tests": len(sample.readings),
            }
            for name, sample in books.samples.items()
        },
        "changes": sum(kind == "change" for kind, _ in books.done),
        "invited": len(books.invited),
        "entries": Counter(
            {f"{kind} {subject}": n for (kind, subject), n in books.entries.items()}
        ),
        "events": +books.events,
        "out of balance": {},
    }


# One statement, so that it is one state of the books. The last member asks each lot whether its
# own rows agree: what came in along edges, and what went out along edges and is on the way.
_EVERYTHING = """
SELECT json_build_object(
'lots', (SELECT coalesce(json_object_agg(l.public_id, json_build_object(
    'product', l.product_id, 'holder', h.public_id, 'producer', p.public_id, 'mixed', l.mixed,
    'supplier', s.public_id, 'origin', l.origin, 'mass', l.mass_g, 'left', b.remaining_g,
    'certified', b.certified_g, 'used', b.cover_used_g, 'holds', b.holds,
    'certificates', ARRAY(SELECT public_id FROM certificate WHERE id = ANY(l.certificate_ids)),
    'division', l.division_code, 'made_on', l.made_on)), '{}')
  FROM lot l JOIN lot_balance b ON b.lot_id = l.id AND b.produced_g = l.mass_g
  LEFT JOIN party h ON h.id = l.holder_id LEFT JOIN party p ON p.id = l.producer_id
  LEFT JOIN party s ON s.id = l.from_party_id),
'edges', (SELECT coalesce(json_object_agg(
    s.public_id || ' ' || d.public_id, json_build_array(e.mass_g, e.proof)), '{}')
  FROM lot_edge e JOIN lot s ON s.id = e.src JOIN lot d ON d.id = e.dst),
'certificates', (SELECT coalesce(json_object_agg(c.public_id, json_build_object(
    'lot', l.public_id, 'issuer', p.public_id, 'grams', c.mass_g,
    'covers', c.kind <> 'origin_proof', 'voided', v.certificate_id IS NOT NULL)), '{}')
  FROM certificate c JOIN lot l ON l.id = c.lot_id JOIN party p ON p.id = c.issuer_id
  LEFT JOIN certificate_void v ON v.certificate_id = c.id),
'tickets', (SELECT coalesce(json_object_agg(t.public_id, json_build_object(
    'kind', t.kind, 'seller', s.public_id, 'buyer', b.public_id,
    'one_sided', t.hand_over = 'one_sided', 'mass', t.mass_g, 'status', st.status,
    'lines', (SELECT json_agg(json_build_array(product_id, mass_g) ORDER BY no)
      FROM ticket_line WHERE ticket_id = t.id),
    'draws', (SELECT json_object_agg(d.line_no || ' ' || l.public_id, json_build_object(
        'grams', d.mass_g, 'cover', d.cover_g, 'accepted', r.accepted_g,
        'received', got.public_id, 'returned', back.public_id))
      FROM ticket_draw d JOIN lot l ON l.id = d.lot_id
      LEFT JOIN ticket_receipt r USING (ticket_id, line_no, lot_id)
      LEFT JOIN lot got ON got.id = r.received_lot_id
      LEFT JOIN lot back ON back.id = r.returned_lot_id
      WHERE d.ticket_id = t.id))), '{}')
  FROM ticket t JOIN ticket_state st ON st.ticket_id = t.id JOIN party s ON s.id = t.seller_id
  LEFT JOIN party b ON b.id = t.buyer_id),
'holds', (SELECT coalesce(json_object_agg(h.public_id, json_build_object(
    'lot', l.public_id, 'released', h.released_at IS NOT NULL)), '{}')
  FROM hold h JOIN lot l ON l.id = h.lot_id),
'recalls', (SELECT coalesce(json_object_agg(r.public_id, json_build_object(
    'mock', r.mock, 'outcome', r.outcome,
    'told', (SELECT coalesce(json_object_agg(p.public_id, n.acknowledged_at IS NOT NULL), '{}')
      FROM recall_notice n JOIN party p ON p.id = n.party_id WHERE n.recall_id = r.id),
    'lots', (SELECT json_object_agg(l.public_id, json_build_object(
        'on_hand', s.on_hand_g, 'transit', s.in_transit_g, 'passed', s.passed_on_g,
        'gone', s.gone_g, 'located', s.located_g, 'recovered', s.recovered_g,
        'destroyed', s.destroyed_g, 'consumed', s.consumed_g))
      FROM recall_lot s JOIN lot l ON l.id = s.lot_id WHERE s.recall_id = r.id))), '{}')
  FROM recall r),
'samples', (SELECT coalesce(json_object_agg(s.public_id, json_build_object(
    'lot', l.public_id, 'grams', s.mass_g, 'status', s.status, 'hold', h.public_id,
    'tests', (SELECT count(*) FROM test t WHERE t.sample_id = s.id))), '{}')
  FROM sample s JOIN lot l ON l.id = s.lot_id LEFT JOIN hold h ON h.id = s.hold_id),
'changes', (SELECT count(*) FROM lot_change),
'invited', (SELECT count(*) FROM party WHERE status = 'invited'),
'entries', (SELECT coalesce(json_object_agg(kind || ' ' || subject, n), '{}')
  FROM (SELECT kind, subject, count(*) AS n FROM entry WHERE kind <> 'evidence.stored'
        GROUP BY kind, subject) AS e),
'events', (SELECT coalesce(json_object_agg(kind, n), '{}')
  FROM (SELECT kind, count(*) AS n FROM event GROUP BY kind) AS e),
'out of balance', (SELECT coalesce(json_object_agg(public_id, json_build_array(came, went)), '{}')
  FROM (
    SELECT l.public_id, l.origin,
      l.mass_g - (SELECT sum(e.mass_g) FROM lot_edge e WHERE e.dst = l.id) AS came,
      l.mass_g - b.remaining_g
        - (SELECT coalesce(sum(e.mass_g), 0) FROM lot_edge e WHERE e.src = l.id)
        - (SELECT coalesce(sum(d.mass_g), 0) FROM ticket_draw d
           JOIN ticket t ON t.id = d.ticket_id JOIN ticket_state st ON st.ticket_id = t.id
           WHERE d.lot_id = l.id AND st.status = 'issued' AND t.hand_over = 'two_sided') AS went
    FROM lot l JOIN lot_balance b ON b.lot_id = l.id
  ) AS l
  WHERE (origin IN ('split', 'merge', 'purchase', 'return') AND came <> 0)
     OR (origin IN ('harvest', 'declare') AND came IS NOT NULL)
     -- What went otherwise is lost, destroyed, sampled, or taken home by a walk-in: never less than
     -- nothing.
     OR went < 0)
)
"""
