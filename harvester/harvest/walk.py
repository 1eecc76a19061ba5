"""The walk over one slice: every call of an account's window, and the evidence that none is missing. Pure.

Pages go in; the next query comes out, or the receipt. The walk is a state machine written as generators, so that it
reads like the procedure it is:

1. read the window by cursor (`span.py`); it is *complete* when the different calls are as many as the API's own count
   on the first page, or more, and nothing was stepped over;
2. if no answer has shown whether `end_date` is inclusive, find out: the last day might not have been read;
3. mend what is not proven: days that may lack calls are read by page number and by cursor, as often as that brings
   news; a window that still lacks calls is read again in halves, each proven by its own count, down to the day;
4. still fewer: *short*, with the reason. What was read is kept.

Memory: the calls of one page and the ids of its last seconds; while a day is mended, the ids of that day.

What a walk knows is data (`Desk`, `Progress`); the generators hold nothing that the data does not. So a walk can be
saved after any answer, and a resumed one runs the procedure again from its top: what is finished is not asked for
again, the reading by cursor goes on with the page that was asked for last, and a day that was being read is read again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from harvester.calls import NO_CALLS, Calls, Stray
from harvester.harvest.desk import Asking, Desk
from harvester.harvest.far import Far, pages_left
from harvester.harvest.findings import Findings
from harvester.harvest.mend import MAX_DIFFERENCE_DAYS, Mender, Progress
from harvester.harvest.saved import restore, save
from harvester.harvest.span import Reading, keys_of
from harvester.model import ONE_DAY, AccountId, Page, PageSize, Query, Receipt, Refusal, Window

PROBES = 3
"""How often the end of the window is asked about."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a walk makes of an answer.

    Attributes:
        calls: New calls of the slice, to land. A call comes again only where days had to be read again.
        strays: Records that cannot be placed.
        then: The next query, or the receipt when the walk has ended.
    """

    calls: Calls
    strays: Sequence[Stray]
    then: Query | Receipt


class Walk:
    """The walk over one account's window.

    Args:
        account_id: Whose calls.
        window: At most 31 days (30 days' difference).
        page_size: What to ask for; the API may allow less. `"largest"`: the largest that it is known to serve.
        findings: What earlier walks learned; see `findings` for what this one adds.
    """

    def __init__(
        self, account_id: AccountId, window: Window, *, page_size: PageSize = 100, findings: Findings | None = None
    ) -> None:
        if len(window) > MAX_DIFFERENCE_DAYS + 1:
            raise ValueError(f"a walk covers at most {MAX_DIFFERENCE_DAYS + 1} days, not {window}")
        self._desk = Desk(account_id=account_id, window=window, page_size=page_size, findings=findings or Findings())
        self._progress = Progress()
        self._asking = _walk(self._desk, self._progress)

    @classmethod
    def resume(
        cls, saved: bytes, account_id: AccountId, window: Window, *, page_size: PageSize, findings: Findings
    ) -> Self | None:
        """A walk that goes on where another one's `state` was saved.

        It hands on what had not been handed on by then; some calls may come again. Its receipt covers both.

        Args:
            saved: A walk's `state`.
            account_id: Whose calls; must be the saved walk's.
            window: Must be the saved walk's.
            page_size: What to ask for from now on.
            findings: What other walks learned; what the saved one knew is added.

        Returns:
            The walk, to be begun; `None` when the state cannot be read or is of something else. It is never guessed.
        """
        walk = cls(account_id, window, page_size=page_size, findings=findings)
        progress = restore(saved, walk._desk)
        if progress is None:
            return None
        walk._progress = progress
        walk._asking = _walk(walk._desk, progress)
        return walk

    def state(self) -> bytes:
        """What a later walk needs to go on from here: versioned JSON, at most as large as a few pages.

        It tells of all that was handed on up to the last step, so it must become durable after that, never before.
        Valid from `begin` on. It holds ids, times and numbers; of a call's content, nothing.
        """
        return save(self._desk, self._progress)

    @property
    def findings(self) -> Findings:
        """What is known of the API by now."""
        return self._desk.findings

    def learn(self, findings: Findings, *, may_search: bool = False) -> None:
        """Takes over what other walks have found out meanwhile.

        Args:
            findings: What they have found out.
            may_search: Whether it may try larger pages than are known to be served, where that is of use.
        """
        self._desk.may_search = may_search
        self._desk.findings = self._desk.findings.merge(findings)

    @property
    def is_searching(self) -> bool:
        """Whether it is about to try a larger page than is known to be served, or not sure yet what came of that."""
        return self._desk.trying

    def doubt_the_end(self) -> None:
        """A hint says that calls of `end_date` are not returned. To be called before `begin`; see `Desk.doubts_end`."""
        self._desk.doubts_end = True

    @property
    def pages_left(self) -> int:
        """About how many pages it still needs; 0 for hardly any, or when that is not known."""
        return pages_left(self._desk, self._progress)

    @property
    def far(self) -> Far | None:
        """What it could give away now; `None` for nothing."""
        return Far.ahead_of(self._desk, self._progress)

    def give_away(self, far: Far, keep: int) -> Window:
        """Leaves the days to another walk that are too far ahead; goes on with `begin`, in a window of its own then.

        Args:
            far: What it has, right now.
            keep: About so many pages of what is still to be read.

        Returns:
            The days that are another walk's now: one at least. Nothing that was read is of them.
        """
        kept, given = far.split(keep)
        desk, reading = self._desk, self._progress.reading
        if reading:
            desk.window = reading.window = reading.wire = kept
        desk.uncounted = True
        self._asking = _walk(desk, self._progress)
        return given

    @property
    def window(self) -> Window:
        """The days that are its own."""
        return self._desk.window

    def begin(self) -> Query | Receipt:
        """The first query, to be asked for once; of a resumed walk, the receipt if nothing is left to ask."""
        try:
            return next(self._asking)
        except StopIteration as stop:
            receipt: Receipt = stop.value
            return receipt

    def take(self, page: Page) -> Step:
        """The answer to the last query."""
        return self._send(page)

    def refuse(self, refusal: Refusal) -> Step:
        """The API would not answer the last query."""
        return self._send(refusal)

    def _send(self, answer: Page | Refusal) -> Step:
        then: Query | Receipt
        try:
            then = self._asking.send(answer)
        except StopIteration as stop:
            then = stop.value
        desk = self._desk
        step = Step(desk.new_calls, desk.new_strays, then)
        desk.new_calls, desk.new_strays = NO_CALLS, []
        return step


def _walk(desk: Desk, progress: Progress) -> Asking[Receipt]:
    mender = Mender(desk, progress)
    if not progress.settled:
        reading = yield from mender.read(desk.window)
        if _was_hindered(reading, desk):
            desk.doubts_end, progress.reading = False, None
            reading = yield from mender.read(desk.window)
        if desk.findings.end_inclusive is None:
            desk.begin()
            progress.unknown = yield from settle_the_end(desk)
        if len(reading.wire) < len(desk.wire(desk.window)):
            progress.reading = None  # the last day was not asked for
        progress.settled = True
    proof = yield from mender.prove(desk.window)
    unknown = progress.unknown
    reason, short = proof.reason or unknown, proof.short | ({desk.window.end} if unknown else frozenset())
    if reason is None and (proof.total is None or proof.distinct < proof.total):
        reason, short = (
            f"{proof.distinct} of the {proof.total} calls that the API counts could be read",
            frozenset(desk.window),
        )
    return Receipt(
        requests=desk.requests,
        read=desk.read,
        distinct=proof.distinct,
        counted=proof.total,
        reason=reason,
        short_days=short,
    )


def _was_hindered(reading: Reading, desk: Desk) -> bool:
    """Whether a reading came to nothing that asked for a day more, which only a hint may have said is needed."""
    nothing = not reading.sound and reading.course.cursor is None
    return nothing and len(reading.wire) > len(reading.window) and desk.findings.end_inclusive is None


def settle_the_end(desk: Desk) -> Asking[str | None]:
    """Finds out whether calls of `end_date` itself are returned; that is documented by an example only.

    A day that has calls is asked for alone: it answers with calls, or with none if the end is exclusive. Where the
    slice has no call, its last day is asked for with the day after. Once an answer of the run holds a call of its own
    `end_date`, nothing is asked. In doubt the end is taken for exclusive: to ask for a day more is safe either way.

    Returns:
        Why it could not be found out; `None` when it is known, or does not matter because there is nothing to read.
    """
    last = desk.window.end
    for _ in range(PROBES):
        page = yield from desk.ask(Window(desk.witness or last, desk.witness or last + ONE_DAY))
        if not isinstance(page, Page):
            return f"whether the API returns the calls of {last}, the last day asked for, could not be found out"
        if desk.findings.end_inclusive is not None:
            return None
        everything = page.total is not None and page.total <= len(keys_of(page))
        if everything and not desk.witness and not any(call.day == str(last) for call in page.calls):
            return None
        if everything or page.rows:
            break
    desk.be_wary_of_ends()
    return None
