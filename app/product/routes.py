"""HTTP for the catalogue."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from app.core.clock import local_date
from app.core.db import DbSession
from app.core.problems import declare
from app.party.auth import allow
from app.product import search, service
from app.product.rules import Catalogue, Product, Production, Unit, UnknownProduct
from app.product.schemas import (
    ProcessOut,
    ProductBrief,
    ProductId,
    ProductOut,
    ProductUnitOut,
    RequirementOut,
    UnitOut,
)

LIMIT_MAX = 100

router = APIRouter(tags=["products"], dependencies=[Depends(allow("product.read"))])

OnDay = Annotated[date | None, Query(description="Day the rules are read for; today if left out.")]


@router.get("/products")
async def find_products(
    session: DbSession,
    q: Annotated[str, Query(max_length=50, description="Name, synonym, pinyin, initials.")] = "",
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = 20,
) -> list[ProductBrief]:
    """Find products as sellers call them: 洋芋, tudou and td all find 马铃薯."""
    catalogue = await service.catalogue(session)
    found = search.find(q, catalogue.products.values(), limit=limit)
    return [ProductBrief(**_brief(product)) for product in found]


@router.get("/products/{product_id}", responses=declare(UnknownProduct))
async def read_product(
    product_id: ProductId, request: Request, session: DbSession, on: OnDay = None
) -> ProductOut:
    """Read a product with the units, requirements and processes of a day."""
    day = on or local_date(request.app.state.clock())
    catalogue = await service.catalogue(session)
    return _product(catalogue.product(product_id), day, catalogue)


@router.get("/units")
async def list_units(session: DbSession) -> list[UnitOut]:
    """List all units, those of mass first."""
    return [_unit(unit) for unit in (await service.catalogue(session)).units.values()]


def _unit(unit: Unit) -> UnitOut:
    return UnitOut(
        code=unit.code,
        en=unit.en,
        kind=unit.kind,
        grams=unit.grams,
        aliases=list(unit.aliases),
    )


def _brief(product: Product) -> dict[str, object]:
    return {
        "id": product.id,
        "name": product.name,
        "group": product.group,
        "base_unit": product.base_unit,
        "local_specialty": product.local_specialty,
        "synonyms": [synonym.name for synonym in product.synonyms[1:]],
    }


def _product(product: Product, on: date, catalogue: Catalogue) -> ProductOut:
    rules = {
        rule
        for production in (Production.FARMED, Production.WILD)
        if (rule := catalogue.requirement(product.id, production, on)) is not None
    }
    return ProductOut(
        **_brief(product),
        on=on,
        nyt3177=product.nyt3177,
        gb2763_category=product.gb2763_category,
        specialty_note=product.specialty_note,
        units=[
            ProductUnitOut(
                unit=row.unit_code,
                grams_per_unit=row.grams_per_unit,
                pieces_per_unit=row.pieces_per_unit,
                source=row.source,
                verified=row.verified,
            )
            for row in catalogue.product_units(product.id, on)
        ],
        requirements=[
            RequirementOut.model_validate(rule)
            for rule in sorted(rules, key=lambda r: r.production)
        ],
        processes=[
            ProcessOut(code=process.code, zh=process.name.zh, en=process.name.en)
            for process in catalogue.processes_of(product.id, on)
        ],
        tolerance_permille=catalogue.tolerance_permille(product.id, on),
        source=product.source,
        verified=product.verified,
    )
