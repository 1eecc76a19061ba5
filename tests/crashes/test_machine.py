"""Landing zone and ledger as a state machine: harvest, crash, stop, read again, damage by hand, heal, in any order."""

import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

import orjson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from harvester.landing.files import digest_of
from harvester.landing.ledger import Known, Ledger
from harvester.landing.marks import mark_of, read_mark
from harvester.landing.partition import Zone
from harvester.landing.steps import Step
from harvester.model import AccountId, Status
from tests.crashes.model import ACCOUNTS, DAYS, NOW_S, WINDOW, Api, Orders, Place, Run, assignment_in

PLACES = [(one.id, day) for one in ACCOUNTS for day in DAYS]
State = dict[str, bytes]
"""A file's lines by id, in their order."""
accounts = st.sampled_from([one.id for one in ACCOUNTS])
ids = st.sampled_from([f"c{number:02}" for number in range(12)])
starts = st.builds("{} {}".format, st.sampled_from(DAYS), st.sampled_from(["00:00:00", "08:00:00", "08:00:01"]))
crashes = st.one_of(
    st.tuples(st.sampled_from([Step.DAY_REPLACED, Step.CHECKPOINT_COMMITTED]), st.integers(1, 4)),
    st.tuples(st.sampled_from(list(Step)), st.integers(1, 3)),
)
some_calls = st.lists(st.tuples(ids, starts), min_size=1, max_size=8)


class Nights(RuleBasedStateMachine):
    """The rules are what may happen to a landing zone; the invariants are what it promises."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.zone = Zone(self.folder, "none")
        self.api = Api()
        self.landed: dict[Place, State] = {place: {} for place in PLACES}
        self.to_come: dict[Place, list[State]] = {place: [] for place in PLACES}
        """What a publication that a crash interrupted would make of a file; the next run may finish it."""
        self.mixed: set[AccountId] = set()
        """Accounts whose open walk has met more than one state of the API."""
        self.harmed: set[Place] = set()
        """Files that somebody damaged."""
        self.ever_harmed: set[Place] = set()
        """And that may be well again; the numbers of their days' marks may be those from before."""
        self.content = 0

    def teardown(self) -> None:
        """After a last night without trouble everything is what the API holds, and what it held when it was read."""
        try:
            self.night(Orders())  # what was begun is gone on with, whatever the API said meanwhile
            self.night(Orders())
            self.everything_is_there()
        finally:
            shutil.rmtree(self.folder)

    @initialize(first=some_calls, second=some_calls)
    def there_are_calls(self, first: list[tuple[str, str]], second: list[tuple[str, str]]) -> None:
        """And a first night, so that there is something to harm."""
        for one, some in zip(ACCOUNTS, (first, second), strict=True):
            self.the_api_has_more(one.id, some)
        self.night(Orders())

    @rule(account=accounts, some=some_calls)
    def the_api_has_more(self, account: AccountId, some: list[tuple[str, str]]) -> None:
        """Calls come in late, or change."""
        for call_id, start in some:
            self.content += 1
            self.api.put(account, f"{account}-{call_id}", start, self.content)
        self.note_mixed()

    @rule(account=accounts, some=st.sets(ids, min_size=1))
    def the_api_forgets(self, account: AccountId, some: set[str]) -> None:
        """Calls vanish; those that come again have their old start."""
        for call_id in some:
            self.api.forget(account, f"{account}-{call_id}")
        self.note_mixed()

    @rule(again=st.booleans(), every=st.integers(0, 2))
    def a_night(self, again: bool, every: int) -> None:
        """Undisturbed."""
        self.night(Orders(again=again, checkpoint_every=every))

    @rule(crash=crashes, again=st.booleans(), every=st.integers(0, 2))
    def a_night_that_crashes(self, crash: tuple[Step, int], again: bool, every: int) -> None:
        """After some step, if it comes to that."""
        self.night(Orders(again=again, checkpoint_every=every, crash=crash))

    @rule(pages=st.integers(0, 6), again=st.booleans())
    def a_night_that_is_stopped(self, pages: int, again: bool) -> None:
        """After some pages."""
        self.night(Orders(again=again, checkpoint_every=0, pages=pages))

    @rule(place=st.sampled_from(PLACES), how=st.sampled_from(["delete", "truncate", "edit"]))
    def somebody_damages_a_file(self, place: Place, how: str) -> None:
        """By hand."""
        path = self.zone.partition(*place)
        if not path.exists():
            return
        whole = path.read_bytes()
        match how:
            case "delete":
                path.unlink()
            case "truncate":
                path.write_bytes(whole[: len(whole) // 2])
            case _:
                path.write_bytes(whole.replace(b'"n":', b'"n":1'))
                self.api.ever.update(path.read_bytes().splitlines())  # nobody can tell
        self.harmed.add(place)
        self.ever_harmed.add(place)
        self.landed[place] = {}

    @precondition(lambda _: find_spec("harvester.harvest.inspect") is not None)
    @rule()
    def somebody_heals(self) -> None:
        """`verify --heal`: what was damaged is read again by a night that reads nothing else."""
        from harvester.harvest.inspect import Orders as Wanted  # noqa: PLC0415 - not there everywhere yet
        from harvester.harvest.inspect import verify  # noqa: PLC0415

        verify(assignment_in(self.folder), Wanted(heal=True), lambda: NOW_S)
        self.compare(None)
        self.night(Orders(again=False))
        self.night(Orders(again=False))
        self.harmed -= {place for place in self.harmed if place[0] not in self.mixed}
        self.ledger_and_marks_are_right()

    def note_mixed(self) -> None:
        """Whoever has a checkpoint goes on with what the API says now."""
        if ledger := Ledger.peek(self.folder / ".harvester"):
            with ledger:
                self.mixed |= {one.account for one in ledger.checkpoints()}

    def night(self, orders: Orders) -> None:
        """Runs, and compares."""
        run = Run(self.folder, self.api, orders)
        run.execute()
        self.compare(run)

    def compare(self, run: Run | None) -> None:
        """Each file is as it was, or as it would be after what has been read; what ended complete is there."""
        for one in run.outcomes if run and run.orders.pages is None else ():
            assert one.status is Status.COMPLETE or one.slice.account.id in self.mixed, one
        proven = {
            (one.slice.account.id, str(day))
            for one in (run.outcomes if run else ())
            for day in one.slice.window
            if one.status is Status.COMPLETE
        }
        for place in PLACES:
            before, api, is_now = self.landed[place], self.api.of(place), self.read(place)
            if is_now is None:
                continue
            assert set(is_now.values()) <= self.api.ever or place in self.harmed
            assert before.keys() <= is_now.keys(), f"{place} has lost calls"
            may_be = [before, *self.to_come[place]]
            after = [one | api for one in may_be]
            if place[0] not in self.mixed and place not in self.harmed:
                assert is_now in (after if place in proven else may_be + after), place
            self.to_come[place] = after if run and run.crashed else []
            self.landed[place] = is_now
            if place in proven and place[0] not in self.mixed:
                self.harmed.discard(place)
        if run and not run.crashed and run.orders.pages is None:
            self.mixed.clear()

    def read(self, place: Place) -> State | None:
        """A file's lines; `None` when somebody has damaged it so that it is none."""
        path = self.zone.partition(*place)
        if not path.exists():
            return {}
        try:
            calls = [(orjson.loads(line), line) for line in path.read_bytes().splitlines()]
        except orjson.JSONDecodeError:
            assert place in self.harmed
            return None
        keys = [(call["call_start_time"], call["call_id"]) for call, _ in calls]
        assert keys == sorted(set(keys))
        assert {start[:10] for start, _ in keys} == {place[1]}
        return {call["call_id"]: line for call, line in calls}

    def everything_is_there(self) -> None:
        """Of an undisturbed night."""
        for place in PLACES:
            state = self.read(place)
            assert state is not None
            assert state | self.api.of(place) == state
            assert self.known()[place].complete
        assert all(mark_of(self.zone, day).exists() for day in WINDOW)
        assert list(self.zone.scratch.iterdir()) == []

    def known(self) -> dict[Place, Known]:
        """What the ledger knows."""
        ledger = Ledger.peek(self.folder / ".harvester")
        if ledger is None:
            return {}
        with ledger:
            found = ledger.known(WINDOW, [one.id for one in ACCOUNTS])
        return {(account, str(day)): known for account, days in found.items() for day, known in days.items()}

    @invariant()
    def ledger_and_marks_are_right(self) -> None:
        """What the ledger calls complete is in the files; what a mark calls complete, the ledger does."""
        known = self.known()
        interrupted = {place for place in PLACES if self.to_come[place]}
        for place, one in known.items():
            path = self.zone.partition(*place)
            if one.complete and place not in self.harmed | interrupted:
                assert one.in_file == len(self.landed[place]), place
                assert one.digest == (digest_of(path) if path.exists() else None), place
        for day in WINDOW:
            mark = read_mark(mark_of(self.zone, day))
            if mark is not None:
                places = [(one.id, str(day)) for one in ACCOUNTS]
                assert all(known[place].complete for place in places), day
                if self.ever_harmed.isdisjoint(places):
                    assert mark.calls == sum(len(self.landed[place]) for place in places), day


def test_what_a_dead_run_replaced_is_committed_by_the_next() -> None:
    """A death between replacing a file and the ledger's word for it, and then a night that reads nothing again."""
    nights = Nights()
    nights.there_are_calls([("c00", f"{DAYS[0]} 00:00:00")], [("c01", f"{DAYS[0]} 00:00:00")])
    nights.the_api_has_more(ACCOUNTS[0].id, [("c02", f"{DAYS[0]} 08:00:00")])
    nights.a_night_that_crashes((Step.DAY_REPLACED, 1), again=True, every=0)
    nights.ledger_and_marks_are_right()
    nights.a_night(again=False, every=0)
    nights.ledger_and_marks_are_right()
    nights.teardown()


TestNights = Nights.TestCase
TestNights.settings = settings(
    max_examples=60, stateful_step_count=12, suppress_health_check=[HealthCheck.too_slow], deadline=None
)
