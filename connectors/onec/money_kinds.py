"""What a movement is: customers' money, a refund of it, a transfer between own accounts, or anything else. Tables only.

Account prefixes are those of the Russian banks' chart of accounts, which is stable. The first rule that fits decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import msgspec

Kind = Literal["customer", "refund", "own_transfer", "other"]

# Transit accounts of banks (cards, fast payments, cash machines, unclear sums): the payer's tax id is the bank's.
BANK_TRANSIT = ("30232", "30233", "40903", "40911", "47416", "47422")
TREASURY = ("03", "40101", "40105")
BANK_INCOME = ("60309", "70601", "70606", "47423", "47426")
# Loans given and deposits of organisations. Individuals' deposits (423) are left out: people pay from them.
LOANS_AND_DEPOSITS = ("418", "419", "420", "421", "422", "425", "451", "452", "453", "454", "455", "456", "457")

# ISO 4217 by the number inside an account (digits 6 to 8); 810 is the rouble's old code, still in every account.
CURRENCIES = {
    "810": "RUB", "643": "RUB", "840": "USD", "978": "EUR", "156": "CNY", "398": "KZT", "933": "BYN", "860": "UZS",
    "417": "KGS", "051": "AMD", "972": "TJS", "944": "AZN", "981": "GEL", "949": "TRY", "784": "AED", "356": "INR",
    "392": "JPY", "826": "GBP", "756": "CHF", "344": "HKD", "410": "KRW", "764": "THB", "941": "RSD", "496": "MNT",
    "124": "CAD", "036": "AUD", "702": "SGD", "710": "ZAR", "986": "BRL", "682": "SAR", "704": "VND", "414": "KWD",
    "752": "SEK", "578": "NOK", "208": "DKK", "985": "PLN", "203": "CZK", "348": "HUF", "498": "MDL", "934": "TMT",
}  # fmt: skip


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules look at. `purpose` is lower-case with ё as е and single spaces."""

    direction: Literal["in", "out"]
    other_account: str
    purpose: str
    is_budget: bool


@dataclass(frozen=True)
class Rule:
    """`stems`: a purpose that holds none of them can't fit `purpose`; looking for them is ten times quicker."""

    kind: Kind
    direction: Literal["in", "out"]
    accounts: tuple[str, ...] = ()  # prefixes of the other account; none = any
    purpose: str = ""  # pattern searched in the purpose; none = any
    stems: tuple[str, ...] = ()
    is_budget: bool = False

    def fits(self, facts: Facts) -> bool:
        """Whether the rule, being of the movement's direction, decides it."""
        if self.accounts and not facts.other_account.startswith(self.accounts):
            return False
        if self.is_budget and not facts.is_budget:
            return False
        if not self.purpose:
            return True
        purpose = facts.purpose
        for stem in self.stems:
            if stem in purpose:
                return re.search(self.purpose, purpose) is not None
        return False


_RETURN = r"^\W*(?:частичн\w+ )?возвр(?:ат(?!н)|\.)"
_BORROWED = r"займ|заем(?!щик)|кредит|ссуд|депозит|вклад|подотчет|обеспечительн|гарантийн"

RULES: tuple[Rule, ...] = (
    # Out: taxes, then what is given back but was no sale, then refunds, then everything else a firm pays.
    Rule("other", "out", is_budget=True),
    Rule("other", "out", accounts=TREASURY),
    Rule("other", "out", purpose=rf"{_RETURN}.{{0,60}}?(?:{_BORROWED})", stems=("возвр",)),
    Rule("refund", "out", purpose=_RETURN, stems=("возвр",)),
    Rule("other", "out"),
    # In: what is no customer's money.
    Rule("other", "in", accounts=TREASURY + BANK_INCOME + LOANS_AND_DEPOSITS),
    Rule("other", "in", purpose=_RETURN, stems=("возвр",)),  # a supplier's refund, a returned payment, a tax refund
    Rule(
        "other",
        "in",
        accounts=("47416", "47422"),
        purpose=r"возвр|неверн|ошибочн|не ?зачисл|уточн",
        stems=("возвр", "неверн", "ошибочн", "зачисл", "уточн"),
    ),
    Rule("other", "in", purpose=r"(?<!\w)(?:займ|заем(?!щик))", stems=("займ", "заем")),
    Rule(
        "other",
        "in",
        purpose=r"(?:выдач\w|предоставлени\w|перечислени\w|получени\w|транш\w*) .{0,30}?кредит",
        stems=("кредит",),
    ),
    Rule(
        "other",
        "in",
        purpose=r"процент\w* (?:по|на) .{0,30}?(?:депозит|вклад|остат|счет)",
        stems=("процент",),
    ),
    Rule(
        "other",
        "in",
        purpose=r"взнос\w* (?:учредител|участник|акционер|в уставн)|уставн\w+ капитал|вклад в имуществ",
        stems=("взнос", "уставн", "вклад в имуществ"),
    ),
    Rule("other", "in", purpose=r"(?:финансов|безвозмездн)\w+ помощ", stems=("помощ",)),
    Rule(
        "other",
        "in",
        purpose=r"(?:взнос|внесение|прием) наличн|инкассац|пополнение (?:счета|расч|р/с)",
        stems=("наличн", "инкассац", "пополнение"),
    ),
    Rule(
        "other",
        "in",
        purpose=r"собственн\w+ (?:денежн\w+ )?средств|между своими счет",
        stems=("собственн", "между своими"),
    ),
    Rule(
        "other",
        "in",
        purpose=r"субсиди|возмещени\w+ ндс|страхов\w+ (?:возмещени|выплат)",
        stems=("субсиди", "возмещени", "страхов"),
    ),
    Rule("customer", "in"),
)
_OF_DIRECTION = {way: tuple(rule for rule in RULES if rule.direction == way) for way in ("in", "out")}
# Of nearly every purpose only the rules remain that don't look at it.
_STEMS = {way: tuple({stem: None for rule in rules for stem in rule.stems}) for way, rules in _OF_DIRECTION.items()}
_WITHOUT_STEMS = {way: tuple(rule for rule in rules if not rule.purpose) for way, rules in _OF_DIRECTION.items()}


def kind_of(facts: Facts) -> Kind:
    """The kind of a movement that is no transfer between own accounts."""
    has_stem = any(map(facts.purpose.__contains__, _STEMS[facts.direction]))
    for rule in (_OF_DIRECTION if has_stem else _WITHOUT_STEMS)[facts.direction]:
        if rule.fits(facts):
            return rule.kind
    raise AssertionError("the last rule of a direction fits everything")


@lru_cache(maxsize=4096)
def currency_of(account: str) -> str | None:
    """ISO 4217 code of a 20-digit account; None for an account of another form (an IBAN, a shortened one).

    Raises:
        KeyError: the account is of a currency that isn't in the table.
    """
    if len(account) != 20 or not account.isdigit() or account[5:8] == "000":
        return None
    return CURRENCIES[account[5:8]]
