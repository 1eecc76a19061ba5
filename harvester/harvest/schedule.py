"""The schedule: workers that pull slices from the lazy plan, walk them, and hand their calls to the queue."""

import logging
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup

from harvester.errors import AccountFault, CallError, QuotaSpent, RefusedFault, TokenFault
from harvester.harvest import sharing
from harvester.harvest.cases import Failure, Fate
from harvester.harvest.lane import Lane, Turn
from harvester.harvest.queue import Queue
from harvester.harvest.terms import Asks, Terms
from harvester.harvest.tour import Tour
from harvester.harvest.walk import Walk
from harvester.model import AppName, End, Page, Query, Receipt, Slice, Status

log = logging.getLogger(__name__)

_SOON_S: Final = 0.02
"""How long a permit may be left lying: the first answer under a token, which all others wait for, takes longer."""
STOPPED: Final = "stopped on request; the next run goes on from here"


class Schedule:
    """Walks the slices of plans, so many of each at a time as keep its app busy, and no more.

    An app begins with one worker. Whenever a permit is given and nobody is there to wait for the next one, it gets one
    more: so many answers are under way as the quota allows, and a slice or two waits. More would not be faster: they
    would only be open longer. Without a quota there are as many as there are places in flight, and apps share these.

    Args:
        client: Where pages come from.
        queue: Where calls go.
        opened: Told of every slice that is begun or gone on with.
        terms: How slices are walked.

    Attributes:
        findings: What is known of the API by now, by hints and by answers.
    """

    def __init__(self, client: Asks, queue: Queue, opened: Callable[[Slice], None], terms: Terms) -> None:
        self._client = client
        self._queue = queue
        self._opened = opened
        self._terms = terms
        self._ward = terms.ward
        self._lanes: dict[AppName, Lane] = {}
        self._walkers: TaskGroup
        self.findings = terms.hints.findings
        self._searching: Walk | None = None
        """Which walk tries a larger page than is known to be served: only one does at a time."""
        self._stopping: str | None = None
        self._walking: dict[anyio.CancelScope, Slice] = {}
        self._given: dict[Slice, int] = {}
        """What walks gave away and is not begun yet; with about how many pages it will take."""

    def stop(self, why: str = STOPPED) -> None:
        """No further slice is begun; the open ones wait for nothing any more: they are saved as they are.

        Args:
            why: For the report.
        """
        self._stopping = self._stopping or why
        for lane in self._lanes.values():
            lane.close()
        for scope in self._walking:
            scope.cancel()

    def aside(self) -> Iterator[Slice]:
        """What was taken from the plans and not begun."""
        for lane in self._lanes.values():
            yield from lane.left()

    async def run(
        self, plans: Mapping[AppName, Iterator[Slice]], drain: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Walks all slices while `drain` empties the queue; returns when the last of them is committed.

        Args:
            plans: The slices of each app, pulled lazily. What is left in them afterwards was not begun, nor was what is
                `aside`.
            drain: The writer's work.

        Raises:
            ExceptionGroup: What killed the writer, or a bug; everything else is stopped then.

        Cancellation: open slices are abandoned; the next run goes on from their last checkpoints.
        """
        terms = self._terms
        workers = 1 if terms.when_idle else terms.workers
        self._lanes = {app: Lane(plan, self._ward, workers) for app, plan in plans.items()}
        async with anyio.create_task_group() as everything:
            everything.start_soon(drain)
            async with anyio.create_task_group() as self._walkers:
                if terms.when_idle:
                    terms.when_idle(self._one_more)
                for _ in range(workers):
                    for lane in self._lanes.values():
                        self._walkers.start_soon(self._work, lane)
            if not any(lane.is_closed for lane in self._lanes.values()):
                self._ward.finish()
                await self._remember()
            self._queue.close()

    def _one_more(self, app: AppName) -> None:
        """Another worker for an app whose permits nobody waits for; if all it has are at work."""
        lane = self._lanes[app]
        if lane.workers < self._terms.workers and lane.is_busy:
            lane.workers += 1
            self._walkers.start_soon(self._work, lane)

    async def _one_more_soon(self, lane: Lane, app: AppName) -> None:
        """The same, for a permit that none of them takes: they may wait for something else first, such as a token."""
        await anyio.sleep(_SOON_S)
        lane.is_growing = False
        if not self._stopping and self._terms.has_spare(app):
            self._one_more(app)

    async def _work(self, lane: Lane) -> None:
        while not self._stopping and (turn := await lane.take()):
            try:
                await self._take(lane, turn)
            finally:
                lane.back(turn.slice)

    async def _take(self, lane: Lane, turn: Turn) -> None:
        """Walks a slice to its end, whatever that is; one that fails as a whole in parts, one after the other."""
        admission, whole = turn.admission, turn.slice
        if admission.reason is not None:
            self._opened(whole)
            await self._queue.put(End(slice=whole, status=admission.status, reason=admission.reason))
            return
        windows = list(admission.windows)
        while windows:
            one = Slice(whole.account, windows.pop())
            if lane.is_closed:
                lane.put_aside(one)
                continue
            self._opened(one)
            end, fate = await self._end_of(one, lane, part=one != whole)
            await self._remember()
            await self._queue.put(end)
            if fate is Fate.DIVIDED:
                windows += self._ward.parts_of(end.slice)
            elif fate is Fate.DEFERRED:
                lane.defer(end.slice)
            elif end.status is Status.UNFINISHED:
                lane.close()  # nothing more may be sent for this app

    async def _end_of(self, one: Slice, lane: Lane, *, part: bool) -> tuple[End, Fate | None]:
        """Walks a slice to its end, whatever that is: no error of one slice reaches another account's."""
        left = self._given.pop(one, 0) or self._terms.foreseen(one)
        tour = Tour(one, self._walk_of(one), self._queue, self._terms.pace, left)
        try:
            receipt = await self._walk(tour, lane, part=part)
        except CallError as fault:
            return self._cut_short(tour, fault, part=part)
        if receipt is None:
            if not self._stopping and (reason := self._ward.why_shut(one)):
                return tour.cut_short(Status.SKIPPED, reason), None
            return tour.cut_short(Status.UNFINISHED, self._stopping or STOPPED), None
        self._ward.read(tour.slice)
        status = Status.COMPLETE if receipt.reason is None else Status.SHORT
        return End(slice=tour.slice, status=status, reason=receipt.reason, receipt=receipt), None

    def _cut_short(self, tour: Tour, fault: CallError, *, part: bool) -> tuple[End, Fate | None]:
        one, reason = tour.slice, str(fault)
        refused = isinstance(fault, RefusedFault)
        failure = Failure(text=reason, complaint=fault.complaint, refused=refused, pages=tour.pages, part=part)
        match fault:
            case AccountFault():
                self._ward.refused(one, failure)
                self._let_go(one)
                return tour.cut_short(Status.SKIPPED, self._ward.why_shut(one) or reason), None
            case QuotaSpent():
                return tour.cut_short(Status.UNFINISHED, reason), None
            case TokenFault():  # which was said once, of all its accounts
                return tour.cut_short(Status.FAILED, reason), None
        log.debug("%s failed: %s", one, fault)
        fate = self._ward.failed(one, failure)
        if fate is Fate.KEPT:
            return tour.cut_short(Status.FAILED, reason), fate
        status = Status.FAILED if fate is Fate.ANEW else Status.DIVIDED
        return End(slice=one, status=status, reason=reason, afresh=True), fate

    def _let_go(self, one: Slice) -> None:
        """Other slices of an account that cannot be read wait for no answer."""
        for scope, other in self._walking.items():
            if other.account.id == one.account.id:
                scope.cancel()

    async def _remember(self) -> None:
        if news := self._ward.news():
            with anyio.CancelScope(shield=True):
                await self._terms.remember(news)

    def _walk_of(self, one: Slice) -> Walk:
        saved, size = self._terms.begun.get(one), self._terms.page_size
        resumed = saved and Walk.resume(saved, one.account.id, one.window, page_size=size, findings=self.findings)
        walk = resumed or Walk(one.account.id, one.window, page_size=size, findings=self.findings)
        if self._terms.hints.doubts_end:
            walk.doubt_the_end()
        return walk

    async def _walk(self, tour: Tour, lane: Lane, *, part: bool) -> Receipt | None:
        """The walk's receipt; `None` when it was stopped."""
        with anyio.CancelScope() as scope:
            self._walking[scope] = tour.slice
            lane.tours.add(tour)
            try:
                return await self._ask_and_tell(tour, lane, part=part)
            finally:
                del self._walking[scope]
                lane.tours.discard(tour)
                if self._searching is tour.walk:
                    self._searching = None
        await tour.hand_over()  # what it was handing over when it was stopped
        return tour.receipt

    async def _ask_and_tell(self, tour: Tour, lane: Lane, *, part: bool) -> Receipt | None:
        walk, one = tour.walk, tour.slice
        then: Query | Receipt = walk.begin()
        while isinstance(then, Query):
            if self._ward.why_shut(one):
                return None
            if lane.workers < self._terms.workers and not lane.is_growing and self._terms.has_spare(one.account.app):
                lane.is_growing = True
                self._walkers.start_soon(self._one_more_soon, lane, one.account.app)
            attempts = then.attempts if tour.pages else self._ward.attempts(one, part=part)
            answer = await self._client.fetch(one.account, replace(then, attempts=attempts, left=tour.left))
            walk.learn(self.findings, may_search=self._may_search(walk))
            step = walk.take(answer) if isinstance(answer, Page) else walk.refuse(answer)
            self.findings = walk.findings
            if walk.is_searching:
                self._searching = walk
            tour.pack(step)
            if isinstance(answer, Page):
                await self._heard(tour, lane)
            given = [] if part else self._share(tour, lane)
            try:
                await tour.hand_over()
            finally:
                lane.give(given)
            then = walk.begin() if given else step.then
        return then

    def _may_search(self, walk: Walk) -> bool:
        """Whether a walk that was answered may try a larger page next."""
        if self._searching is walk and not walk.is_searching:
            self._searching = None
        return self._searching in {None, walk}

    def _share(self, tour: Tour, lane: Lane) -> list[Slice]:
        """Slices that a walk gives away: because it is too long, or because others have nothing to do."""
        tour.left = tour.walk.pages_left
        others_wait = tour.left >= sharing.WORTH_IT and lane.is_idle and self._terms.has_spare(tour.slice.account.app)
        far = tour.walk.far if others_wait or tour.left > sharing.TOO_LONG else None
        if far is None:
            return []
        keep = sharing.kept_at_once(far)
        if keep is None and others_wait:
            keep = sharing.kept_for_others(far, (other.beyond for other in lane.tours if other.left > far.beyond))
        within = self._terms.within
        if keep is None or (within and not (far.window.start in within and far.window.end in within)):
            return []
        before, given = tour.slice, tour.give_away(far, keep)
        self._terms.narrowed(before, tour.slice)
        parts = {Slice(before.account, part): pages for part, pages in sharing.parts_of(given, far)}
        self._given.update(parts)
        return list(parts)

    async def _heard(self, tour: Tour, lane: Lane) -> None:
        """A page came."""
        tour.pages += 1
        if tour.pages == 1:
            self._ward.answered(tour.slice)
            lane.look_again(tour.slice)
            await self._remember()
