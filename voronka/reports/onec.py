"""What `voronka onec inspect` says about a file."""

from __future__ import annotations

from typing import Any

from base.text import Text, say
from connectors.onec.inspect import Inspection, Offer, Would
from connectors.onec.sheets.propose import as_toml
from voronka.reports.page import Page

RELATIONS: dict[str, Text] = {
    "core.payments": say("платежи", "payments"),
    "core.orders": say("счета и заказы", "orders and invoices"),
    "core.sales_documents": say("отгрузки и возвраты", "shipments and returns"),
    "core.costs": say("себестоимость", "costs"),
    "core.receivables": say("задолженность", "receivables"),
}
KINDS: dict[str, Text] = {
    "customer": say("от клиентов", "from customers"),
    "refund": say("возвраты клиентам", "refunds"),
    "own_transfer": say("между своими счетами", "own transfers"),
    "other": say("прочее", "other"),
}
SKIPPED: dict[str, Text] = {
    "blank": say("пустые", "empty"),
    "total": say("итоги и остатки", "totals and balances"),
    "header": say("повторы заголовков", "repeated captions"),
    "group": say("заголовки групп", "headings of groups"),
    "filtered": say("отобраны условием", "left out by a condition"),
    "no_money": say("без суммы", "without an amount"),
}
SHOWN_CAPTIONS = 40


def show_inspection(page: Page, found: Inspection, source: str) -> None:
    """The file, what would load, what wouldn't, and the mapping to paste."""
    kind = found.kind.label if found.kind else say("файл не прочитан", "the file can't be read")
    page.heading(say("{name}: {kind}", "{name}: {kind}", name=found.name, kind=kind))
    for would in found.would.values():
        _show_would(page, would)
    if found.skipped:
        parts = ", ".join(f"{page.render(SKIPPED[reason])} {count}" for reason, count in sorted(found.skipped.items()))
        page.say(say("    строки без записей: {parts}", "    rows that are no records: {parts}", parts=parts))
    if found.members and not found.problems:
        page.say(say("Файлов в архиве: {n}.", "Files in the archive: {n}.", n=len(found.members)))
    for problem in found.problems:
        where = f"{problem.place}: " if problem.place else ""
        page.say(f"✗ {where}{page.render(problem.message)}", "red")
    more = found.problem_count - len(found.problems)
    if more:
        page.say(say("… и ещё замечаний: {more}.", "… and {more} more.", more=more))
    for offer in found.offers:
        _show_offer(page, offer, source)
    for member in found.members:
        show_inspection(page, member, source)


def _show_would(page: Page, would: Would) -> None:
    numbers = page.numbers
    label = RELATIONS.get(would.relation, say("{name}", "{name}", name=would.relation))
    page.say(
        say(
            "✓ {label}: загрузится {rows}; сумма {came}, с минусом {left}{days}",
            "✓ {label}: {rows} would load; {came} in all, {left} with a minus{days}",
            label=label,
            rows=numbers.count(would.rows),
            came=numbers.money(would.came, None, places=2),
            left=numbers.money(would.left, None, places=2),
            days=f"; {would.first_on:%d.%m.%Y}–{would.last_on:%d.%m.%Y}" if would.first_on and would.last_on else "",
        ),
        "green",
    )
    if would.kinds:
        kinds = ", ".join(f"{page.render(KINDS[kind])} {count}" for kind, count in sorted(would.kinds.items()))
        page.say(f"    {kinds}")
    if would.own_accounts:
        accounts = ", ".join(sorted(would.own_accounts))
        page.say(say("    свои счета: {accounts}", "    own accounts: {accounts}", accounts=accounts))


def _show_offer(page: Page, offer: Offer, source: str) -> None:
    if offer.proposal is None:
        page.say(
            say(
                "Описание столбцов не подобралось. Заголовки таблицы: {captions}",
                "No mapping was found. The table's captions: {captions}",
                captions=", ".join(offer.captions[:SHOWN_CAPTIONS]) or "—",
            )
        )
        return
    survey = offer.proposal.survey
    page.heading(
        say(
            "Вставьте в voronka.toml (загрузится строк: {count}; не разобрано: {bad})",
            "Paste into voronka.toml ({count} rows would load; {bad} can't be read)",
            count=page.numbers.count(survey.count),
            bad=page.numbers.count(survey.bad_count),
        )
    )
    for line in as_toml(offer.proposal.mapping, source).splitlines():
        page.verbatim(line)
    for doubt in offer.proposal.doubts:
        page.say(f"! {page.render(doubt)}", "yellow")


def inspection_document(found: Inspection, source: str) -> dict[str, Any]:
    return {
        "file": found.name,
        "kind": found.kind.code if found.kind else None,
        "description": found.kind.label if found.kind else None,
        "loads": [
            {
                "relation": would.relation,
                "rows": would.rows,
                "amount_in": would.came,
                "amount_out": would.left,
                "first_on": would.first_on,
                "last_on": would.last_on,
                "own_accounts": sorted(would.own_accounts),
                "kinds": dict(sorted(would.kinds.items())),
            }
            for would in found.would.values()
        ],
        "skipped_rows": dict(sorted(found.skipped.items())),
        "problem_count": found.problem_count,
        "problems": [
            {"place": problem.place, "reason": problem.code, "message": problem.message} for problem in found.problems
        ],
        "proposals": [_offer_document(offer, source) for offer in found.offers],
        "members": [inspection_document(member, source) for member in found.members],
    }


def _offer_document(offer: Offer, source: str) -> dict[str, Any]:
    proposal = offer.proposal
    return {
        "sheet": offer.sheet,
        "captions": offer.captions,
        "toml": as_toml(proposal.mapping, source) if proposal else None,
        "rows": proposal.survey.count if proposal else 0,
        "unreadable_rows": proposal.survey.bad_count if proposal else 0,
        "doubts": list(proposal.doubts) if proposal else [],
    }
