"""Reads the dated entry rules, sampling rules and kinds of papers, and loads them into tables."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.admission.models import EntryRule, PaperKind, SamplingRuleRow
from app.admission.policy import (
    Factor,
    Policy,
    Proof,
    Rule,
    SamplingRule,
    Severity,
    Trait,
)
from app.core.snapshot import Snapshot
from app.product.rules import Dated

LAW_LASTS_S = 60
_FILES: Mapping[type[EntryRule | SamplingRuleRow | PaperKind], str] = {
    EntryRule: "policy.json",
    SamplingRuleRow: "sampling.json",
    PaperKind: "papers.json",
}
_DAYS = frozenset({"valid_from", "valid_to"})


@dataclass(frozen=True, slots=True)
class KindOfPaper(Dated):
    """A kind of paper document, and for how long one of it counts.

    Attributes:
        days: Days after that of issue on which it still counts; None if for ever.
    """

    code: str
    zh: str
    en: str
    proofs: frozenset[Proof]
    days: int | None
    source: str
    verified: bool


def rows(name: str) -> list[dict[str, Any]]:
    """Read a file of dated rules."""
    source = resources.files("app.admission").joinpath(f"data/{name}")
    found: list[dict[str, Any]] = json.loads(source.read_text(encoding="utf-8"))
    return [
        {
            key: date.fromisoformat(value) if key in _DAYS and value else value
            for key, value in row.items()
        }
        for row in found
    ]


def rule_of(row: Mapping[str, Any]) -> Rule:
    """Build an entry rule from its row."""
    return Rule(
        **{
            **{key: row[key] for key in ("code", "policy", "valid_from", "valid_to", "finding")},
            "classes": frozenset(row["classes"]),
            "when": frozenset(Trait(trait) for trait in row["when"]),
            "unless": frozenset(Trait(trait) for trait in row["unless"]),
            "proofs": tuple(Proof(proof) for proof in row["proofs"]),
            "consequence": Severity(row["consequence"]),
            "source": row["source"],
            "verified": row["verified"],
        }
    )


def sampling_rule_of(row: Mapping[str, Any]) -> SamplingRule:
    """Build a sampling rule from its row."""
    return SamplingRule(
        **{
            **row,
            "factor": Factor(row["factor"]),
            "products": frozenset(row["products"]),
            "months": frozenset(row["months"]),
        }
    )


def paper_kind_of(row: Mapping[str, Any]) -> KindOfPaper:
    """Build a kind of paper from its row."""
    return KindOfPaper(**{**row, "proofs": frozenset(Proof(proof) for proof in row["proofs"])})


async def load(session: AsyncSession) -> None:
    """Load the rules that this release knows, in the place of what was there; safe to repeat."""
    for model, name in _FILES.items():
        await session.execute(delete(model))
        await session.execute(insert(model), rows(name))
    for remembered in (policy, sampling, paper_kinds):
        remembered.forget(session)


async def _all(session: AsyncSession, model: type[Any]) -> list[dict[str, Any]]:
    columns = model.__table__.columns
    # The order is that of the file: it is the order in which a verdict's rules are looked at.
    found = await session.execute(select(*columns).order_by(columns["no"]))
    return [{key: row[key] for key in row if key != "no"} for row in found.mappings()]


async def _read_policy(session: AsyncSession) -> Policy:
    return Policy(tuple(rule_of(row) for row in await _all(session, EntryRule)))


async def _read_sampling(session: AsyncSession) -> tuple[SamplingRule, ...]:
    return tuple(sampling_rule_of(row) for row in await _all(session, SamplingRuleRow))


async def _read_paper_kinds(session: AsyncSession) -> tuple[KindOfPaper, ...]:
    return tuple(paper_kind_of(row) for row in await _all(session, PaperKind))


policy = Snapshot(_read_policy, lasts_s=LAW_LASTS_S)
"""Answers the entry rules of all days."""

sampling = Snapshot(_read_sampling, lasts_s=LAW_LASTS_S)
"""Answers the sampling rules of all days."""

paper_kinds = Snapshot(_read_paper_kinds, lasts_s=LAW_LASTS_S)
"""Answers the kinds of papers of all days."""
