"""Plants abuses, from what they are and not from what is watched for.

Each kind draws its strength from a range that begins where nobody could tell it from honest trade:
a certificate overdrawn by a few per cent, a second gate an hour away. Each says of itself whether
it is plain: beyond what honest people do (where they vary, by three standard deviations).
"""

import hashlib
import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, TypeAlias

from synthetic import honest
from synthetic.honest import CROPS, LABELS, TOWNS, Trade, morning, on
from synthetic.world import (
    BEGIN,
    DAYS,
    END,
    Case,
    Hold,
    Lot,
    Party,
    Site,
    Ticket,
    Treatment,
    World,
)

CASES: Final = 200
Planted: TypeAlias = tuple[str, list[str], bool]
"""How strong a case is, what a warning about it would be about, and whether it is plain."""

OTHERS: Final = {18: 13, 13: 23, 17: 25, 23: 28, 25: 10, 28: 17, 10: 19, 19: 28}


def plant(trade: Trade) -> None:
    """Plant 200 cases, as many of each kind as go."""
    kinds = list(ABUSES)
    for number in range(CASES):
        rule = kinds[number % len(kinds)]
        strength, subjects, plain = ABUSES[rule](trade)
        trade.world.cases.append(Case(rule, strength, frozenset(subjects), plain))


def _between(world: World, low: float, high: float) -> float:
    """Draw evenly over orders of magnitude."""
    return math.exp(world.chance.uniform(math.log(low), math.log(high)))


def _day(world: World) -> int:
    return world.chance.randint(40, DAYS - 25)


def _goods(
    trade: Trade, at_day: int, mass_g: int, *, certified_g: int | None = None
) -> tuple[Lot, Party]:
    """Let some grower cut and certify a lot."""
    world, chance = trade.world, trade.world.chance
    grower, plots = chance.choice(trade.growers)
    at = morning(world, at_day)
    lot = world.lot(
        at - timedelta(hours=5),
        product=chance.choice(list(CROPS)),
        origin="harvest",
        mass_g=mass_g,
        holder=grower,
        producer=grower,
        plot=None,
        made_on=on(at - timedelta(hours=5)),
    )
    del plots  # no plot is named: this abuse is not about land
    if certified_g is not None:
        dated = lot.recorded_at + timedelta(minutes=30)
        world.certify(lot, certified_g, dated=dated, recorded=dated)
    return lot, grower


def _at_market(trade: Trade, lot: Lot, mass_g: int, market: Site) -> Ticket:
    at = lot.recorded_at + timedelta(hours=5)
    stall = trade.world.chance.choice(trade.stalls[market])
    return trade.world.sell(lot, mass_g, stall, at, market=market, planted=True)


def _oversold(trade: Trade) -> Planted:
    """One certificate goes along with more than it was written for (证大货小, 一证多用)."""
    world, chance = trade.world, trade.world.chance
    certified_g = int(_between(world, 30_000, 800_000))
    factor = _between(world, 1.05, 6)
    extra_g = int(certified_g * (factor - 1))
    subjects = []
    if chance.random() < 0.5:  # a grower sells more than the certificate, with the certificate
        lot, _ = _goods(trade, _day(world), certified_g + extra_g, certified_g=certified_g)
        for part in (certified_g, extra_g):
            _at_market(trade, lot, part, chance.choice(trade.markets))
    else:  # the paper is used again by somebody else
        lot, _ = _goods(trade, _day(world), certified_g, certified_g=certified_g)
        market = chance.choice(trade.markets)
        _at_market(trade, lot, certified_g, market)
        for _ in range(2):
            dealer = chance.choice(trade.stalls[market])
            at = lot.recorded_at + timedelta(days=chance.uniform(1, 3))
            again = honest.declare(
                world, dealer, lot, at, product=lot.product, mass_g=max(extra_g // 2, 1)
            )
            subjects.append(f"lot:{again.public_id}")
    return f"x{factor:.2f}", [f"lot:{lot.public_id}", *subjects], factor > honest.ESTIMATE_MAX


def _over_yield(trade: Trade) -> Planted:
    """A grower passes off others' produce as his own plot's."""
    world, chance = trade.world, trade.world.chance
    town = chance.choice(list(TOWNS))
    mu = chance.uniform(0.6, 6)
    grower = world.party("FARMER", town)
    plot = world.site("plot", town, trade.spot(town), owner=grower, area_m2=int(mu * 667))
    product = chance.choice(list(CROPS))
    tonnes, days, spread = CROPS[product]
    factor = _between(world, 1.2, 6)
    cuts, first = chance.randint(4, 9), chance.randint(5, DAYS - days - 15)
    for cut in range(cuts):
        at = morning(world, first + cut * (days // 2) // cuts)
        mass_g = int(tonnes * 1_000_000 * mu * factor / cuts)
        honest.harvest(trade, grower, plot, product, mass_g, at)
    return f"x{factor:.2f}", [f"plot:{plot.public_id}"], factor > math.exp(3 * spread)


def _after_sale(trade: Trade) -> Planted:
    """The certificate is written when somebody asks for it, after the goods were sold."""
    world, chance = trade.world, trade.world.chance
    lot, _ = _goods(trade, _day(world), 200_000)
    sold_at = lot.recorded_at + timedelta(hours=5)
    hours = _between(world, 2, 240)
    asked = sold_at + timedelta(hours=hours)
    world.certify(lot, 200_000, dated=asked, recorded=asked)
    market = chance.choice(trade.markets)
    stall = chance.choice(trade.stalls[market])
    ticket = world.sell(lot, 150_000, stall, sold_at, recorded=asked, market=market, planted=True)
    # Nobody honest enters the goods before they are sold, and the certificate hours later.
    return f"{hours:.0f} h", [f"ticket:{ticket.public_id}"], True


def _too_early(trade: Trade) -> Planted:
    """A crop is cut soon after it was sprayed."""
    world, chance = trade.world, trade.world.chance
    grower, plots = chance.choice(trade.growers)
    substance = chance.choice(list(LABELS))
    share = chance.uniform(0.05, 0.97)
    day = _day(world)
    at = BEGIN + timedelta(days=day, hours=16)
    product = chance.choice(list(CROPS))
    world.treatments.append(
        Treatment(
            at + timedelta(days=chance.choice((0, 0, 5))),
            world.new_id(),
            plot=plots[0],
            product=product,
            substance=substance,
            applied_at=at,
        )
    )
    waited = round(LABELS[substance] * share)
    cut = morning(world, day + waited)
    lot = world.lot(
        cut,
        product=product,
        origin="harvest",
        mass_g=60_000,
        holder=grower,
        producer=grower,
        plot=plots[0],
        made_on=on(cut),
    )
    _at_market(trade, lot, 60_000, chance.choice(trade.markets))
    plain = waited < LABELS[substance] - honest.LABELS_DIFFER_DAYS
    return f"{share:.0%} of the label", [f"lot:{lot.public_id}"], plain


def _two_markets(trade: Trade) -> tuple[Site, Site]:
    one, other = trade.world.chance.sample(trade.markets, 2)
    return one, other


def _paper_chain(trade: Trade) -> Planted:
    """Goods change hands on paper between markets, while they lie somewhere else."""
    world, chance = trade.world, trade.world.chance
    one, other = _two_markets(trade)
    lot, _ = _goods(trade, _day(world), 300_000, certified_g=300_000)
    first = _at_market(trade, lot, 300_000, one)
    bought = world.accept(first, first.recorded_at + timedelta(minutes=1))
    assert bought is not None, "all of it was accepted"
    share = chance.uniform(0.05, 0.7)
    at = first.sold_at + trade.drive(one, other) * share
    buyer = chance.choice(trade.stalls[other])
    second = world.sell(bought, 300_000, buyer, at, market=other, planted=True)
    second.sold_at = at
    plain = at - first.sold_at < trade.drive_min(one, other)
    return f"{share:.0%} of the drive", [f"ticket:{second.public_id}"], plain


def _straw_growers(trade: Trade) -> Planted:
    """One dealer registers as many smallholders, who need not certify."""
    world, chance = trade.world, trade.world.chance
    count = round(_between(world, 2, 30))
    phone, town = chance.randbytes(32), chance.choice(list(TOWNS))
    for _ in range(count):
        straw = world.party("FARMER", town, phone=phone)
        day = chance.randint(1, DAYS - 20)
        at = morning(world, day)
        lot = world.lot(
            at,
            product=13,
            origin="harvest",
            mass_g=90_000,
            holder=straw,
            producer=straw,
            made_on=on(at),
        )
        _at_market(trade, lot, 90_000, chance.choice(trade.markets))
    subject = f"phone:{hashlib.sha256(phone).hexdigest()[:32]}"
    return f"{count} growers", [subject], count > honest.NEIGHBOURS_MAX


def _relabelled(trade: Trade) -> Planted:
    """Goods of no origin get the papers of other goods."""
    world, chance = trade.world, trade.world.chance
    lot, _ = _goods(trade, _day(world), 200_000, certified_g=200_000)
    market = chance.choice(trade.markets)
    _at_market(trade, lot, 50_000, market)
    mass_g = int(_between(world, 500, 300_000))
    dealer = chance.choice(trade.stalls[market])
    made = honest.declare(
        world,
        dealer,
        lot,
        lot.recorded_at + timedelta(days=1),
        product=OTHERS[lot.product],
        mass_g=mass_g,
    )
    if chance.random() < 0.15:  # copied with a slip of the pen
        number = made.documents[0]["number"]
        made.documents[0]["number"] = number[:-1] + ("2" if number[-1] != "2" else "3")
    subjects = [f"lot:{made.public_id}", f"lot:{lot.public_id}"]
    return f"{mass_g / 1000:.0f} kg", subjects, True


def _walk_in(trade: Trade) -> Ticket:
    world = trade.world
    lot, _ = _goods(trade, _day(world), 400_000, certified_g=400_000)
    at = lot.recorded_at + timedelta(hours=5)
    return world.sell(lot, 400_000, None, at, planted=True)


def _show(trade: Trade, ticket: Ticket, market: Site, after: timedelta, **more: object) -> None:
    trade.world.scan(
        ticket,
        trade.offices[market],
        ticket.recorded_at + after,
        at=trade.world.chance.choice(trade.gates[market]),
        **more,
    )


def _two_lorries(trade: Trade) -> Planted:
    """Two lorries drive on copies of one ticket, to two markets in the same night."""
    one, other = _two_markets(trade)
    ticket = _walk_in(trade)
    minutes = trade.world.chance.uniform(1, 100)
    _show(trade, ticket, one, timedelta(minutes=30))
    _show(trade, ticket, other, timedelta(minutes=30 + minutes))
    plain = timedelta(minutes=minutes) < trade.drive_min(one, other)
    return f"{minutes:.0f} min", [f"ticket:{ticket.public_id}"], plain


def _twice_in(trade: Trade) -> Planted:
    """One ticket brings a full load into two markets, or twice into one."""
    world = trade.world
    one, other = _two_markets(trade)
    ticket = _walk_in(trade)
    hours = _between(world, 2, 70)
    same = world.chance.random() < 0.2
    _show(trade, ticket, one, timedelta(minutes=30))
    _show(trade, ticket, one if same else other, timedelta(hours=hours))
    return f"{hours:.0f} h{' same market' if same else ''}", [f"ticket:{ticket.public_id}"], True


def _used_again(trade: Trade) -> Planted:
    """The paper of a ticket that was accepted comes along with other goods, days later."""
    world, chance = trade.world, trade.world.chance
    market = chance.choice(trade.markets)
    lot, _ = _goods(trade, _day(world), 300_000, certified_g=300_000)
    ticket = _at_market(trade, lot, 300_000, market)
    world.accept(ticket, ticket.recorded_at + timedelta(minutes=20))
    hours = _between(world, 1, 360)
    found = ("already-accepted", "expired") if hours > 96 else ("already-accepted",)
    after = timedelta(hours=hours)
    _show(trade, ticket, market, after, decision="REFUSE", findings=found)
    return f"{hours:.0f} h", [f"ticket:{ticket.public_id}"], True


def _stolen_key(trade: Trade) -> Planted:
    """Somebody signs tickets with a key that got away; the books have never heard of them."""
    world, chance = trade.world, trade.world.chance
    market = chance.choice(trade.markets)
    code = str(chance.getrandbits(200))
    for _ in range(chance.randint(1, 3)):
        world.scan(
            None,
            trade.offices[market],
            morning(world, _day(world)),
            code=code,
            at=chance.choice(trade.gates[market]),
            decision="REFUSE",
            findings=("off-log",),
        )
    return "1 code", [f"code:{hashlib.sha256(code.encode()).hexdigest()[:32]}"], True


def _passed_around(trade: Trade) -> Planted:
    """A picture of a good ticket is printed on boxes of other goods, and buyers scan it."""
    world = trade.world
    ticket = _walk_in(trade)
    views = round(_between(world, 8, 400))
    hour = ticket.recorded_at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=6)
    world.views.append((ticket.serial, hour, views))
    subjects = [f"document:{ticket.public_id}", f"ticket:{ticket.public_id}"]
    return f"{views} in an hour", subjects, views > honest.CLASS_VIEWS_MAX


def _outbreak(trade: Trade) -> Planted:
    """A batch of a forbidden substance reaches one county, and failures rise for some weeks."""
    world, chance = trade.world, trade.world.chance
    product, county = chance.choice(list(honest.FAILING)), chance.choice(list(TOWNS))[:6]
    first = on(BEGIN) + timedelta(weeks=chance.randint(4, DAYS // 7 - 8))
    last = first + timedelta(weeks=chance.randint(1, 4))
    share = _between(world, 0.08, 0.7)
    usual = max(w[4] for w in world.weeks if w[0] == product and w[2] < on(BEGIN))
    counts, subjects, plain = [], [], False
    for index, (what, where, day, tests, before) in enumerate(world.weeks):
        if (what, where) == (product, county) and first <= day < last:
            failures = max(sum(chance.random() < share for _ in range(tests)), before)
            world.weeks[index] = (what, where, day, tests, failures)
            plain = plain or failures > usual
            counts.append(f"{failures}/{tests}")
            subjects.append(f"tests:{what}:{where}:{day.isoformat()}")
    return f"{share:.0%}: {' '.join(counts)}", subjects, plain


def _forgotten(trade: Trade) -> Planted:
    """A hold is placed, and nobody decides."""
    world, chance = trade.world, trade.world.chance
    days = _between(world, 3, 90)
    at = END - timedelta(days=days)
    lot = chance.choice(world.lots)
    office = trade.offices[chance.choice(trade.markets)]
    hold = Hold(max(at, lot.recorded_at), world.new_id(), lot=lot, by=office)
    world.holds.append(hold)
    return f"{days:.0f} days", [f"hold:{hold.public_id}"], days > honest.HOLD_DAYS_MAX


ABUSES: Final[Mapping[str, Callable[[Trade], Planted]]] = {
    "certificate-oversold": _oversold,
    "plot-over-yield": _over_yield,
    "certificate-after-sale": _after_sale,
    "preharvest-interval": _too_early,
    "chain-too-fast": _paper_chain,
    "phone-shared": _straw_growers,
    "product-changed": _relabelled,
    "scan-too-fast": _two_lorries,
    "accepted-beyond-issued": _twice_in,
    "scanned-after-use": _used_again,
    "off-log": _stolen_key,
    "viewed-too-often": _passed_around,
    "failure-cluster": _outbreak,
    "deadline-overdue": _forgotten,
}
"""Abuses by the rule that is meant to find each."""
