"""The ward: which slices of which accounts may be asked for now, and what their failures mean. Pure.

The first request to an account in a run goes alone: its other slices wait until that is answered, and when it is
refused none of them is asked for. The same holds for each poisoned day.
"""

from typing import Final

from harvester.errors import Complaint
from harvester.harvest import division
from harvester.harvest.cases import Admission, Case, Cases, Failure, Fate
from harvester.model import Account, AccountId, Slice, Status, Window
from harvester.triage import (
    Condition,
    Found,
    Poison,
    State,
    condition_after,
    in_full,
    is_its_own,
    poison_after,
    state_of,
    why_poisoned,
    why_skipped,
)

ENOUGH: Final = 4
"""Requests of an account that failed, with none answered: then nothing more of it is asked for tonight."""
FEW: Final = 3
"""So many accounts may fail in a way of their own, and one more for each `PER_FAILING` that are answered: beyond that
it is the API, and nothing is divided or remembered."""
PER_FAILING: Final = 5
DEAR: Final = 20
"""Pages that a walk had tonight before the API was too busy for it: it goes on from there tomorrow, whole."""


class Ward:
    """What a run knows of its accounts. It sends nothing and keeps nothing.

    Args:
        known: What was known when the run began.

    Attributes:
        tried: Accounts of which this run asked for a poisoned day, or found one.
        recovered: How accounts were before that are well again.
        cured: Days that were poisoned and could be read.
    """

    def __init__(self, known: Cases | None = None) -> None:
        self._known = known or Cases()
        self._cases: dict[AccountId, Case] = {}
        """Of accounts that are being asked, and of those of which more is to be kept than that they are well."""
        self._well: set[AccountId] = set()
        self._failing: set[AccountId] = set()
        self._news: list[Found] = []
        self.tried: set[AccountId] = set()
        self.recovered: list[Condition] = []
        self.cured: list[Poison] = []

    def admit(self, one: Slice) -> Admission | None:
        """Whether a slice may be begun now; whoever is admitted calls `leave` in the end.

        Returns:
            What of it is asked for, or that nothing is; `None` when that depends on another slice of its account, which
            is just being asked for.
        """
        case = self._case(one.account)
        doors = case.doors(one)
        if reason := case.why_shut(one):
            return Admission(reason=reason)
        if not all(door.lets_in(one) for door in doors):
            return None
        for door in doors:
            door.knocking = None if door.open else one
        case.asked = True
        if failure := case.deferred.pop(one, None):
            if self._is_the_api() or case.splits >= division.MOST_SPLITS:
                return Admission(reason=failure.text, status=Status.FAILED)
            return Admission(windows=self.parts_of(one))
        if case.sick and case.sick.state is State.FAILING and len(one.window) > 1:
            day = division.day_of_the_night(one.window, self._known.today)
            return Admission(windows=tuple(division.around(one.window, day)))
        return Admission(windows=(one.window,))

    def leave(self, one: Slice) -> None:
        """A slice that was admitted is over, however it ended: another one may ask first."""
        case = self._case(one.account)
        case.door.leave(one)
        case.cellar.leave(one)
        if case.is_plain and not self._known.knows(one.account):
            del self._cases[one.account.id]

    def attempts(self, one: Slice, *, part: bool) -> int | None:
        """How often the first page of a slice is tried, or of a part of one; `None`: as the config says."""
        case = self._case(one.account)
        if case.is_poisoned(one) or (case.sick and case.sick.state is State.FAILING):
            return 1
        if part:
            return division.ATTEMPTS if len(one.window) > 1 else division.ATTEMPTS_FOR_A_DAY
        return None

    def parts_of(self, one: Slice) -> tuple[Window, ...]:
        """The parts of a slice that is divided, the last one to be asked for first."""
        case = self._case(one.account)
        case.splits += 1
        return tuple(division.halves(one.window) if case.door.open else division.samples(one.window))

    def why_shut(self, one: Slice) -> str | None:
        """Why nothing more may be asked of a slice that is open; `None` if it may."""
        return self._case(one.account).door.shut

    def answered(self, one: Slice) -> None:
        """A page came: the account can be read."""
        case = self._case(one.account)
        case.cellar.leave(one)
        if case.door.open:
            return
        case.door.open, case.door.knocking = True, None
        self._well.add(one.account.id)
        if case.sick:
            self.recovered.append(case.sick)
            self._note(case, State.OK, Complaint())
        self._remember_days(case)

    def read(self, one: Slice) -> None:
        """A walk came to its end: no day of it is poisoned."""
        case = self._case(one.account)
        self.cured += [poison for day in one.window if (poison := case.poison.pop(day, None))]

    def refused(self, one: Slice, failure: Failure) -> None:
        """The API refuses the account: nothing more is asked of it tonight."""
        complaint = in_full(failure.complaint, failure.text)
        self._shut(self._case(one.account), state_of(complaint.code), complaint)

    def failed(self, one: Slice, failure: Failure) -> Fate:
        """A slice failed, and neither its account nor its token nor a quota was the reason, as far as the API says."""
        case = self._case(one.account)
        if case.is_poisoned(one):
            self._still_poisoned(case, one, failure)
            return Fate.ANEW
        as_ever = Fate.ANEW if failure.refused else Fate.KEPT
        if case.sick:
            self._still_sick(case, case.sick, failure)
        elif self._may_be_its_own(case, failure):
            self._failing.add(one.account.id)
            return self._examine(case, one, failure) or as_ever
        return as_ever

    def finish(self) -> None:
        """The plan is through: what failed all night while others were answered is failing."""
        for case in self._cases.values():
            self._remember_days(case)
            if case.failures and not case.door.open and not case.door.shut and self._others_are_well(case):
                self._shut(case, State.FAILING, case.failures[-1])

    def news(self) -> list[Found]:
        """What was found out since this was asked last; it has to be remembered."""
        news, self._news = self._news, []
        return news

    def findings(self) -> tuple[list[Condition], list[Poison]]:
        """The accounts that are not well and the poisoned days, of all accounts that this run came upon."""
        cases = self._cases.values()
        return [case.sick for case in cases if case.sick], [one for case in cases for one in case.poison.values()]

    @property
    def asked(self) -> set[AccountId]:
        """Accounts that were asked in this run, of all that are not well."""
        return {account for account, case in self._cases.items() if case.asked}

    def _case(self, account: Account) -> Case:
        if account.id not in self._cases:
            self._cases[account.id] = case = self._known.case(account)
            case.door.open = account.id in self._well
        return self._cases[account.id]

    def _examine(self, case: Case, one: Slice, failure: Failure) -> Fate | None:
        """What a failure of its own means for a slice; `None`: nothing more than that it failed."""
        complaint = in_full(failure.complaint, failure.text)
        if not case.door.open:
            case.failures.append(complaint)
        if len(one.window) == 1:
            case.failed[one.window.start] = complaint
            self._remember_days(case)
        if not case.door.open and len(case.failures) >= ENOUGH:
            self._give_up(case, complaint)
        if one.window.start in case.poison:
            return Fate.ANEW
        too_dear = failure.pages >= DEAR and not failure.refused
        if case.door.shut or len(one.window) == 1 or too_dear or case.splits >= division.MOST_SPLITS:
            return None
        if failure.part or not self._is_the_api():
            return Fate.DIVIDED
        if not failure.refused:
            return None
        case.deferred[one] = failure
        return Fate.DEFERRED

    def _may_be_its_own(self, case: Case, failure: Failure) -> bool:
        """Whether a failure may be about the account's window; silence only if it came before, and others are heard."""
        if failure.complaint:
            return is_its_own(failure.complaint)
        lately = case.account.id in self._known.failed_lately
        return lately and not failure.pages and self._others_are_well(case)

    def _is_the_api(self) -> bool:
        return len(self._failing) > FEW + len(self._well) // PER_FAILING

    def _others_are_well(self, case: Case) -> bool:
        return len(self._well) > (case.account.id in self._well) and not self._is_the_api()

    def _give_up(self, case: Case, complaint: Complaint) -> None:
        if self._others_are_well(case):
            self._shut(case, State.FAILING, complaint)
        else:
            case.door.shut = f"nothing of this account could be had: {complaint.message}"

    def _remember_days(self, case: Case) -> None:
        """Days that failed by themselves are poisoned, once it is known that others of the account are answered."""
        if case.door.open and not self._is_the_api():
            for day, complaint in case.failed.items():
                self.tried.add(case.account.id)
                case.poison[day] = poison_after(None, case.account.id, day, complaint, self._known.today)
                self._news.append(case.poison[day])
            case.failed.clear()

    def _still_poisoned(self, case: Case, one: Slice, failure: Failure) -> None:
        before = case.poison[one.window.start]
        if failure.complaint and not is_its_own(failure.complaint):  # the API's own trouble
            case.cellar.shut = failure.text
            return
        complaint = in_full(failure.complaint or before.complaint, failure.text)
        after = poison_after(before, case.account.id, before.day, complaint, self._known.today)
        case.poison[before.day] = after
        self.tried.add(case.account.id)
        case.cellar.shut = why_poisoned(after, tonight=True)
        self._news.append(after)

    def _still_sick(self, case: Case, before: Condition, failure: Failure) -> None:
        """Nothing is remembered of what is the API's own trouble: a later run of the day asks again."""
        if failure.complaint and is_its_own(failure.complaint):
            self._shut(case, State.FAILING, in_full(failure.complaint, failure.text))
        elif failure.complaint is None and before.state is State.FAILING:
            self._shut(case, before.state, before.complaint)
        else:
            case.door.shut = f"{before.state} since {before.since}, and now: {failure.text}"

    def _shut(self, case: Case, state: State, complaint: Complaint) -> None:
        case.door.shut = why_skipped(self._note(case, state, complaint), tonight=True)

    def _note(self, case: Case, state: State, complaint: Complaint) -> Condition:
        after = condition_after(case.condition, case.account, state, complaint, self._known.today)
        case.condition = after
        self._news.append(after)
        return after
