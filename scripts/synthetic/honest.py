"""Honest trade, and the oddities that come with it.

Every figure here is of the trade: what a mu gives, how long a drive takes, how people share phones,
forget, and type in the evening what happened in the morning.
"""

import math
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from app.signing import shortcode
from synthetic.world import (
    BEGIN,
    DAYS,
    END,
    SHANGHAI,
    Hold,
    Lot,
    Party,
    Site,
    Ticket,
    Treatment,
    World,
)

CHIVES, GREENS, RADISH, TOMATOES, CUCUMBERS, BEANS, SPROUTS, MUNG, SCALLIONS, CELERY = (
    18,
    13,
    23,
    25,
    28,
    10,
    35,
    122,
    19,
    17,
)
# Tonnes that a mu really gives in a season of so many days, and how unlike each other years are.
CROPS: Final = {
    CHIVES: (1.8, 60, 0.25),
    GREENS: (2.2, 55, 0.25),
    CELERY: (2.6, 60, 0.2),
    RADISH: (3.0, 90, 0.2),
    TOMATOES: (4.0, 140, 0.2),
    CUCUMBERS: (4.2, 120, 0.2),
    BEANS: (1.1, 80, 0.25),
    SCALLIONS: (2.2, 85, 0.25),
}
ALIKE: Final = {CHIVES: SCALLIONS, SCALLIONS: CHIVES, GREENS: CELERY, RADISH: 24}
# What labels say, as a farmer reads them: now and then a maker's label differs.
LABELS: Final = {"吡虫啉": 14, "噻虫嗪": 14, "高效氯氰菊酯": 7, "阿维菌素": 7, "啶虫脒": 7}
LABELS_DIFFER_DAYS: Final = 4
# What honest people reach at most (three standard deviations where they vary): goods over their
# estimated weight, neighbours of one clerk's phone, a class that looks at one page, days on hold.
ESTIMATE: Final = (0.95, 0.1)
ESTIMATE_MAX: Final = 1 / (ESTIMATE[0] - 3 * ESTIMATE[1])
NEIGHBOURS_MAX: Final = 7
CLASS_VIEWS_MAX: Final = 60
HOLD_DAYS: Final = (0.7, 0.6)
HOLD_DAYS_MAX: Final = math.exp(HOLD_DAYS[0] + 3 * HOLD_DAYS[1])
# Roads over the crow's way, kilometres an hour on them, and minutes to load and to park.
DETOUR: Final = (1.15, 1.4)
SPEED_KMH: Final = (35, 75)
STOPS_MIN: Final = (5, 30)
# Towns: code of a township, latitude, longitude, spread in kilometres.
TOWNS: Final = {
    "320613001": (32.02, 120.87, 5),
    "320612001": (32.07, 121.06, 12),
    "320614001": (31.90, 121.17, 12),
    "320623100": (32.32, 121.18, 15),
    "320681100": (31.81, 121.66, 12),
    "320682102": (32.38, 120.56, 14),
    "320685100": (32.54, 120.46, 12),
}
FAILING: Final = {CHIVES: 0.03, SPROUTS: 0.03, BEANS: 0.02, CELERY: 0.015, 49: 0.01, 51: 0.02}


def km(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Answer kilometres as the crow flies, flat enough for a city."""
    north = (one[0] - other[0]) * 111.2
    east = (one[1] - other[1]) * 111.2 * math.cos(math.radians(32))
    return math.hypot(north, east)


@dataclass
class Trade:
    """Who trades, once registered."""

    world: World
    markets: list[Site] = field(default_factory=list)
    gates: dict[Site, list[Site]] = field(default_factory=dict)
    stalls: dict[Site, list[Party]] = field(default_factory=dict)
    offices: dict[Site, Party] = field(default_factory=dict)
    kitchens: list[tuple[Party, Site]] = field(default_factory=list)
    growers: list[tuple[Party, list[Site]]] = field(default_factory=list)
    collectors: list[Party] = field(default_factory=list)

    def spot(self, town: str) -> tuple[float, float]:
        """Choose somewhere in a town's surroundings."""
        latitude, longitude, spread = TOWNS[town]
        chance = self.world.chance
        return (
            latitude + chance.gauss(0, spread / 2) / 111.2,
            longitude + chance.gauss(0, spread / 2) / 94.3,
        )

    def drive(self, one: Site, other: Site) -> timedelta:
        """Say how long a lorry takes: roads are longer than the crow's way, and slow."""
        chance = self.world.chance
        road = km(one.true_spot, other.true_spot) * chance.uniform(*DETOUR)
        return timedelta(
            hours=road / chance.uniform(*SPEED_KMH), minutes=chance.uniform(*STOPS_MIN)
        )

    def drive_min(self, one: Site, other: Site) -> timedelta:
        """Say how long the fastest of all lorries takes."""
        road = km(one.true_spot, other.true_spot) * DETOUR[0]
        return timedelta(hours=road / SPEED_KMH[1], minutes=STOPS_MIN[0])


def settle(world: World, tickets: int) -> Trade:
    """Register markets, stalls, kitchens, growers and collectors for so many tickets a year."""
    trade, chance = Trade(world), world.chance
    towns = list(TOWNS)
    for number in range(10):
        town = towns[number % len(towns)]
        office = world.party("MARKET", town)
        market = world.site(
            "market", town, trade.spot(town), owner=office, mapped=chance.random() < 0.6
        )
        trade.markets.append(market)
        trade.offices[market] = office
        trade.gates[market] = [
            world.site("gate", town, market.true_spot, parent=market, mapped=market.mapped)
            for _ in range(2)
        ]
        trade.stalls[market] = [world.party("STALL", town) for _ in range(max(tickets // 2500, 4))]
    for _ in range(max(tickets // 800, 8)):
        town = chance.choice(towns)
        kitchen = world.party("GROUP_BUYER", town)
        place = world.site("school", town, trade.spot(town), owner=kitchen, mapped=True)
        trade.kitchens.append((kitchen, place))
    trade.collectors = [
        world.party("COLLECTOR", chance.choice(towns)) for _ in range(max(tickets // 5000, 3))
    ]
    _growers(trade, max(tickets // 40, 60))
    return trade


def _growers(trade: Trade, count: int) -> None:
    chance = trade.world.chance
    while len(trade.growers) < count:
        town = chance.choice(list(TOWNS))
        kind = chance.random()
        if kind < 0.03:  # a cooperative and its members, whose phone it keeps
            coop = _grower(trade, "COOP", town, chance.uniform(20, 150), plots=3)
            for _ in range(chance.randint(2, 25)):
                phone = coop.phone if chance.random() < 0.6 else None
                _grower(trade, "FARMER", town, chance.lognormvariate(0.4, 0.5), phone=phone)
        elif kind < 0.04:  # neighbours without a phone, registered by the village's clerk
            phone = chance.randbytes(32)
            for _ in range(chance.randint(2, NEIGHBOURS_MAX)):
                _grower(trade, "FARMER", town, chance.lognormvariate(0.2, 0.5), phone=phone)
        else:  # a household
            phone = chance.randbytes(32)
            for _ in range(chance.choices((1, 2, 3), (80, 16, 4))[0]):
                _grower(trade, "FARMER", town, chance.lognormvariate(0.5, 0.6), phone=phone)


def _grower(
    trade: Trade, role: str, town: str, mu: float, *, plots: int = 1, phone: bytes | None = None
) -> Party:
    world, chance = trade.world, trade.world.chance
    grower = world.party(role, town, phone=phone)
    fields = []
    for _ in range(plots):
        true_m2 = int(mu / plots * 667)
        # Who registers a plot rounds, and sometimes forgets the part behind the ditch.
        told = true_m2 * (chance.uniform(0.5, 0.8) if chance.random() < 0.03 else 1)
        area = max(int(told), 60) if chance.random() < 0.75 else None
        fields.append(world.site("plot", town, trade.spot(town), owner=grower, area_m2=area))
        fields[-1].true_mu = true_m2 / 667
    trade.growers.append((grower, fields))
    return grower


def morning(world: World, day: int) -> datetime:
    """Choose an instant of the wholesale night, between two and eight."""
    hours = world.chance.triangular(2, 8, 4)
    return BEGIN + timedelta(days=day, hours=hours)


def on(at: datetime) -> date:
    """Answer the day in Nantong."""
    return at.astimezone(SHANGHAI).date()


def year(trade: Trade, tickets: int) -> None:
    """Let honest people trade until so many tickets are written."""
    world = trade.world
    while len(world.tickets) < tickets:
        grower, plots = world.chance.choice(trade.growers)
        season(trade, grower, world.chance.choice(plots), most=tickets)
    _tests(world)
    _holds(trade)
    _looks(world)


def season(trade: Trade, grower: Party, plot: Site, *, most: int, product: int = 0) -> None:
    """Grow one crop on a plot, and sell what it gives, cut by cut."""
    world, chance = trade.world, trade.world.chance
    product = product or chance.choice(list(CROPS))
    tonnes, days, spread = CROPS[product]
    first = chance.randint(0, days) if plot.next_day < 0 else plot.next_day
    if first >= DAYS - 12:
        return  # the year is over for this plot
    plot.next_day = first + days + chance.randint(0, 20)
    give_kg = tonnes * 1000 * plot.true_mu * chance.lognormvariate(0, spread)
    cuts = chance.randint(3, 9)
    span = min(days // 2, DAYS - 10 - first)
    sprayed = _spray(trade, plot, product, first) if chance.random() < 0.3 else []
    for _ in range(cuts):
        day = first + chance.randint(0, max(span, 1))
        at = morning(world, day)
        if any(early <= at < safe for early, safe in sprayed):
            continue  # who keeps a record waits
        mass_g = int(give_kg * 1000 / cuts * chance.uniform(0.6, 1.3))
        harvest(trade, grower, plot, product, mass_g, at)
        if len(world.tickets) >= most:
            return


def _spray(trade: Trade, plot: Site, product: int, first: int) -> list[tuple[datetime, datetime]]:
    world, chance = trade.world, trade.world.chance
    waiting = []
    for _ in range(chance.randint(1, 2)):
        substance = chance.choice(list(LABELS))
        label = (
            LABELS[substance] if chance.random() < 0.95 else LABELS[substance] - LABELS_DIFFER_DAYS
        )
        at = BEGIN + timedelta(days=first + chance.randint(-20, 20), hours=16)
        wait = timedelta(days=label * chance.uniform(1.0, 1.5))
        late = timedelta(days=chance.expovariate(1) if chance.random() < 0.3 else 0)
        world.treatments.append(
            Treatment(
                at + late,
                world.new_id(),
                plot=plot,
                # A few write down the plot alone.
                product=product if chance.random() < 0.95 else None,
                substance=substance,
                label_days=label if chance.random() < 0.3 else None,
                applied_at=at,
            )
        )
        waiting.append((at, at + wait + timedelta(days=1)))
    return waiting


def harvest(
    trade: Trade, grower: Party, plot: Site, product: int, mass_g: int, at: datetime
) -> None:
    """Cut, certify, and sell to a market, a collector, or by paper alone."""
    world, chance = trade.world, trade.world.chance
    mass_g = max(mass_g, 2000)
    cut_at = at - timedelta(hours=chance.uniform(1, 10))
    # Some days the whole of it is typed in the evening, and a few times a day later.
    late = chance.random() < 0.02
    typed = at + timedelta(hours=chance.lognormvariate(2.3, 0.5)) if late else None
    lot = world.lot(
        typed or cut_at,
        product=product,
        origin="harvest",
        mass_g=mass_g,
        holder=grower,
        producer=grower,
        plot=plot,
        made_on=on(cut_at),
    )
    if grower.role == "COOP" or chance.random() < 0.6:
        _certify_honestly(world, lot, at, typed)
    if lot.certificates and chance.random() < 0.03:
        _by_paper(trade, lot, at)
        return
    left = mass_g
    for _ in range(chance.randint(1, 3)):
        part = min(left, max(int(mass_g * chance.uniform(0.3, 0.7)), 1000))
        if part < 500:
            break
        left -= part
        if chance.random() < 0.12:
            _to_collector(trade, lot, part, at, typed)
        else:
            to_market(trade, lot, part, at, typed)
        at += timedelta(minutes=chance.uniform(2, 40))


def _certify_honestly(world: World, lot: Lot, at: datetime, typed: datetime | None) -> None:
    chance = world.chance
    mass_g = lot.mass_g
    if chance.random() < 0.06:  # by estimate, before it stood on a scale
        mass_g = min(mass_g, int(mass_g * chance.gauss(*ESTIMATE)))
    dated = at - timedelta(minutes=chance.uniform(5, 300))
    if typed is not None:
        # Half of those who type late leave the day that the form offers: the present one.
        dated = typed if chance.random() < 0.5 else dated
        world.certify(lot, mass_g, dated=dated, recorded=typed)
        return
    recorded = max(dated, lot.recorded_at + timedelta(seconds=30))
    former = world.certify(lot, mass_g, dated=max(dated, lot.recorded_at), recorded=recorded)
    if chance.random() < 0.01:  # mistyped, voided, written anew
        former.voided = True
        world.certify(lot, lot.mass_g, dated=recorded, recorded=recorded + timedelta(minutes=2))


def _by_paper(trade: Trade, lot: Lot, at: datetime) -> None:
    """Sell with the printed certificate alone: the buyer declares the goods under its number."""
    world, chance = trade.world, trade.world.chance
    buyer = chance.choice(chance.choice(list(trade.stalls.values())))
    product = lot.product
    if chance.random() < 0.01:
        product = ALIKE.get(product, product)  # taken for its neighbour in the list
    declare(world, buyer, lot, at, product=product, mass_g=min(lot.mass_g, _certified(lot)))
    if chance.random() < 0.01:  # and the grower writes a ticket in the evening all the same
        world.sell(lot, lot.mass_g, buyer, at, recorded=at + timedelta(hours=10))


def _certified(lot: Lot) -> int:
    return sum(certificate.mass_g for certificate in lot.certificates if not certificate.voided)


def declare(
    world: World, buyer: Party, lot: Lot, at: datetime, *, product: int, mass_g: int
) -> Lot:
    """Let somebody declare goods under the number of a lot's certificate, as people type it."""
    code = shortcode.show(shortcode.encode(lot.certificates[-1].serial))
    style = world.chance.random()
    if style < 0.4:
        code = code.lower()
    elif style < 0.7:
        code = code.replace("-", " ")
    recorded = max(at, lot.certificates[-1].recorded_at) + timedelta(hours=1)
    return world.lot(
        recorded,
        product=product,
        origin="declare",
        mass_g=mass_g,
        holder=buyer,
        producer=lot.producer,
        made_on=lot.made_on,
        documents=[{"kind": "conformity_certificate", "number": code}],
    )


def _to_collector(
    trade: Trade, lot: Lot, mass_g: int, at: datetime, typed: datetime | None
) -> None:
    world, chance = trade.world, trade.world.chance
    collector = chance.choice(trade.collectors)
    ticket = world.sell(lot, mass_g, collector, at, recorded=typed)
    bought = world.accept(ticket, ticket.recorded_at + timedelta(minutes=chance.uniform(1, 60)))
    if bought is not None:
        later = bought.recorded_at + timedelta(hours=chance.uniform(2, 20))
        to_market(trade, bought, bought.mass_g, later, None)


def to_market(trade: Trade, lot: Lot, mass_g: int, at: datetime, typed: datetime | None) -> Ticket:
    """Bring goods to a market and sell them to a stall there, past the gate."""
    world, chance = trade.world, trade.world.chance
    market = chance.choice(trade.markets)
    stall = chance.choice(trade.stalls[market])
    named = market if chance.random() < 0.7 else None
    ticket = world.sell(lot, mass_g, stall, at, recorded=typed, market=named)
    if chance.random() < 0.01:  # mistyped: voided, and issued anew
        ticket.status = "voided"
        ticket = world.sell(
            lot, mass_g, stall, at, recorded=ticket.recorded_at + timedelta(minutes=3), market=named
        )
    delay = timedelta()
    if typed is None and chance.random() < 0.8:
        delay = _past_the_gate(trade, ticket, market)
    minutes = chance.uniform(1, 30) if chance.random() < 0.97 else chance.uniform(60, 600)
    outcome = chance.random()
    taken = mass_g if outcome < 0.975 else 0 if outcome < 0.98 else int(mass_g * 0.8)
    arrival = ticket.recorded_at + delay
    bought = world.accept(ticket, arrival + timedelta(minutes=minutes), taken)
    if bought is not None:
        _sell_on(trade, bought, market)
    return ticket


def _past_the_gate(trade: Trade, ticket: Ticket, market: Site) -> timedelta:
    """Scan at the gate: now and then offline, by a slow clock, or once more on the way out.

    Returns:
        By how much later than planned the goods came in.
    """
    world, chance = trade.world, trade.world.chance
    gate, office = chance.choice(trade.gates[market]), trade.offices[market]
    at = ticket.recorded_at + timedelta(minutes=chance.uniform(0, 20))
    kind = chance.random()
    if kind < 0.04:
        sent = at + timedelta(hours=chance.expovariate(0.4))
        scans = [world.scan(ticket, office, at, at=gate, device_at=at, recorded=sent)]
    elif kind < 0.05:
        slow = at - timedelta(minutes=chance.uniform(6, 180))
        scans = [world.scan(ticket, office, at, at=gate, device_at=slow)]
    else:
        scans = [world.scan(ticket, office, at, at=gate)]
    again = chance.random()
    if again < 0.012:  # a patrol of the market looks at the goods on the stall
        hours = chance.uniform(0.5, 5) if again < 0.01 else chance.uniform(6, 30)
        scans.append(
            world.scan(
                ticket,
                office,
                at + timedelta(hours=hours),
                at=market,
                decision="REFUSE",
                findings=("already-accepted",),
            )
        )
    if chance.random() < 0.001:  # came to the wrong market first, and drove on from there
        other = chance.choice([one for one in trade.markets if one is not market])
        delay = trade.drive(other, market) + timedelta(minutes=chance.uniform(0, 60))
        world.scan(
            ticket,
            trade.offices[other],
            at,
            at=chance.choice(trade.gates[other]),
            decision="HOLD",
            findings=("not-addressed",),
        )
        for scan in scans:
            scan.recorded_at += delay
            scan.device_at = None if scan.device_at is None else scan.device_at + delay
        return delay
    return timedelta()


def _sell_on(trade: Trade, bought: Lot, market: Site) -> None:
    world, chance = trade.world, trade.world.chance
    at = bought.recorded_at + timedelta(hours=chance.triangular(0.1, 20, 1.5))
    left = bought.mass_g
    for _ in range(chance.randint(0, 3)):
        part = min(left, max(int(bought.mass_g * chance.uniform(0.15, 0.5)), 500))
        if part < 500 or at > END - timedelta(days=1):
            return
        left -= part
        place = market
        if chance.random() < 0.04:  # drives on to another market
            place = chance.choice(trade.markets)
            at += trade.drive(market, place)
        if chance.random() < 0.3:
            world.sell(bought, part, None, at, market=place)
        else:
            kitchen, site = chance.choice(trade.kitchens)
            ticket = world.sell(bought, part, kitchen, at, market=place)
            arrival = ticket.recorded_at + trade.drive(place, site)
            if chance.random() < 0.4:
                world.scan(ticket, kitchen, arrival, at=site)
            taken = world.accept(ticket, arrival + timedelta(minutes=5))
            if taken is not None and chance.random() < 0.006:
                world.sell(
                    taken,
                    taken.mass_g // 2 or 1,
                    bought.holder,
                    arrival + timedelta(hours=2),
                    kind="return",
                )
        at += timedelta(minutes=chance.uniform(5, 120))


def sprouts(trade: Trade, count: int) -> None:
    """Let workshops buy beans and sell sprouts; not each records what came between."""
    world, chance = trade.world, trade.world.chance
    for _ in range(count):
        town = chance.choice(list(TOWNS))
        grower, maker = world.party("FARMER", town), world.party("PROCESSOR", town)
        at = morning(world, chance.randint(1, DAYS - 10))
        beans = world.lot(
            at, product=MUNG, origin="harvest", mass_g=50_000, holder=grower, producer=grower
        )
        beans.made_on = on(at)
        ticket = world.sell(beans, 50_000, maker, at + timedelta(hours=1))
        bought = world.accept(ticket, at + timedelta(hours=2))
        assert bought is not None, "all of it was accepted"
        grown_g = int(50_000 * chance.uniform(6.2, 9.5))
        later = at + timedelta(days=4)
        if chance.random() < 0.7:
            made = world.lot(
                later,
                product=SPROUTS,
                origin="transform",
                mass_g=grown_g,
                holder=maker,
                parents=[bought],
            )
        else:
            number = shortcode.show(shortcode.encode(ticket.serial))
            made = world.lot(
                later,
                product=SPROUTS,
                origin="declare",
                mass_g=grown_g,
                holder=maker,
                documents=[{"kind": "purchase_voucher", "number": number}],
            )
        to_market(trade, made, grown_g // 2, later + timedelta(hours=8), None)


def _tests(world: World) -> None:
    """Count what is tested and what fails, week by week, for a year before and the year itself."""
    chance = world.chance
    monday = on(BEGIN)
    monday -= timedelta(days=monday.weekday())
    for county in sorted({town[:6] for town in TOWNS}):
        for product, rate in FAILING.items():
            local = rate * chance.lognormvariate(0, 0.4)
            for week in range(-52, DAYS // 7):
                tests = poisson(world, 8)
                if tests == 0:
                    continue
                summer = 1 + 0.5 * math.sin(2 * math.pi * (week + 40) / 52)
                share = min(local * summer * chance.gammavariate(3, 1 / 3), 1)
                failures = sum(chance.random() < share for _ in range(tests))
                day = monday + timedelta(weeks=week)
                world.weeks.append((product, county, day, tests, failures))


def poisson(world: World, mean: float) -> int:
    """Draw a count (Knuth; the means here are small)."""
    limit, product, count = math.exp(-mean), world.chance.random(), 0
    while product > limit:
        product *= world.chance.random()
        count += 1
    return count


def _holds(trade: Trade) -> None:
    """Hold some lots for a while; a few wait for a laboratory when the year ends."""
    world, chance = trade.world, trade.world.chance
    for lot in chance.sample(world.lots, max(len(world.lots) // 500, 20)):
        at = lot.recorded_at + timedelta(hours=2)
        released = at + timedelta(days=chance.lognormvariate(*HOLD_DAYS))
        office = chance.choice(list(trade.offices.values()))
        world.holds.append(
            Hold(
                at,
                world.new_id(),
                lot=lot,
                by=office,
                released_at=released if released < END else None,
            )
        )


def _looks(world: World) -> None:
    """Let people look at public pages: some of them, and whole classes at a school's board."""
    chance = world.chance
    for ticket in world.tickets:
        hour = (ticket.recorded_at + timedelta(hours=chance.uniform(1, 30))).replace(
            minute=0, second=0, microsecond=0
        )
        kind = chance.random()
        if kind < 0.0004:
            world.views.append((ticket.serial, hour, chance.randint(10, CLASS_VIEWS_MAX)))
        elif kind < 0.25:
            world.views.append((ticket.serial, hour, 1 + poisson(world, 0.7)))
