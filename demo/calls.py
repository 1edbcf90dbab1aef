"""The demo company's telephony: what was rung, who answered, and what a CRM widget noted of it."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from demo.story import Call, CallNote, Deal, Leg, Manager, Story

LINES = {"Москва": "74951234567", "Регионы": "78001234567"}


class CallMaker:
    """Adds calls and their notes to a story."""

    def __init__(self, dice: random.Random, story: Story) -> None:
        self._dice = dice
        self._story = story
        self._zone = ZoneInfo(story.timezone)
        self._by_user = {manager.user_id: manager for manager in story.managers}

    def around_deal(self, deal: Deal, *, takes_up: float) -> None:
        """Calls of a deal's life: the originating one at times, attempts until someone talks, then now and then."""
        dice = self._dice
        number = digits_of(deal.phone)
        owner = self._by_user[deal.owner]
        if dice.random() < 0.2 and 9 <= deal.created_at.hour < 18:
            self._incoming(owner, number, deal.created_at - timedelta(minutes=dice.randint(2, 8)), deal)
        if not deal.moves and dice.random() > takes_up:
            return
        moment = self._working(deal.created_at + timedelta(minutes=int(dice.expovariate(1 / 25)) + 1))
        for attempt in range(dice.randint(1, 4)):
            talk = self._talk_seconds() if attempt or dice.random() < 0.65 else 0
            self._outgoing(owner, number, moment, talk, deal)
            if talk > 30:
                break
            moment = self._working(moment + timedelta(hours=dice.randint(1, 20)))
        for move in deal.moves:
            handler = self._owner_at(deal, move.moved_at)
            for _ in range(dice.choice([0, 1, 1, 2])):
                before = self._working(move.moved_at - timedelta(minutes=dice.randint(10, 600)))
                if before <= deal.created_at:
                    continue
                if dice.random() < 0.25:
                    self._incoming(handler, number, before, deal)
                else:
                    self._outgoing(handler, number, before, self._talk_seconds(), deal)

    def beside_deals(self, first: date, last: date, *, count: int) -> None:
        """Cold calls, wrong numbers, suppliers, colleagues: most of what a telephone log holds."""
        dice = self._dice
        for place in range(count):
            day = first + timedelta(days=dice.randrange((last - first).days + 1))
            hour, minute, second = dice.randrange(9, 18), dice.randrange(60), dice.randrange(60)
            moment = self._working(datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=self._zone))
            manager = dice.choice(self._story.managers)
            number = f"7{dice.choice(['495', '812', '343', '383'])}{(place * 7919) % 10_000_000:07d}"
            kind = dice.random()
            if kind < 0.62:
                self._outgoing(manager, number, moment, self._talk_seconds() if dice.random() < 0.45 else 0, None)
            elif kind < 0.92:
                self._incoming(manager, number, moment, None)
            else:
                self._internal(manager, moment)

    # ── one call ────────────────────────────────────────────────────────────────────────────────────────────────

    def _outgoing(self, manager: Manager, number: str, moment: datetime, talk: int, deal: Deal | None) -> None:
        ringing = self._dice.randint(4, 25)
        answered = moment + timedelta(seconds=ringing) if talk else None
        ended = moment + timedelta(seconds=ringing + talk)
        leg = Leg(extension=manager.extension, ringing_at=moment, answered_at=moment, ended_at=ended)
        self._add("out", moment, ended, number, LINES[manager.team], [leg], answered, deal, manager, talk)

    def _incoming(self, manager: Manager, number: str, moment: datetime, deal: Deal | None) -> None:
        dice = self._dice
        line = LINES[manager.team]
        fate = dice.random()
        if fate < 0.06:
            # Hung up in the menu.
            self._add(
                "in", moment, moment + timedelta(seconds=dice.randint(5, 40)), number, line, [], None, deal, manager, 0
            )
            return
        ringing = timedelta(seconds=dice.randint(5, 30))
        if fate < 0.20:
            leg = Leg(extension=manager.extension, ringing_at=moment, answered_at=None, ended_at=moment + ringing)
            self._add("in", moment, leg.ended_at, number, line, [leg], None, deal, manager, 0)
            return
        talk = self._talk_seconds()
        answered = moment + ringing
        ended = answered + timedelta(seconds=talk)
        legs = [Leg(extension=manager.extension, ringing_at=moment, answered_at=answered, ended_at=ended)]
        if fate > 0.93:
            # Taken over by a colleague, who talks longer.
            colleague = dice.choice([other for other in self._story.managers if other is not manager])
            over = ended + timedelta(seconds=3)
            talk = talk * 2 + 20
            ended = over + timedelta(seconds=talk)
            legs.append(
                Leg(extension=colleague.extension, ringing_at=legs[0].ended_at, answered_at=over, ended_at=ended)
            )
            manager = colleague
        self._add("in", moment, ended, number, line, legs, answered, deal, manager, talk)

    def _internal(self, manager: Manager, moment: datetime) -> None:
        colleague = self._dice.choice([other for other in self._story.managers if other is not manager])
        answered = moment + timedelta(seconds=6)
        ended = answered + timedelta(seconds=self._talk_seconds())
        legs = [
            Leg(extension=manager.extension, ringing_at=moment, answered_at=moment, ended_at=ended),
            Leg(extension=colleague.extension, ringing_at=moment, answered_at=answered, ended_at=ended),
        ]
        self._add("internal", moment, ended, colleague.extension, "", legs, answered, None, manager, 0)

    def _add(
        self,
        direction: str,
        moment: datetime,
        ended: datetime,
        number: str,
        line: str,
        legs: list[Leg],
        answered: datetime | None,
        deal: Deal | None,
        manager: Manager,
        talk: int,
    ) -> None:
        if ended >= self._story.told_at:
            return
        call = Call(
            call_id=f"c{len(self._story.calls):06d}",
            direction=direction,  # type: ignore[arg-type]
            started_at=moment,
            ended_at=ended,
            number=number,
            line=line,
            legs=legs,
            answered_at=answered,
        )
        self._story.calls.append(call)
        if deal is not None and direction != "internal" and self._dice.random() < 0.85:
            self._note(call, deal, manager, talk)

    def _note(self, call: Call, deal: Deal, manager: Manager, talk: int) -> None:
        if call.ended_at < deal.created_at:
            return
        self._story.notes.append(
            CallNote(
                note_id=5500000 + len(self._story.notes),
                contact_id=deal.contact_id,
                created_at=call.ended_at,
                user_id=manager.user_id,
                phone=call.number,
                duration=talk,
                direction="in" if call.direction == "in" else "out",
                call_id=call.call_id,
            )
        )

    def _owner_at(self, deal: Deal, moment: datetime) -> Manager:
        owner = deal.owner
        for change in deal.owner_changes:
            if change.changed_at <= moment:
                owner = change.user_id
        return self._by_user[owner]

    def _talk_seconds(self) -> int:
        """Most talks are short; a few are long; some end just before they count."""
        return min(1800, int(self._dice.lognormvariate(4.3, 1.0)) + 3)

    def _working(self, moment: datetime) -> datetime:
        """The same moment in working time, else the next morning."""
        while True:
            if moment.weekday() >= 5 or moment.hour >= 18:
                following = moment.date() + timedelta(days=1)
                start = datetime(following.year, following.month, following.day, 9, tzinfo=self._zone)
                moment = start + timedelta(minutes=self._dice.randrange(45), seconds=self._dice.randrange(60))
            elif moment.hour < 9:
                moment = moment.replace(hour=9, minute=self._dice.randrange(45))
            else:
                return moment


def digits_of(phone: str) -> str:
    """A number as the telephony writes it: eleven digits, 7 in front."""
    digits = "".join(character for character in phone if character.isdigit())
    return f"7{digits[1:]}" if len(digits) == 11 else f"7{digits}"
