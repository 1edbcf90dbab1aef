"""Which accounts at the sources belong to one person: by e-mail, then extension, then name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from metrics.inputs.slug import name_key

Identity = tuple[str, str]  # source, external id


@dataclass(frozen=True, kw_only=True)
class Account:
    """A user or extension at a source, with the ids its records name."""

    identities: tuple[Identity, ...]
    name: str = ""
    email: str = ""
    extension: str = ""

    @property
    def source(self) -> str:
        return self.identities[0][0]


@dataclass(frozen=True)
class KnownPerson:
    """A person the inputs already have."""

    person_id: str
    names: frozenset[str]
    identities: frozenset[Identity]


@dataclass
class MatchedPerson:
    """A person with the identities the inputs lack; `person_id` is None for a new one."""

    person_id: str | None
    name: str
    identities: list[Identity] = field(default_factory=list)


def match_people(accounts: Iterable[Account], known: Iterable[KnownPerson]) -> list[MatchedPerson]:
    """Group accounts into people, in the order the accounts come; only people with something new are given back.

    A key (e-mail, extension, name) joins accounts of different sources only, and only when it names one account in
    each of them: two users of one CRM with one name are two people, and nobody can say whose the extension is.
    """
    listed = [account for account in accounts if account.identities]
    groups = _Groups(len(listed))
    for key_of in (_email_key, _extension_key, _name_key):
        _join_by(listed, groups, key_of)
    return _name_groups(listed, groups, list(known))


def _email_key(account: Account) -> str:
    return account.email.strip().lower()


def _extension_key(account: Account) -> str:
    return account.extension.strip()


def _name_key(account: Account) -> str:
    return name_key(account.name)


def _join_by(accounts: list[Account], groups: _Groups, key_of: Callable[[Account], str]) -> None:
    holders: dict[str, list[int]] = defaultdict(list)
    for place, account in enumerate(accounts):
        if key := key_of(account):
            holders[key].append(place)
    for places in holders.values():
        sources = [accounts[place].source for place in places]
        if len(set(sources)) < len(sources):
            continue
        for place in places[1:]:
            # A weaker key may not put two accounts of one source together through a third.
            joined = [accounts[member].source for member in groups.members(places[0]) + groups.members(place)]
            if groups.find(place) == groups.find(places[0]) or len(set(joined)) == len(joined):
                groups.join(places[0], place)


def _name_groups(accounts: list[Account], groups: _Groups, known: list[KnownPerson]) -> list[MatchedPerson]:
    owners = {identity: person.person_id for person in known for identity in person.identities}
    by_name: dict[str, set[str]] = defaultdict(set)
    for person in known:
        for name in person.names:
            by_name[name_key(name)].add(person.person_id)
    people = []
    for places in groups.all():
        members = [accounts[place] for place in places]
        identities = list(dict.fromkeys(identity for member in members for identity in member.identities))
        missing = [identity for identity in identities if identity not in owners]
        if not missing:
            continue
        name = next((member.name for member in members if member.name), "")
        ids = {owners[identity] for identity in identities if identity in owners}
        if not ids and (key := name_key(name)):
            ids = by_name.get(key, set())
        # Two known people behind one group: whose the new identity is, a person must say; it is drafted as a new one.
        person_id = next(iter(ids)) if len(ids) == 1 else None
        people.append(MatchedPerson(person_id, name or "_".join(missing[0]), missing))
    return people


class _Groups:
    """Disjoint sets of account places."""

    def __init__(self, size: int) -> None:
        self._group_of = list(range(size))
        self._members = {place: [place] for place in range(size)}

    def find(self, place: int) -> int:
        return self._group_of[place]

    def members(self, place: int) -> list[int]:
        return self._members[self._group_of[place]]

    def join(self, first: int, second: int) -> None:
        into, gone = sorted((self._group_of[first], self._group_of[second]))
        if into == gone:
            return
        for place in self._members.pop(gone):
            self._group_of[place] = into
            self._members[into].append(place)

    def all(self) -> list[list[int]]:
        return [sorted(members) for _, members in sorted(self._members.items())]
