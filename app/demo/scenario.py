"""Who takes part and what is sold: data, and nothing else.

Divisions, market and product are Nantong's; people, firms, numbers and phones are made up, and say
so in their names (示范, 演示).
"""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from app.core.errors import Text
from app.party.access import Duty, RoleKind

_NAMES: Final = UUID("0192f0a4-6d00-7000-8000-79707464656d")
PASSWORD: Final = "yipiaotong-demo"  # noqa: S105 (a demonstration's, told to everybody)
SINCE: Final = "2024-01-01"
"""Since when the actors are what they are."""

PRODUCT: Final = "韭菜"
CITY: Final = "320600"


def id_of(name: str) -> UUID:
    """Answer the id that a thing of the demonstration always has."""
    return uuid5(_NAMES, name)


@dataclass(frozen=True, slots=True)
class Actor:
    """A made-up party and its account.

    Attributes:
        login: Names the actor here, and signs it in.
        says: Who that is, for the reader of the demonstration.
        uscc: An organisation's number, made up, with right check characters.
        phone: A person's, made up.
        jurisdiction: What a regulator answers for.
        head: What whoever heads an organisation is called, made up.
    """

    login: str
    says: Text
    name: str
    role: RoleKind
    division_code: str
    uscc: str | None = None
    phone: str | None = None
    jurisdiction: str | None = None
    head: str | None = None

    @property
    def person(self) -> str:
        """What the person at the account is called."""
        return self.head or self.name

    @property
    def party(self) -> UUID:
        """Its party's id."""
        return id_of(f"party/{self.login}")

    @property
    def account(self) -> UUID:
        """Its account's id."""
        return id_of(f"account/{self.login}")

    @property
    def form(self) -> str:
        """Whether it is a person."""
        return "natural" if self.uscc is None else "legal"


OPERATOR: Final = Actor(
    "operator",
    Text("平台运营方", "runs the platform"),
    "一票通平台运营方（演示）",
    RoleKind.OPERATOR,
    "320613",
    uscc="91320613MA7NT90DXJ",
    head="程示范",
)
MARKET: Final = Actor(
    "gate",
    Text("市场门岗", "guards the market's gate"),
    "南通农副产品物流中心（演示）",
    RoleKind.MARKET,
    "320613",
    uscc="91320600MA7NT91D66",
    head="葛示范",
)
COLLECTOR: Final = Actor(
    "collector",
    Text("收购者", "buys from farms"),
    "如皋示范农产品收购有限公司（演示）",
    RoleKind.COLLECTOR,
    "320682105",
    uscc="91320682MA7NT92D28",
    head="丛示范",
)
STALL: Final = Actor(
    "stall",
    Text("摊主", "sells in the market"),
    "示范蔬菜批发部（演示）",
    RoleKind.STALL,
    "320613",
    uscc="92320613MA7NT93D9J",
    head="曹示范",
)
SECOND_STALL: Final = Actor(
    "stall2",
    Text("摊主", "sells in the market"),
    "便民示范菜行（演示）",
    RoleKind.STALL,
    "320613",
    uscc="92320613MA7NT94D5U",
    head="季示范",
)
SCHOOL: Final = Actor(
    "school",
    Text("学校食堂", "a school's canteen"),
    "崇川示范小学食堂（演示）",
    RoleKind.GROUP_BUYER,
    "320613",
    uscc="12320613MB0NT95D27",
    head="喻示范",
)
REGULATOR: Final = Actor(
    "regulator",
    Text("监管人员", "answers for the city"),
    "南通市市场监管（演示）",
    RoleKind.REGULATOR,
    "320600",
    uscc="11320600MB0NT96D9T",
    jurisdiction=CITY,
    head="保示范",
)


class Corner(NamedTuple):
    """A point in WGS-84."""

    longitude: float
    latitude: float


@dataclass(frozen=True, slots=True)
class Farm:
    """A farmer, a plot and what was cut on it, as spoken.

    Attributes:
        village: 12 digits.
        corner: South-west corner of the plot; where in the village is made up.
        jin: What was cut, and is sold.
    """

    farmer: Actor
    plot_name: str
    village: str
    corner: Corner
    area_m2: int
    jin: int

    @property
    def lot(self) -> UUID:
        """Its harvest's id."""
        return id_of(f"lot/{self.farmer.login}")

    @property
    def plot(self) -> UUID:
        """Its plot's id."""
        return id_of(f"place/{self.farmer.login}")

    @property
    def geometry(self) -> dict[str, Any]:
        """The plot as a GeoJSON polygon of roughly its area."""
        west, south = self.corner
        east, north = round(west + 0.0004, 6), round(south + 0.0002, 6)
        ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
        return {"type": "Polygon", "coordinates": [ring]}


def _farmer(login: str, name: str, village: str, phone: str) -> Actor:
    says = Text("农户", "grows chives")
    return Actor(login, says, name, RoleKind.FARMER, village, phone=phone)


FARMS: Final = (
    Farm(
        _farmer("farmer", "王示范", "320682105218", "19900000001"),
        "合兴村示范地块",
        "320682105218",
        Corner(120.7512, 32.2461),
        800,
        300,
    ),
    Farm(
        _farmer("farmer2", "顾示范", "320682117207", "19900000002"),
        "顾沈村示范地块",
        "320682117207",
        Corner(120.5021, 32.2893),
        667,
        240,
    ),
    Farm(
        _farmer("farmer3", "冒示范", "320682116202", "19900000003"),
        "丁许村示范地块",
        "320682116202",
        Corner(120.3794, 32.3515),
        500,
        180,
    ),
)

ACTORS: Final = (
    *(farm.farmer for farm in FARMS),
    COLLECTOR,
    MARKET,
    STALL,
    SECOND_STALL,
    SCHOOL,
    REGULATOR,
    OPERATOR,
)
OF_THE_MARKET: Final = (STALL, SECOND_STALL)
"""Whom the market registers, and not the operator."""


@dataclass(frozen=True, slots=True)
class Helper:
    """Somebody who works for an actor, made up.

    Attributes:
        phone: Signs the helper in, once the invitation is taken up.
        has_come: Whether it was.
    """

    employer: Actor
    name: str
    phone: str
    duty: Duty
    has_come: bool = True

    @property
    def account(self) -> UUID:
        """The helper's account."""
        return id_of(f"helper/{self.phone}")


HELPERS: Final = (
    Helper(STALL, "徐示范", "19900000011", Duty.STAFF),
    Helper(STALL, "沙示范", "19900000012", Duty.BOOKS, has_come=False),
    Helper(MARKET, "管示范", "19900000013", Duty.GATE),
    Helper(MARKET, "羌示范", "19900000014", Duty.STAFF),
    Helper(REGULATOR, "习示范", "19900000015", Duty.STAFF),
)


@dataclass(frozen=True, slots=True)
class Site:
    """A place of the market or in it."""

    key: str
    kind: str
    name: str
    keeper: Actor
    inside: UUID | None = None

    @property
    def id(self) -> UUID:
        """The place's id."""
        return id_of(f"place/{self.key}")


# The market is in 崇川; its township is not settled, so the county stands.
MARKET_SITE: Final = Site("market", "market", "南通农副产品物流中心（演示）", MARKET)
GATE: Final = Site("gate", "gate", "一号门（演示）", MARKET, MARKET_SITE.id)
STALL_SITE: Final = Site("stall", "stall", "蔬菜区 A-12（演示）", STALL, MARKET_SITE.id)
SECOND_STALL_SITE: Final = Site(
    "stall2", "stall", "蔬菜区 B-07（演示）", SECOND_STALL, MARKET_SITE.id
)
SITES: Final = (MARKET_SITE, GATE, STALL_SITE, SECOND_STALL_SITE)

CATERER_NAME: Final = "陈示范"
CATERER_PHONE: Final = "19900000009"
PLATE: Final = "苏F·DEMO1"

MERGED_LOT: Final = id_of("lot/merged")
MERGE: Final = id_of("change/merge")
MERGE_WITHOUT_CERTIFICATE: Final = id_of("change/merge-without-certificate")
MERGE_CERTIFICATE: Final = id_of("certificate/merged")

# In whole kilograms. Of every kilogram that the school buys, 5/12 come from the first plot, 4/12
# from the second and 3/12 from the third: the shares of a multiple of twelve are whole too.
TO_STALL_KG: Final = 200
ACCEPTED_KG: Final = 180
TO_SECOND_STALL_KG: Final = 100
TO_SCHOOL_KG: Final = 60
TO_CATERER_KG: Final = 36
TO_WALK_IN_JIN: Final = 3
