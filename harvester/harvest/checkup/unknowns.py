"""Finding out what no document says of the API, from a handful of requests for one account's calls. Pure.

A generator asks, as a walk does, and notes what answers show, with the evidence. Nothing is concluded from too little:
what may have come about by chance, or by an answer that comes without its calls, is *not shown*, and what contradicts
itself is said to. Nobody relies on any of it: the walk is right whatever the answers are.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Final

from harvester.calls import NO_CALLS
from harvester.harvest.checkup import evidence
from harvester.harvest.checkup.evidence import Known
from harvester.harvest.span import Look
from harvester.health import Hint, Question
from harvester.model import ONE_DAY, AccountId, Page, Query, Refusal, Window

BUDGET: Final = 15
"""Requests at most."""
SIZES: Final = (1000, 500, 200, 100, 50, 20)
"""Page sizes that are tried until one is served: siblings of the endpoint allow 100 to 200 (documented)."""
DAYS: Final = 30
"""That are asked for: dates may be 30 days apart (documented)."""
CALM_DAYS: Final = 2
"""Younger days are left out: their calls still come in, and would look like an answer that contradicts another."""
READINGS: Final = 3
"""How often one page is read to see whether ties keep their order."""
_UNLIKELY: Final = 0.001
"""Ties that would look like this by so small a chance keep their order."""
_SMALL: Final = 20
"""Calls to a page where more are not needed; and fewer seconds than this show nothing."""
_ENOUGH_SECONDS: Final = 4
_TOO_FEW: Final = "too few calls, or answers that fit nothing that was expected"

_Asking = Generator[Query, Page | Refusal, None]
_AskingForPage = Generator[Query, Page | Refusal, Page | None]


class Unknowns:
    """What is found out of one account's calls.

    Args:
        account_id: Whose calls are asked for; it should have many.
        today: The Beijing day.
        budget: Requests at most.

    Attributes:
        window: The days that are asked for.
        requests: How many were asked for.
    """

    def __init__(self, account_id: AccountId, today: date, budget: int = BUDGET) -> None:
        end = today - ONE_DAY * CALM_DAYS
        self.window = Window(end - ONE_DAY * (DAYS - 1), end)
        self.requests = 0
        self._account_id = account_id
        self._budget = budget
        self._found: dict[Question, Hint] = {}
        self._size = 0
        self._known = Known(calls=NO_CALLS, total=None, whole=False)
        self._asking = self._find_out()

    def begin(self) -> Query | None:
        """The first query."""
        return next(self._asking, None)

    def take(self, answer: Page | Refusal) -> Query | None:
        """The answer to the last query; the next one, or `None` when nothing more is asked for."""
        try:
            return self._asking.send(answer)
        except StopIteration:
            return None

    def hints(self, at: float) -> list[Hint]:
        """What was found out, at Unix time `at`: every question that was come to."""
        return [replace(one, at=at) for one in self._found.values()]

    def _find_out(self) -> _Asking:
        page = yield from self._largest_page()
        if page is None:
            return
        whole = page.total is not None and page.total <= page.rows < self._size
        self._known = Known(calls=page.calls, total=page.total, whole=whole)
        ordered = self._order()
        yield from self._order_of_ties()
        if ordered:
            yield from self._cursor()
            yield from self._later_page()
        yield from self._end(page)

    def _note(self, question: Question, answer: str | None, shown_by: str, *, odd: bool = False) -> None:
        self._found[question] = Hint(question=question, answer=answer, evidence=shown_by, odd=odd)

    def _ask(self, window: Window, size: int, *, page: int = 1, after: str | None = None) -> _AskingForPage:
        """The page; `None` when it is refused, or when no more requests may be sent."""
        if self.requests >= self._budget:
            return None
        self.requests += 1
        answer = yield Query(
            account_id=self._account_id, window=window, page=page, page_size=size, after=after, exploratory=True
        )
        return answer if isinstance(answer, Page) else None

    def _ask_for_calls(self, window: Window, size: int, *, page: int = 1, after: str | None = None) -> _AskingForPage:
        """As `_ask`, once more when an answer comes without calls that are there."""
        found = yield from self._ask(window, size, page=page, after=after)
        if found is None or found.rows:
            return found
        return (yield from self._ask(window, size, page=page, after=after)) or found

    def _largest_page(self) -> _AskingForPage:
        """Asks for fewer and fewer calls until a page comes: the account's first."""
        refused: int | None = None
        for size in SIZES:
            page = yield from self._ask(self.window, size)
            if page is not None:
                break
            refused = size
        else:
            self._note(Question.PAGE_SIZE, None, f"all of {', '.join(map(str, SIZES))} calls to a page were refused")
            return None
        if not page.rows and page.total != 0:
            page = (yield from self._ask(self.window, size)) or page
        self._size = size
        if refused:
            self._note(Question.REFUSED_SIZE, str(refused), f"page_size {refused} was refused, {size} was served")
        self._note(Question.PAGE_SIZE, *_page_size(page, size))
        return page

    def _order(self) -> bool:
        """Whether it is known."""
        calls = self._known.calls
        direction, seconds = Look.at(calls, None).direction, len({call.start for call in calls})
        shown = f"{len(calls):,} calls of {seconds:,} different seconds"
        if direction is None:
            self._note(Question.ORDER, "none", f"{shown}, in no order", odd=True)
        elif seconds < _ENOUGH_SECONDS:
            self._note(Question.ORDER, None, f"too few calls: {shown} in {self.window}")
        else:
            self._note(Question.ORDER, "ascending" if direction > 0 else "descending", f"{shown} on one page")
            return True
        return False

    def _order_of_ties(self) -> _Asking:
        """Reads the first page again, at once, and once more."""
        readings = [self._known.ties()]
        while readings[0] and len(readings) < READINGS:
            page = yield from self._ask(self.window, self._size)
            if page is None or not page.rows:
                break
            readings.append(evidence.ties_of(page.calls))
            ties, changed = evidence.compare(readings)
            if changed:
                which = f"{changed:,} of {len(ties):,} seconds with several calls"
                self._note(Question.TIES, "changing", f"{which} came in another order at once afterwards")
                return
        ties, _ = evidence.compare(readings)
        kept = len(readings) == READINGS and evidence.chance_of(ties, READINGS) <= _UNLIKELY
        many = f"{len(ties):,} second{'' if len(ties) == 1 else 's'} with several calls"
        few = "" if kept else "too few: "
        self._note(
            Question.TIES, "kept" if kept else None, f"{few}{many}, in the same order in {len(readings)} answers"
        )

    def _cursor(self) -> _Asking:
        """Asks from two seconds on that were read; both have to say the same."""
        known, rules, counts = self._known, list[str | None](), list[str | None]()
        for cursor in dict.fromkeys((known.cursor_at(0.4), known.cursor_at(0.7))):
            page = None
            if cursor is not None:
                page = yield from self._ask_for_calls(self.window, _SMALL, after=cursor)
            if cursor is None or page is None:
                rules.append(None)
            else:
                rules.append(evidence.what_the_cursor_is(known, cursor, page))
                counts.append(evidence.what_is_counted(known, cursor, page))
        self._conclude(Question.CURSOR, rules, evidence.CURSOR)
        if self._found[Question.CURSOR].answer in {"inclusive", "exclusive"}:
            self._conclude(Question.TOTAL, counts, evidence.TOTAL)
        else:
            self._note(Question.TOTAL, None, "it is not clear what search_after does")

    def _conclude(self, question: Question, said: Sequence[str | None], words: Mapping[str, str]) -> None:
        different = {one for one in said if one is not None}
        if len(different) > 1:
            self._note(question, None, f"contradictory: {' here, '.join(sorted(different))} there", odd=True)
        elif len(said) < 2 or None in said:
            self._note(question, None, _TOO_FEW)
        else:
            (answer,) = different
            self._note(question, answer, f"tried with two seconds: {words[answer]}", odd=answer == "ignored")

    def _later_page(self) -> _Asking:
        """Whether the count stays the same on a page that is not the first, without a cursor."""
        first, question = self._known.total, Question.PAGE_TOTAL
        if first is None or first < 2 * _SMALL or evidence.may_be_cut_off(first):
            self._note(question, None, "too few calls, or no count that could show it")
            return
        page = yield from self._ask_for_calls(self.window, _SMALL, page=2)
        if page is None or page.total is None or not page.rows:
            self._note(question, None, "page 2 brought nothing that could show it")
            return
        shown = f"{first:,} on page 1, {page.total:,} on page 2 of {_SMALL} calls each"
        answer = {first: "the window", first - _SMALL: "the rest"}.get(page.total)
        self._note(question, answer, shown if answer else f"contradictory: {shown}", odd=answer is None)

    def _end(self, first: Page) -> _Asking:
        """Asks for a day that has calls, alone; and when none come, for it with the day after."""
        question, witnesses = Question.END_DATE, [call.day for call in first.calls if _is_in_the_day(call.start)]
        if str(self.window.end) in witnesses:
            self._note(question, "inclusive", f"calls of {self.window.end} came, the last day asked for")
            return
        if not witnesses:
            self._note(question, None, f"no call in {self.window} that could show it")
            return
        day = date.fromisoformat(witnesses[0])
        without = 0
        for _ in range(2):
            alone = yield from self._ask(Window(day, day), self._size)
            if alone is None:
                break
            if any(call.day == str(day) and _is_in_the_day(call.start) for call in alone.calls):
                self._note(question, "inclusive", f"calls of {day} came when that day was asked for alone")
                return
            without += _lacks(day, alone, most=first.rows)
        both = yield from self._ask_for_calls(Window(day, day + ONE_DAY), self._size)
        there = both is not None and any(call.day == str(day) for call in both.calls)
        if without == 2 and there:
            shown = f"calls of {day} came not when it was asked for alone, twice, and did when the day after was, too"
            self._note(question, "exclusive", shown)
        else:
            self._note(question, None, f"{day} alone was refused, or came with only some of its calls")


def _page_size(page: Page, size: int) -> tuple[str | None, str]:
    """How many calls fit on a page, if it is shown, and by what."""
    rows, total = page.rows, page.total
    if rows == size:
        return str(rows), f"{rows:,} came when so many were asked for"
    if not rows or total is None or total <= rows:
        return None, f"page_size {size:,} is accepted, but no more than {rows:,} calls were there to come"
    says_so = "and page_size in the answer says so" if page.page_size == rows else "without a word"
    return str(rows), f"{rows:,} of {total:,} came when {size:,} were asked for, {says_so}"


def _lacks(day: date, page: Page, *, most: int) -> bool:
    """Whether a page for one day shows that its calls do not come, or, by a bare `<=`, only those of 00:00:00."""
    if page.rows:
        return not page.strays and page.rows < most and {call.start for call in page.calls} == {f"{day} 00:00:00"}
    return not page.total


def _is_in_the_day(start: str) -> bool:
    return not start.endswith(" 00:00:00")
