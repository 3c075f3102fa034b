"""A wholesale market before dawn: who comes to it, with what, and who stands at the gate.

For tests of what is scanned and shown; the people act through HTTP, as `factories` lets them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.core import ids
from app.party.access import RoleKind
from app.place import service as places
from app.place.rules import PlaceDraft, PlaceKind
from app.signing import service as signing
from app.signing import token
from app.signing.keys import IssuerClass, TokenSigner
from app.signing.token import Claims, Flags, TokenType
from tests.conftest import FakeClock
from tests.factories import (
    CHIVES,
    SINCE,
    VILLAGE,
    Actor,
    Json,
    Trade,
    line,
    new_id,
    open_trade,
    received,
)

MARKET_DIVISION = "320613001"
PORK = 45


@dataclass
class Market:
    """A market and the people around it."""

    trade: Trade
    people: dict[str, Actor] = field(default_factory=dict)
    site: UUID = field(init=False)
    booth: UUID = field(init=False)
    gate: UUID = field(init=False)

    def __getattr__(self, name: str) -> Actor:
        """Name one of the people: `market.farmer`."""
        try:
            return self.people[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def clock(self) -> FakeClock:
        """The clock of the application."""
        return self.trade.clock

    async def begin(self) -> None:
        """Let a cooperative, a farmer, a market with a stall, a stranger and an office come."""
        add = self.add
        await add("coop", "海门示范合作社", RoleKind.COOP)
        await add("farmer", "张三丰", RoleKind.FARMER, natural=True)
        await add("office", "南通批发市场", RoleKind.MARKET, division=MARKET_DIVISION)
        self.site = await self.place("南通市场", PlaceKind.MARKET, run_by=self.office)
        self.gate = await self.place("东门", PlaceKind.GATE, within=self.site)
        self.booth = await self.place("A12", PlaceKind.STALL, within=self.site)
        await add("stall", "王记蔬菜", RoleKind.STALL, at=self.booth, division=MARKET_DIVISION)
        await add("stranger", "别家菜行", RoleKind.STALL, division=MARKET_DIVISION)
        await add("collector", "如皋收购站", RoleKind.COLLECTOR)
        await add("regulator", "南通市监", RoleKind.REGULATOR, division="320600")

    async def add(
        self,
        called: str,
        name: str,
        role: RoleKind,
        *,
        natural: bool = False,
        phone: str | None = None,
        id_number: str | None = None,
        division: str = VILLAGE,
        at: UUID | None = None,
    ) -> Actor:
        """Register somebody, perhaps at a place, with a key to act with."""
        self.people[called] = await self.trade.party(
            role,
            name=name,
            form="natural" if natural else "legal",
            answers_for=division if role is RoleKind.REGULATOR else None,
            at=at,
            phone=phone,
            id_number=id_number,
            division_code=division,
        )
        return self.people[called]

    async def place(
        self,
        name: str,
        kind: PlaceKind,
        *,
        run_by: Actor | None = None,
        within: UUID | None = None,
    ) -> UUID:
        """Register a place."""
        draft = PlaceDraft(
            public_id=ids.uuid7(),
            kind=kind,
            name=name,
            division_code=MARKET_DIVISION,
            valid_from=SINCE,
            parent=within,
            party=None if run_by is None else run_by.public_id,
        )
        async with self.trade.database.transaction() as session:
            await places.put_place(session, draft)
        return draft.public_id

    # --- goods ------------------------------------------------------------------------------------

    async def lot(
        self,
        actor: Actor,
        kilograms: float,
        *,
        producer: Actor | None = None,
        papers: dict[str, str] | None = None,
        **more: Any,
    ) -> str:
        """Bring a lot into being."""
        documents = [{"kind": kind, "number": number} for kind, number in (papers or {}).items()]
        if producer is not None:
            more["producer"] = str(producer.public_id)
        return await actor.opens(kg=kilograms, documents=documents, **more)

    async def certify(self, actor: Actor, lot: str, kilograms: float, **more: Any) -> Json:
        """Issue a certificate and read it."""
        certificate = await actor.certifies(lot, kilograms, **more)
        found: Json = await actor.read(f"/certificates/{certificate}")
        return found

    async def certified(self, kilograms: float = 100, **more: Any) -> str:
        """Bring a lot of the cooperative's into being, all of it certified."""
        lot = await self.lot(self.coop, kilograms, **more)
        await self.coop.certifies(lot, kilograms)
        return lot

    async def merge(self, actor: Actor, lots: list[str]) -> str:
        """Mix lots into one, with the certificate that the law asks for."""
        lot = new_id()
        body = {
            "inputs": [{"lot": item} for item in lots],
            "lot": lot,
            "certificate": {"certificate": new_id(), "bases": ["quality_control"]},
        }
        await actor.make(f"/merges/{new_id()}", body)
        return lot

    async def sell(
        self,
        seller: Actor,
        buyer: Actor | None,
        lot: str,
        kilograms: float,
        *,
        product: int = CHIVES,
        **more: Any,
    ) -> Json:
        """Issue a ticket of one line; without a buyer, to a walk-in."""
        return await seller.sells(buyer, line(product, kilograms, lot), **more)

    async def buy(self, seller: Actor, buyer: Actor, lot: str, kilograms: float) -> str:
        """Sell goods and have them accepted; answer the buyer's lot."""
        ticket = await self.sell(seller, buyer, lot, kilograms)
        return received(await buyer.decides(ticket["ticket"]))

    async def sound_ticket(self, **more: Any) -> Json:
        """Sell ten of the cooperative's certified kilograms to the stall: all is well."""
        return await self.sell(self.coop, self.stall, await self.certified(), 10, **more)

    async def chives_of_three(self) -> Json:
        """Let three farmers' chives become a collector's lot and then a ticket of 60 kg."""
        bought = []
        for called, name, village, kilograms in (
            ("zhang", "张大山", "320682001001", 60),
            ("li", "李小河", "320682001002", 30),
            ("ouyang", "欧阳修竹", "320682001003", 10),
        ):
            farmer = await self.add(called, name, RoleKind.FARMER, natural=True, division=village)
            lot = await self.lot(farmer, kilograms, division_code=village)
            await farmer.certifies(lot, kilograms)
            bought.append(await self.buy(farmer, self.collector, lot, kilograms))
        mixed = await self.merge(self.collector, bought)
        return await self.sell(
            self.collector, self.stall, mixed, 60, market=str(self.site), stall=str(self.booth)
        )

    # --- scans and forgeries ----------------------------------------------------------------------

    async def scan(self, scanned: str, actor: Actor | None = None, **more: Any) -> Json:
        """Scan a code, as the market's office if nobody is named."""
        body = {"id": new_id(), "text": scanned, **more}
        answer = await (actor or self.office).send("POST", "/scans", body)
        assert answer.status_code == 201, answer.text
        verdict: Json = answer.json()
        return verdict

    async def signer(self, issuer_class: IssuerClass = IssuerClass.TICKET) -> TokenSigner:
        """Make a key of a class that verifiers know, and hold its private half."""
        async with self.trade.owner.transaction() as session:
            vault, now = self.trade.app.state.vault, self.clock()
            await signing.create_key(
                session,
                vault=vault,
                now=now,
                issuer_class=issuer_class,
                ttl_h_max=200,
                publish_ahead_days=0,
            )
            signer = await signing.load_signer(session, vault, now, issuer_class=issuer_class)
        assert isinstance(signer, TokenSigner)
        self.read_keys_again()
        return signer

    def read_keys_again(self) -> None:
        """Let half a minute pass, after which the ring reads the registry again."""
        self.clock.advance(seconds=31)

    def token(self, signer: TokenSigner, kind: TokenType = TokenType.TICKET, **claims: Any) -> str:
        """Sign a token past the books, even of a type that the key is not for."""
        given: dict[str, Any] = {
            "kid": signer.kid,
            "serial": 77,
            "issued_at": self.clock(),
            "ttl_h": 96,
            "product": CHIVES,
            "quantity_dg": 100,
            "origin": VILLAGE,
            "issuer": 1,
            "flags": Flags(0),
            "status_index": 1,
            **claims,
        }
        payload = token.encode_payload(Claims(type=kind, **given))
        return token.digits(payload, signer._key.sign(token.signing_input(payload)))


@asynccontextmanager
async def open_market(database_url: str, clock: FakeClock) -> AsyncIterator[Market]:
    """Open a trade with a market in it."""
    async with open_trade(database_url, clock) as trade:
        market = Market(trade)
        await market.begin()
        yield market
        assert trade.faults == []
