"""How the main job is told: one JSON object for machines, tables for people."""

from collections.abc import Iterable
from typing import Final

from rich.console import Console
from rich.table import Table

from app.core.errors import Text
from app.demo import scenario
from app.demo.main_job import Body, Outcome
from app.party.access import Duty
from app.product.units import spell_mass
from app.ticket.audit import Report

_DECISIONS: Final = {
    "ADMIT": Text("准予入场", "admit"),
    "ADMIT_AFTER_TEST": Text("检测合格后入场", "admit after test"),
    "HOLD": Text("暂扣", "hold"),
    "REFUSE": Text("拒绝入场", "refuse"),
}
_DUTIES: Final = {
    Duty.HEAD: Text("负责人", "heads it"),
    Duty.STAFF: Text("员工", "works for it"),
    Duty.GATE: Text("门岗", "stands at the gate"),
    Duty.BOOKS: Text("记账", "keeps the books"),
}
_STATUSES: Final = {
    "issued": Text("待验收", "issued"),
    "accepted": Text("已验收", "accepted"),
    "accepted_in_part": Text("部分验收", "accepted in part"),
    "refused": Text("已拒收", "refused"),
    "voided": Text("已作废", "voided"),
}
_FORMS: Final = {
    "conformity_producer": Text("合格证·式样一", "form 1"),
    "conformity_purchaser": Text("合格证·式样二", "form 2"),
}


def to_json(outcome: Outcome, books: Report) -> Body:
    """Write what the main job did as one object; its members do not change their meaning."""
    return {
        "certificates": [
            {
                "id": certificate["certificate"],
                "kind": certificate["kind"],
                "form": certificate["form"],
                "code": certificate["code"],
                "url": certificate["url"],
                "lot": certificate["lot"],
                "mass_g": certificate["mass_g"],
            }
            for certificate in outcome.certificates
        ],
        "tickets": [_ticket(outcome, ticket) for ticket in outcome.tickets],
        "refusal": None if outcome.refusal is None else {"code": outcome.refusal["code"]},
        "verdict": {
            "decision": outcome.verdict["decision"],
            "findings": outcome.verdict["findings"],
        },
        "trace_back": {
            "lot": outcome.trace_back["lot"],
            "mass_g": outcome.trace_back["asked_g"],
            "sources": [
                {
                    "lot": source["lot"],
                    "village": source["village"],
                    "producer": _name(source["producer"]),
                    "mass_g": source["mass_g"],
                }
                for source in outcome.trace_back["sources"]
            ],
            "completeness": outcome.trace_back["completeness"],
        },
        "trace_forward": {
            "lot": outcome.trace_forward["lot"],
            "mass_g": outcome.trace_forward["asked_g"],
            "holders": [
                {
                    "holder": _name(holder["party"]),
                    "roles": holder["roles"],
                    "received_g": holder["received_g"],
                    "exposed_g": holder["exposed_g"],
                    "remaining_g": holder["remaining_g"],
                }
                for holder in outcome.trace_forward["holders"]
            ],
            "in_transit": [
                {"ticket": way["ticket"], "buyer": _name(way["buyer"]), "mass_g": way["mass_g"]}
                for way in outcome.trace_forward["in_transit"]
            ],
        },
        "audit": books.counts(),
        "created": outcome.created,
        "seconds": outcome.seconds,
    }


def _ticket(outcome: Outcome, ticket: Body) -> Body:
    ticket_id = ticket["ticket"]
    return {
        "id": ticket_id,
        "code": ticket["code"],
        "url": ticket["url"],
        "decoded": outcome.decoded[ticket_id],
        "picture": str(outcome.pictures[ticket_id]),
        "seller": ticket["seller"]["name"],
        "buyer": None if ticket["buyer"] is None else ticket["buyer"]["name"],
        "hand_over": ticket["hand_over"],
        "status": ticket["status"],
        "mass_g": ticket["mass_g"],
    }


def _name(party: Body | None) -> str | None:
    return None if party is None else str(party["name"])


def tell(console: Console, outcome: Outcome, books: Report) -> None:
    """Print what the main job did, for people."""
    console.print(_certificates(outcome))
    console.print(_tickets(outcome))
    if outcome.refusal is not None:
        zh, en = outcome.refusal["zh"], outcome.refusal["en"]
        console.print(f"[red]✘[/] {zh['title']} · {en['title']} [dim]{outcome.refusal['code']}[/]")
        console.print(f"  [dim]→ {zh['next_step']} · {en['next_step']}[/]\n")
    console.print(_verdict(outcome))
    console.print(_back(outcome))
    console.print(_forward(outcome))
    console.print(_times(outcome))
    counts = books.counts()
    mark = "[red]✘[/]" if counts["faults"] else "[green]✔[/]"
    told = ", ".join(f"{name} {number}" for name, number in counts.items())
    console.print(f"{mark} 账目核对 · The books, checked: {told}\n")


def _table(zh: str, en: str, columns: Iterable[str], right: Iterable[str] = ()) -> Table:
    table = Table(title=f"{zh} · {en}", title_justify="left", title_style="bold", expand=False)
    numbers = set(right)
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left")
    return table


def _both(text: Text) -> str:
    return f"{text.zh} {text.en}"


def _mass(mass_g: int | None) -> str:
    return "" if mass_g is None else spell_mass(mass_g).zh


def _certificates(outcome: Outcome) -> Table:
    table = _table("合格证", "Certificates", ("code", "form", "mass", "bases"), ("mass",))
    for certificate in outcome.certificates:
        table.add_row(
            certificate["code"],
            f"{_both(_FORMS[certificate['kind']])} ({certificate['form']})",
            _mass(certificate["mass_g"]),
            ", ".join(certificate["bases"]),
        )
    return table


def _tickets(outcome: Outcome) -> Table:
    columns = ("code", "seller → buyer", "mass", "status", "QR read back")
    table = _table("一票通", "Tickets", columns, ("mass",))
    for ticket in outcome.tickets:
        buyer = "散客 walk-in" if ticket["buyer"] is None else ticket["buyer"]["name"]
        way = " (one-sided 单方)" if ticket["hand_over"] == "one_sided" else ""
        same = outcome.decoded[ticket["ticket"]] == ticket["url"]
        table.add_row(
            ticket["code"],
            f"{ticket['seller']['name']}\n→ {buyer}{way}",
            _mass(ticket["mass_g"]),
            _both(_STATUSES[ticket["status"]]),
            f"{'✔' if same else '✘'} {outcome.pictures[ticket['ticket']].name}",
        )
    return table


def _verdict(outcome: Outcome) -> Table:
    decision = _both(_DECISIONS[outcome.verdict["decision"]])
    table = _table("门岗判定", f"Verdict at the gate: {decision}", ("finding", "", "rule"))
    for finding in outcome.verdict["findings"]:
        table.add_row(finding["code"], f"{finding['zh']}\n{finding['en']}", finding["source"])
    return table


def _back(outcome: Outcome) -> Table:
    trace = outcome.trace_back
    table = _table(
        "追溯来源",
        f"Back from the school's {_mass(trace['asked_g'])} (as the school sees it)",
        ("village", "producer", "mass", "share"),
        ("mass", "share"),
    )
    for source in trace["sources"]:
        share = f"{source['share']:.1%}"
        producer = _name(source["producer"]) or "?"
        table.add_row(source["village"], producer, _mass(source["mass_g"]), share)
    total_g = sum(source["mass_g"] for source in trace["sources"])
    table.add_section()
    table.add_row("合计 sum", "", _mass(total_g), "")
    return table


def _forward(outcome: Outcome) -> Table:
    trace = outcome.trace_forward
    table = _table(
        "追踪去向",
        f"Ahead of {scenario.FARMS[0].farmer.name}'s {_mass(trace['asked_g'])} (regulator)",
        ("holder", "roles", "received", "of that lot", "left"),
        ("received", "of that lot", "left"),
    )
    for holder in trace["holders"]:
        table.add_row(
            _name(holder["party"]) or "散客 walk-in",
            ", ".join(holder["roles"]),
            _mass(holder["received_g"]),
            _mass(holder["exposed_g"]),
            _mass(holder["remaining_g"]),
        )
    for way in trace["in_transit"]:
        buyer = f"{_name(way['buyer']) or '?'} (在途 not accepted yet)"
        table.add_row(buyer, "", _mass(way["mass_g"]), "", "")
    return table


def _times(outcome: Outcome) -> Table:
    table = _table("耗时", "Seconds", ("step", "s"), ("s",))
    for step, seconds in outcome.seconds.items():
        table.add_row(step, f"{seconds:.2f}")
    table.add_section()
    table.add_row("sum", f"{sum(outcome.seconds.values()):.2f}")
    return table


def tell_accounts(console: Console, outcome: Outcome, base_url: str) -> None:
    """Print how to look around: accounts, pages, the description of the API."""
    table = _table("演示账号", "Demo accounts", ("login", "password", "who", "party"))
    for actor in scenario.ACTORS:
        table.add_row(actor.login, scenario.PASSWORD, _both(actor.says), actor.name)
    for helper in scenario.HELPERS:
        if helper.has_come:
            says = _both(_DUTIES[helper.duty])
            table.add_row(helper.phone, scenario.PASSWORD, says, helper.employer.name)
    console.print(table)
    caterer = scenario.CATERER_NAME
    if outcome.claim_code:
        console.print(
            f"受邀餐饮 {caterer} 凭手机号和认领码开户 · The invited caterer takes over with phone "
            f"{scenario.CATERER_PHONE} and claim code {outcome.claim_code} (POST /claims)"
        )
    page = outcome.ticket(scenario.SCHOOL.login)["url"]
    console.print("[bold]演示数据, 人员、企业均为虚构 · Made-up data[/]")
    for zh, en, address in (
        ("公开票据页", "public page of the school's ticket", page),
        ("接口文档", "the API", f"{base_url}/docs"),
    ):
        console.print(f"{zh} · {en}:")
        console.print(address, soft_wrap=True, highlight=False)
