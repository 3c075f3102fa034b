"""How scenarios 1 and 2 of domain.md §8 begin: three farmers' chives reach five stalls."""

from dataclasses import dataclass

from app.party.access import RoleKind
from tests.factories import CHIVES, Actor, Json, Trade, code_of, line, new_id, received
from tests.laboratory import lab, office


@dataclass(frozen=True)
class Chives:
    """Who had the chives, and the lots they had them as.

    Attributes:
        harvests: 40 kg each; 30 kg of each went to the collector.
        mixed: The collector's 90 kg.
        form_2: The certificate of the mixture.
        at_stalls: 16 kg each.
    """

    farmers: list[Actor]
    collector: Actor
    stalls: list[Actor]
    school: Actor
    supervisors: Actor
    laboratory: Actor
    harvests: list[str]
    mixed: str
    form_2: Json
    at_stalls: list[str]


async def chives_of_three_at_five_stalls(trade: Trade) -> Chives:
    """Let three farmers sell chives to a collector, who mixes them and sells to five stalls."""
    farmers = [await trade.farmer() for _ in range(3)]
    collector, school = await trade.collector(), await trade.party(RoleKind.GROUP_BUYER)
    stalls = [await trade.stall() for _ in range(5)]

    # Each farmer harvests 40 kg, certifies it, and sells 30 kg to the collector.
    harvests = [await farmer.opens(kg=40) for farmer in farmers]
    bought = []
    for farmer, harvest in zip(farmers, harvests, strict=True):
        await farmer.certifies(harvest, 40)
        ticket = await farmer.sells(collector, line(CHIVES, 30, harvest))
        bought.append(received(await collector.decides(ticket["ticket"])))

    # Chives of three producers in one heap need the purchaser's own promise: form 2.
    mixed, certificate = new_id(), new_id()
    heap = {"inputs": [{"lot": lot} for lot in bought], "lot": mixed}
    refused = await collector.put(f"/merges/{new_id()}", heap)
    assert code_of(refused) == "merge-needs-certificate"
    promise = {"certificate": certificate, "bases": ["self_tested"]}
    await collector.make(f"/merges/{new_id()}", {**heap, "certificate": promise})
    form_2 = await collector.read(f"/certificates/{certificate}")

    # Five stalls take 16 kg each.
    at_stalls = []
    for stall in stalls:
        ticket = await collector.sells(stall, line(CHIVES, 16, mixed))
        at_stalls.append(received(await stall.decides(ticket["ticket"])))
    return Chives(
        farmers,
        collector,
        stalls,
        school,
        await office(trade),
        await lab(trade),
        harvests,
        mixed,
        form_2,
        at_stalls,
    )
