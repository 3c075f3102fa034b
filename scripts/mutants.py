"""Tries the tests: breaks the code on purpose, one small break at a time, and sees them fail.

    python3 scripts/mutants.py                  all of it, some minutes
    python3 scripts/mutants.py --only no-lock   one break; may be repeated
    python3 scripts/mutants.py --json           the table as JSON, on standard output

Each break is a replacement of text that must occur exactly once, made in a copy of the tree; ours
is never touched. The tests that should notice run first on the copy as it is: a test that is red
anyway proves nothing. Exit code 1 if a break survives, cannot be made, or stops the tests from
running at all (a break that nobody can import was not noticed by a test).
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import bootstrap

ROOT: Final = bootstrap.ROOT
SECONDS_MAX: Final = 1_200
TESTS_FAILED: Final = 1  # pytest's exit code; others say that they did not run
_CULPRIT: Final = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One break.

    Attributes:
        file: What is changed.
        old: Text that occurs in it exactly once.
        new: What stands there instead.
        tests: The test files, or single tests, one of which must fail.
    """

    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def apply(self, text: str) -> str:
        """Answer the broken text.

        Raises:
            ValueError: the text to replace is not there exactly once, or the result is no Python.
        """
        if (count := text.count(self.old)) != 1:
            message = f"{self.file}: the text to replace is there {count} times"
            raise ValueError(message)
        broken = text.replace(self.old, self.new)
        try:
            ast.parse(broken)
        except SyntaxError as error:
            message = f"{self.file}: what comes out is no Python: {error}"
            raise ValueError(message) from error
        return broken


_TICKETS = "tests/integration/test_tickets.py"
_COUNTER = "tests/integration/test_counter.py"
_CERTIFICATES = "tests/integration/test_certificates.py"
_LOTS = "tests/integration/test_lots.py"
_HOLDS = "tests/integration/test_holds.py"
_RECALLS = "tests/integration/test_recalls.py"
_REFERRALS = "tests/integration/test_referrals.py"
_RELEASES = "tests/integration/test_hold_releases.py"
_SCANS = "tests/integration/test_scans.py"
_REFUSALS = "tests/integration/test_refusals.py"
_INSPECTIONS = "tests/integration/test_inspections.py"
_EVIDENCE = "tests/integration/test_evidence.py"
_ENTRY = "tests/unit/test_entry_policy.py"
_BOOKS = "tests/model/test_books.py"
_BURSTS = "tests/model/test_bursts.py"
_DEVICES = "tests/integration/test_devices.py"
_BUNDLE = "tests/integration/test_bundle.py"
_LABELS = "tests/integration/test_labels.py"
_SAMPLES = "tests/integration/test_samples.py"
_GATE_TESTS = "tests/integration/test_gate_tests.py"
_REPORTS = "tests/integration/test_reports.py"
_ANSWER_REMINDED = "test_what_was_taken_up_is_reminded_of_its_answer_and_anew_once_put_off"
_NOTICES = "tests/integration/test_notices.py"
_STAFF = "tests/integration/test_staff.py"
_CODES = "tests/integration/test_codes.py"
_PROOF = "tests/integration/test_proof.py"

MUTANTS: Final = MappingProxyType(
    {
        "answer-before-commit": Mutant(
            "app/core/db.py",
            'DbSession = Annotated[AsyncSession, Depends(_session, scope="function")]',
            "DbSession = Annotated[AsyncSession, Depends(_session)]",
            ("tests/integration/test_commit.py",),
        ),
        "commit-in-two-halves": Mutant(
            "app/ticket/issue.py",
            "        await _hand_over_at_once(session, written)",
            '        await session.execute(text("COMMIT"))\n'
            "        await _hand_over_at_once(session, written)",
            ("tests/integration/test_commit.py",),
        ),
        "counter-asks-no-scope": Mutant(
            "app/ticket/counter.py",
            "        access.authorize(caller, ACTION)\n",
            "",
            (_COUNTER,),
        ),
        "counter-waits-for-locks": Mutant(
            "app/ticket/counter.py",
            '"SET LOCAL lock_timeout = 100"',
            '"SET LOCAL lock_timeout = 10000"',
            (_COUNTER,),
        ),
        "counter-fails-all-for-one": Mutant(
            "app/ticket/counter.py",
            "        except Exception as error:",
            "        except ZeroDivisionError as error:",
            (_COUNTER,),
        ),
        "counter-tells-of-no-certificate": Mutant(
            "app/ticket/record.py",
            "    FROM new_draw WHERE certificate_ids <> '{{}}'",
            "    FROM new_draw WHERE certificate_ids = '{{}}'",
            (_COUNTER,),
        ),
        "counter-answers-a-repeat-as-new": Mutant(
            "app/ticket/counter.py",
            "if not isinstance(outcome, DomainError) and outcome[1]",
            "if not isinstance(outcome, DomainError)",
            (_COUNTER,),
        ),
        "no-lock-on-balances": Mutant(
            "app/lot/service.py",
            '") ORDER BY b.lot_id FOR NO KEY UPDATE OF b"',
            '") ORDER BY b.lot_id"',
            (f"{_BURSTS}::test_the_last_grams_are_given_away_once",),
        ),
        "no-lock-on-a-ticket": Mutant(
            "app/ticket/service.py",
            "        .with_for_update(of=TicketState, key_share=True)\n",
            "",
            (f"{_BURSTS}::test_a_burst_of_commands_comes_to_what_some_order_of_them_gives",),
        ),
        "no-draw": Mutant(
            "app/lot/service.py",
            "    SET remaining_g = b.remaining_g - d.mass_g,",
            "    SET remaining_g = b.remaining_g,",
            (_TICKETS,),
        ),
        "a-gram-too-much-of-a-lot": Mutant(
            "app/lot/rules.py",
            "    if draw.mass_g > lot.remaining_g:",
            "    if draw.mass_g > lot.remaining_g + 1:",
            (_REFUSALS,),
        ),
        "a-gram-too-much-on-a-line": Mutant(
            "app/ticket/rules.py",
            "        if mass_g > left_g:",
            "        if mass_g > left_g + 1:",
            (_REFUSALS,),
        ),
        "a-gram-lost-in-sharing": Mutant(
            "app/lot/rules.py",
            "    for index in order[: total - sum(shares)]:",
            "    for index in order[: total - sum(shares) - 1]:",
            (_LOTS,),
        ),
        "ticket-id-reused-unnoticed": Mutant(
            "app/ticket/issue.py",
            "                if digest != draft.digest:",
            '                if digest == b"":',
            (_REFUSALS,),
        ),
        "certificate-id-reused-unnoticed": Mutant(
            "app/certificate/service.py",
            "        if existing.digest != draft.digest(issuer):",
            '        if existing.digest == b"":',
            (_REFUSALS,),
        ),
        "ticket-missing-in-the-log": Mutant(
            "app/transparency/service.py",
            "AS e (kind, subject, leaf, ord)\n",
            "AS e (kind, subject, leaf, ord)\n    WHERE kind <> 'ticket.issued'\n",
            (_TICKETS,),
        ),
        "certificate-missing-in-the-log": Mutant(
            "app/certificate/service.py",
            "    await transparency.append(session, [statement], now=now)\n    return certificate",
            "    return certificate",
            (_CERTIFICATES,),
        ),
        "change-missing-in-the-log": Mutant(
            "app/lot/changes.py",
            "    await transparency.append(session, statements, now=now)\n    return changes",
            "    return changes",
            (_LOTS,),
        ),
        "signature-unchecked": Mutant(
            "app/signing/keys.py",
            "    _public_key(public_key).verify(signature, signing_input(payload))",
            "    _public_key(public_key)",
            ("tests/unit/test_keys.py",),
        ),
        "key-of-another-class": Mutant(
            "app/signing/keys.py",
            "        if claims.type not in TOKEN_TYPES[key.issuer_class]:  # 3",
            "        if claims.type is None:  # 3",
            ("tests/unit/test_keys.py",),
        ),
        "token-spelled-twice": Mutant(
            "app/signing/token.py",
            '    elif text[0] == "0":',
            '    elif text[0] == "-":',
            ("tests/unit/test_token.py",),
        ),
        "token-dated-by-its-paper": Mutant(
            "app/certificate/service.py",
            "        signed_at=now,",
            "        signed_at=draft.issued_at,",
            (_CERTIFICATES,),
        ),
        "edge-grams-wrong": Mutant(
            "app/lot/service.py",
            '"edge_grams": array([parent.mass_g for',
            '"edge_grams": array([parent.mass_g + 1 for',
            (_LOTS,),
        ),
        "claim-taken-for-proof": Mutant(
            "app/ticket/issue.py",
            "                proof=Proof.CLAIMED,",
            "                proof=Proof.PROVED,",
            (_TICKETS,),
        ),
        "diamond-counted-once": Mutant(
            "app/trace/rules.py",
            "            flow[src] += part",
            "            flow[src] = part",
            ("tests/unit/test_trace_rules.py",),
        ),
        "cover-not-counted": Mutant(
            "app/lot/service.py",
            "        cover_used_g = b.cover_used_g + d.cover_g",
            "        cover_used_g = b.cover_used_g",
            (_CERTIFICATES,),
        ),
        "void-keeps-the-cover": Mutant(
            "app/certificate/service.py",
            "        await lots.decertify(session, found.lot_id, found.mass_g)",
            "        assert found.mass_g",
            (_CERTIFICATES,),
        ),
        "mixed-without-a-certificate": Mutant(
            "app/lot/rules.py",
            "    if certificate_due and not certified and shared_producer("
            "draw.lot for draw in draws) is None:",
            "    if certificate_due and not certified and not draws:",
            (_REFUSALS,),
        ),
        "hold-ignored": Mutant(
            "app/lot/rules.py",
            "    if lot.holds and not held_too:",
            "    if lot.holds < 0 and not held_too:",
            (_HOLDS,),
        ),
        "recalled-goods-destroyed-without-proof": Mutant(
            "app/lot/rules.py",
            "    if recall is not None:",
            "    if recall is not None and lot.holds < 0:",
            (_RECALLS,),
        ),
        "annulled-by-whoever-leads": Mutant(
            "app/recall/annulments.py",
            "    if not await queries.in_charge(session, recall, caller, on=local_date(now)):",
            "    if not caller.supervises:",
            (_RECALLS,),
        ),
        "signed-off-by-whoever-opened-it": Mutant(
            "app/recall/following.py",
            "    if not recall.mock and not await queries.in_charge(",
            "    if recall.id < 0 and not await queries.in_charge(",
            (_RECALLS,),
        ),
        "operator-is-an-office": Mutant(
            "app/party/access.py",
            "    area = caller.jurisdiction if caller.is_office else None\n",
            '    area = caller.jurisdiction if caller.is_office else ""\n'
            "    area = area if caller.supervises else None\n",
            (f"{_RECALLS}::test_whoever_runs_the_platform_sees_a_recall_and_decides_nothing",),
        ),
        "ended-where-some-of-it-lies": Mutant(
            "app/recall/rules.py",
            "all(office in those for those in answering)",
            "any(office in those for those in answering)",
            (f"{_RECALLS}::test_an_office_over_all_the_goods_in_question_ends_a_recall",),
        ),
        "ended-by-the-openers-county": Mutant(
            "app/recall/queries.py",
            "    return caller.party_id in await offices_in_charge(session, recall, on=on)",
            "    return await _is_its(session, recall, caller)",
            (f"{_RECALLS}::test_an_office_over_all_the_goods_in_question_ends_a_recall",),
        ),
        "sign-off-asked-for-what-is-open": Mutant(
            "app/recall/following.py",
            "    rules.check_closure(totals, body.outcome, signed_g=totals.sampled_g, mock=False)",
            "    rules.check_closure(totals, body.outcome, signed_g=totals.sampled_g, mock=True)",
            (f"{_RECALLS}::test_whoever_leads_a_recall_asks_for_it_to_be_signed_off",),
        ),
        "market-closes-its-own-case": Mutant(
            "app/admission/rulings.py",
            "        if runs:\n            raise gate.CaseOfTheMarket",
            "        if runs and case.id < 0:\n            raise gate.CaseOfTheMarket",
            (_INSPECTIONS,),
        ),
        "two-markets-are-one": Mutant(
            "app/admission/gate.py",
            "    return kind in _WITHIN_A_MARKET and not elsewhere",
            "    return kind in _WITHIN_A_MARKET",
            (_INSPECTIONS,),
        ),
        "second-word-is-swallowed": Mutant(
            "app/recall/following.py",
            "        if not _is_acknowledged_so(notice, body, caller, digest):",
            "        if recall.id < 0:",
            (f"{_RECALLS}::test_a_second_word_on_a_notice_is_refused_and_not_lost",),
        ),
        "danger-before-the-goods": Mutant(
            "app/recall/opening.py",
            "    if known_at < born:\n        raise rules.KnownBeforeGoods",
            "    if known_at < born and not roots.upstream:\n        raise rules.KnownBeforeGoods",
            (f"{_RECALLS}::test_a_danger_is_known_between_the_birth_of_the_goods_and_now",),
        ),
        "withdrawn-keeps-the-case-open": Mutant(
            "app/recall/queries.py",
            "AND answered_at IS NULL AND withdrawn_at IS NULL)",
            "AND answered_at IS NULL)",
            (_REFERRALS,),
        ),
        "withdrawn-by-whoever-was-asked": Mutant(
            "app/recall/referrals.py",
            "    if not await _may_withdraw(session, referral, caller, on=local_date(now)):",
            "    if not _may_answer(referral, caller):",
            (_REFERRALS,),
        ),
        "some-of-a-finding-let-go": Mutant(
            "app/recall/service.py",
            "    if refused:\n",
            "    if len(refused) == len(found):\n",
            (_RELEASES,),
        ),
        "second-release-is-swallowed": Mutant(
            "app/recall/service.py",
            "    if hold.released_at is not None and (",
            "    if hold.id < 0 and hold.released_at is not None and (",
            (_HOLDS,),
        ),
        "batch-locks-crosswise": Mutant(
            "app/testing/devices.py",
            "    await lots.lock_with_kept(session, rows.scalars())",
            "    await lots.lock_by_id(session, rows.scalars())",
            (f"{_RELEASES}::test_a_batch_locks_all_that_it_may_hold_oldest_first",),
        ),
        "born-meanwhile-locked-last": Mutant(
            "app/lot/service.py",
            "                    raise _BornMeanwhile",
            "                    continue",
            (f"{_RELEASES}::test_what_is_born_meanwhile_is_locked_in_its_turn",),
        ),
        "samples-signed-off-unseen": Mutant(
            "app/recall/rules.py",
            "    if totals.sampled_g != signed_g:",
            "    if totals.sampled_g < signed_g:",
            (_RECALLS,),
        ),
        "photo-proves-everything": Mutant(
            "app/evidence/service.py",
            "        if fresh is None:",
            "        if not named:",
            (_RECALLS,),
        ),
        "held-goods-sampled-away": Mutant(
            "app/testing/service.py",
            "portions, held=lot.holds > 0, now=now)",
            "portions, held=False, now=now)",
            (_SAMPLES,),
        ),
        "goods-sampled-away": Mutant(
            "app/testing/allowances.py",
            "    if portion.taken_g + wanted_g > most_g:",
            "    if held and portion.taken_g + wanted_g > most_g:",
            (f"{_SAMPLES}::test_a_market_takes_what_a_test_needs_and_an_office_takes_more",),
        ),
        "goods-sampled-away-bag-by-bag": Mutant(
            "app/testing/service.py",
            "Sample.while_held if lot.holds else ~Sample.on_the_way,",
            "Sample.while_held,",
            (f"{_SAMPLES}::test_a_market_takes_what_a_test_needs_and_an_office_takes_more",),
        ),
        "allowance-of-the-day-that-is-told": Mutant(
            "app/testing/service.py",
            "    days = {local_date(body.taken_at or now), local_date(now)}",
            "    days = {local_date(body.taken_at or now)}",
            (f"{_SAMPLES}::test_an_earlier_day_allows_no_more",),
        ),
        "held-goods-certified": Mutant(
            "app/certificate/service.py",
            "    if lot.holds:",
            "    if lot.holds < 0:",
            (_HOLDS,),
        ),
        "early-clock-forgets-tests": Mutant(
            "app/admission/books.py",
            "    standings = await testing.standings(session, list(ancestry.lots), now)",
            "    standings = await testing.standings(session, list(ancestry.lots), at)",
            (_INSPECTIONS,),
        ),
        "clock-chooses-the-law": Mutant(
            "app/event/lateness.py",
            "return Late(at, told_at) if told_at - at > timedelta(hours=most_h) else None",
            "return None",
            (f"{_INSPECTIONS}::test_a_clock_chooses_no_law_for_goods_without_a_code",),
        ),
        "lateness-of-the-day-that-is-told": Mutant(
            "app/event/lateness.py",
            "for rule in rules if rule.in_force(local_date(told_at))",
            "for rule in rules if rule.in_force(local_date(at))",
            (_ENTRY,),
        ),
        "seller-chooses-the-law": Mutant(
            "app/admission/books.py",
            "for on in judged_on(ticket.sold_at, told_late)",
            "for on in judged_on(ticket.sold_at, None)",
            (f"{_INSPECTIONS}::test_a_seller_who_tells_late_of_a_sale_chooses_no_law_either",),
        ),
        "split-escapes-a-finding": Mutant(
            "app/testing/cases.py",
            "    for part in await lots.kept(session, lot):",
            "    for part in []:",
            (f"{_SAMPLES}::test_what_was_split_off_before_the_finding_is_held_as_well",),
        ),
        "sampler-chooses-the-law": Mutant(
            "app/testing/service.py",
            "    return judged_on(sample.taken_at, told_late)",
            "    return judged_on(sample.taken_at, None)",
            (f"{_SAMPLES}::test_nobody_chooses_the_bands_of_a_quick_test_by_an_early_sample",),
        ),
        "uncertified-by-an-early-sale": Mutant(
            "app/ticket/issue.py",
            "for on in judged_on(draft.sold_at, late(law.lateness, draft.sold_at, around.now))",
            "for on in judged_on(draft.sold_at, None)",
            (f"{_CERTIFICATES}::test_nobody_chooses_a_law_without_certificates_by_an_early_sale",),
        ),
        "milder-of-two-days": Mutant(
            "app/admission/rules.py",
            "    return min(weighed, key=lambda each: GRAVEST_FIRST.index(each.severity))",
            "    return max(weighed, key=lambda each: GRAVEST_FIRST.index(each.severity))",
            (_ENTRY,),
        ),
        "old-clock-revives-a-ticket": Mutant(
            "app/admission/rules.py",
            "    return facts.now if facts.told_late is None else facts.told_late.told_at",
            "    return facts.now",
            (f"{_INSPECTIONS}::test_an_old_clock_revives_no_paper_ticket_or_agreement",),
        ),
        "old-clock-revives-a-test": Mutant(
            "app/admission/rulings.py",
            "    *_, since = judged_on(",
            "    since, *_ = judged_on(",
            (f"{_INSPECTIONS}::test_an_old_clock_makes_no_old_test_one_of_these_goods",),
        ),
        "silent-clock-believed": Mutant(
            "app/admission/gate.py",
            "        if self.sent_at is None:\n",
            "        if False:\n",
            ("tests/unit/test_gate_rules.py",),
        ),
        "held-goods-accepted": Mutant(
            "app/ticket/decide.py",
            "        if stock[lot_id].holds:",
            "        if stock[lot_id].holds < 0:",
            (_HOLDS,),
        ),
        "sold-by-a-stranger": Mutant(
            "app/lot/rules.py",
            "    if lot.holder_id != holder_id:\n        raise NotHolder",
            "    if lot.holder_id is None:\n        raise NotHolder",
            (_REFUSALS,),
        ),
        "void-puts-back-twice": Mutant(
            "app/ticket/void.py",
            "    if state.status == TicketStatus.VOIDED:\n        return ticket, False\n"
            "    if state.status != TicketStatus.ISSUED:",
            "    if state.status not in {TicketStatus.ISSUED, TicketStatus.VOIDED}:",
            (_REFUSALS,),
        ),
        "decided-twice": Mutant(
            "app/ticket/decide.py",
            "    if state.decision_digest is not None:",
            '    if state.decision_digest == b"":',
            (_REFUSALS,),
        ),
        "scan-not-recorded": Mutant(
            "app/admission/service.py",
            "    session.add(row)\n",
            "",
            (_SCANS,),
        ),
        "expired-a-moment-too-late": Mutant(
            "app/admission/rules.py",
            "    if now >= paper.expires_at:",
            "    if now > paper.expires_at:",
            ("tests/unit/test_admission_rules.py", _SCANS),
        ),
        "gates-take-no-turns": Mutant(
            "app/admission/inspections.py",
            "    await _take_turns(session, looks)\n",
            "",
            (f"{_INSPECTIONS}::test_one_ticket_shown_at_two_gates_at_once_is_admitted_once",),
        ),
        "offline-ordered-by-arrival": Mutant(
            "app/admission/inspections.py",
            "if other.at <= scene.at",
            "if other.at is not None",
            (f"{_INSPECTIONS}::test_offline_copies_open_a_case_whatever_order_they_arrive_in",),
        ),
        "device-clock-believed": Mutant(
            "app/admission/gate.py",
            "clocking.device_at + clocking.offset",
            "clocking.device_at",
            ("tests/unit/test_gate_rules.py",),
        ),
        "rules-of-today-for-ever": Mutant(
            "app/admission/policy.py",
            "if rule.proofs and rule.in_force(on) and rule.is_for(product_class, traits):",
            "if rule.proofs and rule.valid_to is None and rule.is_for(product_class, traits):",
            (_ENTRY,),
        ),
        "expired-paper-proves": Mutant(
            "app/admission/rules.py",
            "return in_time and fits and document.product in {None, goods.product}",
            "return fits and document.product in {None, goods.product}",
            (f"{_INSPECTIONS}::test_what_papers_prove_and_what_is_wrong_with_them",),
        ),
        "market-releases-what-is-held": Mutant(
            "app/admission/gate.py",
            "if Decision.REFUSE in {former, verdict} or not RESERVED.isdisjoint(findings):",
            "if Decision.REFUSE in {former, verdict}:",
            ("tests/unit/test_gate_rules.py",),
        ),
        "market-lets-in-what-a-device-held": Mutant(
            "app/admission/gate.py",
            "if Decision.REFUSE in {former, verdict} or",
            "if former is Decision.REFUSE or",
            ("tests/unit/test_gate_rules.py",),
        ),
        "borrowed-report-proves": Mutant(
            "app/admission/rules.py",
            "    fits = document.report is None or document.report.counts\n",
            "    fits = True\n",
            ("tests/unit/test_named_tests.py",),
        ),
        "any-laboratory-reports": Mutant(
            "app/testing/commissions.py",
            "    return sample.taken_by == party_id or any(",
            "    return True or any(",
            ("tests/integration/test_samples.py",),
        ),
        "held-ancestors-of-the-whole-vehicle": Mutant(
            "app/admission/books.py",
            "    behind = [(lot, ancestry.lots[lot]) for lot in ancestry.behind(near)]\n",
            "    behind = list(ancestry.lots.items())\n",
            ("tests/integration/test_gate_statements.py",),
        ),
        "draw-without-the-line": Mutant(
            "app/admission/policy.py",
            "hmac.new(seed, line.bytes, hashlib.sha256)",
            "hmac.new(seed, b'', hashlib.sha256)",
            (_ENTRY,),
        ),
        "seed-revealed-at-once": Mutant(
            "app/admission/sampling.py",
            "for day in sorted(day for day in known if day < today):",
            "for day in sorted(known):",
            (f"{_INSPECTIONS}::test_a_draw_is_committed_before_the_day_and_can_be_recomputed",),
        ),
        "photo-kept-as-it-came": Mutant(
            "app/evidence/rules.py",
            "    content = written.getvalue()\n",
            "    content = uploaded\n",
            (_EVIDENCE,),
        ),
        "role-check-dropped": Mutant(
            "app/party/auth.py",
            "        authorize(caller, action)\n",
            "",
            ("tests/contract/test_access_matrix.py",),
        ),
        "heads-not-in-order": Mutant(
            "app/party/staff.py",
            "    party = await service.locked(session, around.party)\n",
            "    party = await service.find(session, around.party)\n",
            (f"{_STAFF}::test_two_heads_who_step_down_at_once_leave_one",),
        ),
        "shut-out-while-waiting-acts-on": Mutant(
            "app/party/staff.py",
            "        if mine.disabled_at is not None:\n",
            "        if False:\n",
            (f"{_STAFF}::test_two_heads_who_shut_each_other_out_leave_one",),
        ),
        "sessions-outlive-the-door": Mutant(
            "app/party/staff.py",
            "        await credentials.end_sessions(session, account.id)\n",
            "",
            (f"{_STAFF}::test_whoever_is_shut_out_is_out_at_once",),
        ),
        "old-password-goes-on": Mutant(
            "app/party/credentials.py",
            "            Account.password_hash == account.password_hash,\n",
            "",
            (f"{_CODES}::test_whoever_signs_in_with_the_old_password_meanwhile_is_out",),
        ),
        "reset-code-stays-good": Mutant(
            "app/party/codes.py",
            "    account.password_hash, given.used_at = password_hash, now\n",
            "    account.password_hash = password_hash\n",
            (f"{_CODES}::test_one_code_is_used_once",),
        ),
        "tries-are-taken-back": Mutant(
            "app/party/routes.py",
            "        await codes.count_try(counting, ",
            "        await codes.count_try(session, ",
            (f"{_CODES}::test_a_code_bears_ten_tries_that_outlive_their_refusals",),
        ),
        "keys-outlive-their-maker": Mutant(
            "app/party/staff.py",
            "            await credentials.end_keys(session, account.id, now=around.now)\n",
            "",
            (f"{_CODES}::test_keys_end_with_whoever_made_them",),
        ),
        "key-is-made-on-the-way-out": Mutant(
            "app/party/credentials.py",
            "        .with_for_update(read=True)\n",
            "",
            (f"{_CODES}::test_a_key_that_is_made_while_its_maker_is_shut_out_is_none",),
        ),
        "device-code-is-taken-along": Mutant(
            "app/bundle/devices.py",
            "    if maker is not None and await credentials.kept_in(session, maker) is None:\n",
            "    if False:\n",
            (f"{_CODES}::test_a_code_for_a_device_ends_with_whoever_made_it",),
        ),
        "name-erased-while-asked-about": Mutant(
            "app/ledger/names.py",
            "        if kept.until > today or is_asked_about:\n",
            "        if kept.until > today:\n",
            (f"{_CODES}::test_a_name_is_kept_while_a_hold_asks_about_its_days",),
        ),
        "duty-is-no-limit": Mutant(
            "app/party/access.py",
            "    granted = caller.scopes if caller.duty is None else ACTIONS_OF[caller.duty]\n",
            "    granted = caller.scopes\n",
            ("tests/unit/test_access.py", _STAFF),
        ),
        "name-not-masked-in-public": Mutant(
            "app/web/queries.py",
            "        return _Party(identifiers.mask_name(name), masked=True)",
            "        return _Party(name, masked=True)",
            ("tests/integration/test_public_page.py",),
        ),
        "test-holds-nothing": Mutant(
            "app/testing/cases.py",
            "    if after in HOLDING:\n        await _hold(",
            "    if False:\n        await _hold(",
            (f"{_SAMPLES}::test_a_finding_holds_the_lot_in_the_same_instant",),
        ),
        "sample-takes-nothing": Mutant(
            "app/testing/service.py",
            "    await lots.draw(session, withdrawal)\n",
            "",
            (f"{_SAMPLES}::test_the_grams_of_a_sample_leave_the_lot",),
        ),
        "limit-of-another-day": Mutant(
            "app/testing/limits.py",
            "            if limit.in_force(on)\n",
            "            if limit.valid_to is None\n",
            ("tests/unit/test_limits.py",),
        ),
        "no-limit-is-a-pass": Mutant(
            "app/testing/limits.py",
            "        return ItemVerdict.NO_LIMIT\n",
            "        return ItemVerdict.PASS\n",
            ("tests/unit/test_limits.py",),
        ),
        "lab-clears-too-much": Mutant(
            "app/testing/rules.py",
            "    if read[first].substances & looked_for:",
            "    if looked_for:",
            ("tests/unit/test_testing_rules.py",),
        ),
        "push-taken-twice": Mutant(
            "app/testing/devices.py",
            "    if seen is None:\n        raise push.PushReplayed",
            "    if False:\n        raise push.PushReplayed",
            (f"{_DEVICES}::test_a_push_is_good_once",),
        ),
        "push-of-any-time": Mutant(
            "app/testing/push.py",
            "    if abs(now - datetime.fromtimestamp(int(timestamp), UTC)) > SKEW:",
            "    if False:",
            (f"{_DEVICES}::test_a_push_that_is_not_signed_is_not_believed",),
        ),
        "bad-record-spoils-the-batch": Mutant(
            "app/testing/devices.py",
            "        except DomainError as refusal:\n            answer =",
            "        except ZeroDivisionError as refusal:\n            answer =",
            (f"{_DEVICES}::test_a_bad_record_is_refused_alone_with_its_row",),
        ),
        "anybody-samples-anything": Mutant(
            "app/testing/service.py",
            "    if lot.holder_id != caller.acting_party:\n        await answers_for(",
            "    if False:\n        await answers_for(",
            (f"{_SAMPLES}::test_a_sample_refused_in_order",),
        ),
        "market-lifts-what-its-test-held": Mutant(
            "app/recall/service.py",
            "    if hold.cause == HoldCause.TEST and Audience.REGULATOR not in caller.audiences:",
            "    if False:",
            (f"{_SAMPLES}::test_a_markets_hold_of_a_test_is_lifted_by_a_test_or_an_office",),
        ),
        "quick-test-of-another-market": Mutant(
            "app/bundle/quicktests.py",
            "            InspectionLine.public_id == public_id,\n"
            "            Inspection.market_id == device.market_id,\n"
            "            Inspection.party_id == device.party_id,\n",
            "            InspectionLine.public_id == public_id,\n",
            (f"{_GATE_TESTS}::test_another_markets_device_neither_tests_nor_sees",),
        ),
        "quick-test-of-one-lot-of-a-mixture": Mutant(
            "app/bundle/quicktests.py",
            "    return [draw for draw in draws if draw.line_no in of_product]",
            "    return [draw for draw in draws[:1] if draw.line_no in of_product]",
            (f"{_GATE_TESTS}::test_what_was_mixed_on_a_ticket_is_held_altogether",),
        ),
        "line-of-more-than-its-certificate": Mutant(
            "app/bundle/quicktests.py",
            "Portion(min(line.mass_g, certificate.mass_g), of_line_g)",
            "Portion(line.mass_g, of_line_g)",
            (f"{_GATE_TESTS}::test_a_certificate_at_the_gate_empties_no_far_lot",),
        ),
        "line-tested-away-bag-by-bag": Mutant(
            "app/bundle/quicktests.py",
            "[Portion(line.mass_g, of_line_g), ",
            "[Portion(line.mass_g, 0), ",
            (f"{_GATE_TESTS}::test_all_loads_of_a_ticket_share_what_is_taken_of_it",),
        ),
        "ticket-tested-away-load-by-load": Mutant(
            "app/bundle/quicktests.py",
            "Portion(drawn_g, of_lot_g)]",
            "Portion(drawn_g, 0)]",
            (f"{_GATE_TESTS}::test_all_loads_of_a_ticket_share_what_is_taken_of_it",),
        ),
        "certificate-empties-a-far-lot": Mutant(
            "app/bundle/quicktests.py",
            "            stands=stands,\n",
            "",
            (f"{_GATE_TESTS}::test_a_certificate_at_the_gate_empties_no_far_lot",),
        ),
        "report-lies-with-every-department": Mutant(
            "app/report/service.py",
            "    return Department(report.department) in caller.departments and may_supervise(",
            "    return may_supervise(",
            (_REPORTS,),
        ),
        "reports-counted-without-a-lock": Mutant(
            "app/report/service.py",
            '_LOCK = text("SELECT pg_advisory_xact_lock(:key)")',
            '_LOCK = text("SELECT CAST(:key AS bigint)")',
            (f"{_REPORTS}::test_a_flood_is_refused_even_if_it_comes_at_once",),
        ),
        "report-moved-on-without-a-lock": Mutant(
            "app/report/service.py",
            "select(Report).where(Report.public_id == public_id).with_for_update()",
            "select(Report).where(Report.public_id == public_id)",
            (f"{_REPORTS}::test_two_answers_at_once_leave_one",),
        ),
        "photos-of-a-report-for-every-office": Mutant(
            "app/report/service.py",
            "    report = await find(session, public_id, caller)\n",
            "    report = (await session.scalars(select(Report))).one()\n",
            (
                f"{_REPORTS}::test_photos_come_with_the_form_cleaned_and_are_shown_to_the_office_alone",
            ),
        ),
        "photos-of-a-refused-report-kept": Mutant(
            "app/web/reports.py",
            "        async with part_of(session):\n",
            "        if True:\n",
            (f"{_REPORTS}::test_photos_are_refused_in_order_and_nothing_of_them_is_kept",),
        ),
        "office-reminded-of-what-it-took-up": Mutant(
            "app/report/service.py",
            "        waiting = Report.state == state\n",
            "        waiting = Report.state != ReportState.ANSWERED\n",
            (f"{_REPORTS}::{_ANSWER_REMINDED}",),
        ),
        "put-off-answer-not-reminded": Mutant(
            "app/report/service.py",
            "    if report.state == ReportState.TAKEN_UP:\n        _begin_clock(report)\n",
            "",
            (f"{_REPORTS}::{_ANSWER_REMINDED}",),
        ),
        "read-by-one-read-by-all": Mutant(
            "app/hold/service.py",
            "m.account_id = :account AND m.notice_id = n.id",
            "m.notice_id = n.id",
            (f"{_NOTICES}::test_a_mark_is_one_person_s_and_the_counter_follows",),
        ),
        "read-what-was-never-listed": Mutant(
            "app/hold/service.py",
            "n.id BETWEEN :first AND :last",
            "n.id >= :first",
            (f"{_NOTICES}::test_all_are_read_up_to_what_was_seen_and_no_further",),
        ),
        "next-office-not-reminded": Mutant(
            "app/report/service.py",
            "    report.due_told_at = report.late_told_at = None\n",
            "",
            (
                f"{_REPORTS}::test_an_office_is_reminded_when_a_report_is_due_and_again_when_it_is_late",
            ),
        ),
        "reporter-kept-in-the-clear": Mutant(
            "app/report/service.py",
            "text_sealed=vault.seal(body.text, purpose=_TEXT),",
            "text_sealed=body.text.encode(),",
            (f"{_REPORTS}::test_what_was_typed_lies_sealed_and_is_in_no_entry_notice_or_log",),
        ),
        "proof-tells-what-nobody-signed": Mutant(
            "app/web/proof.py",
            "    if not admission.may_be_shown(verdict):",
            "    if False:",
            (f"{_PROOF}::test_nothing_is_told_of_what_nobody_of_ours_signed",),
        ),
        "proof-off-by-a-byte": Mutant(
            "app/web/proof.py",
            "octets=payload[offset * 2 : (offset + size) * 2],",
            "octets=payload[offset * 2 : (offset + size) * 2 + 2],",
            (f"{_PROOF}::test_a_ticket_is_told_byte_by_byte_with_key_signature_and_log",),
        ),
        "eaten-by-a-suppliers-word": Mutant(
            "app/recall/rules.py",
            "    if kind is StepKind.CONSUMED and held and not by_office and not mock:",
            "    if False:",
            (f"{_RECALLS}::test_a_supplier_does_not_empty_the_stock_of_its_buyers",),
        ),
        "exercise-told-as-an-alarm": Mutant(
            "app/recall/opening.py",
            "NoticeKind.MOCK_RECALL if recall.mock else NoticeKind.RECALL_REPORTED",
            "NoticeKind.RECALL_REPORTED",
            (f"{_RECALLS}::test_an_exercise_never_looks_like_a_recall",),
        ),
        "bag-of-yesterday": Mutant(
            "app/testing/devices.py",
            "            if named.id != found.lot_id:",
            "            if False:",
            (f"{_DEVICES}::test_a_bag_number_of_yesterday_tells_nothing_of_other_goods",),
        ),
        "sold-goods-come-in-again": Mutant(
            "app/admission/books.py",
            "        left_g=known.left[lot.id],",
            "        left_g=None,",
            (f"{_INSPECTIONS}::test_a_certificate_alone_brings_in_no_more_than_its_holder_has",),
        ),
        "list-forgets-tests": Mutant(
            "app/bundle/service.py",
            "            UNION SELECT lot_id FROM sample WHERE status IN ({_AGAINST})\n",
            "",
            (f"{_BUNDLE}::test_what_a_test_is_against_is_held_whatever_an_office_lets_move",),
        ),
        "label-forgets-sources": Mutant(
            "app/web/queries.py",
            "    held = bool(about.held)\n    saying",
            "    held = lot.holds > 0\n    saying",
            (f"{_LABELS}::test_goods_that_are_held_again_are_told_alike_wherever_one_looks",),
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a break; `killed_by` is the first test that failed, None if none did."""

    mutant: str
    file: str
    killed_by: str | None
    seconds: float
    trouble: str | None = None

    @property
    def passed(self) -> bool:
        """Whether a test noticed."""
        return self.killed_by is not None


@contextmanager
def copied() -> Iterator[Path]:
    """Copy what git tracks, or would, into a folder that goes away afterwards."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        tree = Path(name).resolve() / "tree"
        for path in filter(None, listed.stdout.split("\0")):
            if (ROOT / path).is_file():
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, tree / path)
        yield tree


def run_tests(python: Path, tree: Path, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run tests of a tree until the first fails."""
    variables = bootstrap.environment()
    # Ours is installed in the environment; the copy must come before it.
    variables |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    variables["HYPOTHESIS_PROFILE"] = "ci"
    options = ["-x", "-q", "-rfE", "--no-header", "-p", "no:cacheprovider"]
    return subprocess.run(
        [str(python), "-m", "pytest", *options, *tests],
        cwd=tree,
        env=variables,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_MAX,
    )


def plant(python: Path, tree: Path, name: str) -> Outcome:
    """Make a break in the copy, run the tests that should notice, and mend it."""
    mutant = MUTANTS[name]
    began = time.monotonic()
    path = tree / mutant.file
    whole = path.read_text(encoding="utf-8")
    killed_by = trouble = None
    try:
        path.write_text(mutant.apply(whole), encoding="utf-8")
        done = run_tests(python, tree, mutant.tests)
        culprit = _CULPRIT.search(done.stdout)
        if done.returncode == TESTS_FAILED and culprit:
            killed_by = culprit[1]
        elif done.returncode:
            trouble = f"pytest left with {done.returncode}: {done.stdout[-500:]}"
    except (ValueError, subprocess.TimeoutExpired) as error:
        trouble = str(error)
    finally:
        path.write_text(whole, encoding="utf-8")
    return Outcome(name, mutant.file, killed_by, round(time.monotonic() - began, 1), trouble)


def is_sound(python: Path, tree: Path, names: Sequence[str]) -> bool:
    """Tell whether the tests pass on the copy as it is, and are tests of the copy."""
    tests = sorted({test for name in names for test in MUTANTS[name].tests})
    where = "import app, pathlib; print(pathlib.Path(app.__file__).resolve().parents[1])"
    variables = {**bootstrap.environment(), "PYTHONPATH": str(tree)}
    imported = subprocess.run(
        [str(python), "-c", where],
        cwd=tree,
        env=variables,
        check=True,
        capture_output=True,
        text=True,
    )
    if imported.stdout.strip() != str(tree):
        bootstrap.say(f"mutants: the tests would import {imported.stdout.strip()}, not the copy")
        return False
    done = run_tests(python, tree, tests)
    if done.returncode:
        bootstrap.say(f"mutants: the tests fail on the unbroken tree\n{done.stdout}")
    return done.returncode == 0


def report(outcome: Outcome) -> str:
    """Write an outcome as a line of the table."""
    what = outcome.killed_by or outcome.trouble or "SURVIVED"
    return f"{outcome.mutant:<40}{outcome.file:<32}{outcome.seconds:>6.1f}  {what}"


def main() -> int:
    """Plant what was asked for; answer the exit code."""
    parser = argparse.ArgumentParser(
        description="Break the code on purpose and see the tests fail."
    )
    parser.add_argument("--only", action="append", choices=sorted(MUTANTS), metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    options = parser.parse_args()
    names: list[str] = options.only or list(MUTANTS)
    python = bootstrap.prepare()
    out = sys.stderr if options.json else sys.stdout
    outcomes: list[Outcome] = []
    with copied() as tree:
        if not is_sound(python, tree, names):
            return 1
        print(f"{'mutant':<40}{'file':<32}{'s':>6}  killed by", file=out, flush=True)
        for name in names:
            outcomes.append(plant(python, tree, name))
            print(report(outcomes[-1]), file=out, flush=True)
    lost = [outcome.mutant for outcome in outcomes if not outcome.passed]
    print(f"{len(outcomes) - len(lost)} of {len(outcomes)} killed", *lost, file=out)
    if options.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], ensure_ascii=False, indent=2))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
