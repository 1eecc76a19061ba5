from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.api.codes import TABLE, Verdict
from harvester.errors import Complaint
from harvester.model import ONE_DAY, Account, AccountId, AppName, TokenName
from harvester.triage import (
    ADVICE,
    NEVER_ITS_OWN,
    STATES,
    Condition,
    State,
    condition_after,
    in_full,
    in_words_of,
    is_asked,
    is_its_own,
    poison_after,
    state_of,
    why_poisoned,
    why_skipped,
)

TODAY = date(2026, 3, 15)
AGENCY = TokenName("agency")
ACCOUNT = Account(id=AccountId(7), token=AGENCY, app=AppName("app"))
DENIAL = Complaint(code=12201, message="no permission", message_cn="无权限", trace_id="t1")

complaints = st.builds(
    Complaint,
    code=st.none() | st.integers(-1, 10**6),
    message=st.text(max_size=5),
    message_cn=st.text(max_size=5),
    trace_id=st.none() | st.text(max_size=5),
)


def found(state: State, day: date = TODAY, before: Condition | None = None) -> Condition:
    """How the account was found on a day."""
    return condition_after(before, ACCOUNT, state, DENIAL, day)


def test_the_tables_agree() -> None:
    """Codes that are about an account, and those that never are about one alone, are what the table of codes says."""
    assert {code for code, meaning in TABLE.items() if meaning.verdict is Verdict.SKIP_ACCOUNT} == STATES.keys()
    apps = {Verdict.WAIT_A_SECOND, Verdict.PAUSE_APP, Verdict.SLOW_APP, Verdict.END_APP_DAY}
    ours = {Verdict.RETRY_NOW, Verdict.FIX_CLOCK}
    assert {code for code, meaning in TABLE.items() if meaning.verdict in apps | ours} == NEVER_ITS_OWN


def test_every_state_has_advice() -> None:
    """Whatever is said of an account, a person is told what to do."""
    assert ADVICE.keys() == set(State)
    assert all(ADVICE.values())
    assert all("enabled = false" in ADVICE[state] for state in STATES.values())


@given(st.none() | st.integers())
def test_any_code(code: int | None) -> None:
    """An account that cannot be read for a reason nobody knows is of unknown state, never well."""
    assert state_of(code) is STATES.get(code or 0, State.UNKNOWN)
    assert state_of(code) not in {State.OK, State.POISONED}


@given(
    st.lists(st.tuples(st.sampled_from([s for s in State if s is not State.POISONED]), st.integers(0, 3)), min_size=1)
)
def test_since_when(history: list[tuple[State, int]]) -> None:
    """`since` is the first day of the latest run of nights in which an account was found the same."""
    condition, day, since = None, TODAY, TODAY
    for state, later in history:
        day += ONE_DAY * later
        since = since if condition and condition.state is state else day
        condition = found(state, day, condition)
        assert (condition.state, condition.since, condition.asked_on) == (state, since, day)
        assert condition.token == AGENCY


@given(
    st.sampled_from([s for s in State if s is not State.POISONED]),
    st.integers(-3, 3),
    st.sampled_from(["agency", "other"]),
    st.booleans(),
)
def test_once_a_day(state: State, later: int, token: str, forced: bool) -> None:
    """An account is not asked exactly when it is not well, was asked today by this token, and nobody wants it."""
    condition = found(state, TODAY + ONE_DAY * later)
    asked = is_asked(condition, TODAY, TokenName(token), forced=forced)
    assert asked is not (state is not State.OK and later == 0 and token == "agency" and not forced)  # noqa: S105


def test_an_account_that_never_refused_is_asked() -> None:
    """Of most accounts nothing is known, and they are asked as often as one likes."""
    assert is_asked(None, TODAY, AGENCY, forced=False)


@pytest.mark.parametrize(
    ("code", "own"), [(12201, False), (11017, False), (12101, False), (60009, True), (51001, True), (None, True)]
)
def test_whose_fault(code: int | None, own: bool) -> None:
    """Limits, clocks and denied accounts are nothing that a window does; other refusals, and gateways, may be."""
    assert is_its_own(Complaint(code=code)) is own


@given(complaints, st.text(min_size=1, max_size=5))
def test_in_full(complaint: Complaint, text: str) -> None:
    """Something is always said: the API's words, or else ours."""
    full = in_full(complaint, text)
    assert full == (complaint if complaint.code is not None or complaint.message else replace(complaint, message=text))
    assert in_full(None, text) == Complaint(message=text)
    assert in_words_of(full)


def test_words() -> None:
    """Code, both messages and trace on one line; a message that is the same twice is said once."""
    assert in_words_of(DENIAL) == 'code 12201, "no permission", "无权限", trace t1'
    assert in_words_of(DENIAL, trace=False) == 'code 12201, "no permission", "无权限"'
    assert in_words_of(Complaint(code=1, message="a", message_cn="a")) == 'code 1, "a"'
    assert in_words_of(Complaint()) == "it said nothing"


def test_why() -> None:
    """A slice that is not tried says since when, why, and, if it was asked earlier that day, how to force it."""
    condition = found(State.DENIED)
    assert why_skipped(condition, tonight=True) == f"denied since 2026-03-15: {in_words_of(DENIAL)}"
    assert why_skipped(condition, tonight=False).endswith(
        "; asked today before, so not again: `harvester run CONFIG --account ID` asks at once"
    )
    poison = poison_after(None, ACCOUNT.id, TODAY - ONE_DAY, DENIAL, TODAY)
    assert why_poisoned(poison, tonight=True) == f"this day alone fails, since 2026-03-15: {in_words_of(DENIAL)}"
    assert "--account ID" in why_poisoned(poison, tonight=False)


def test_poison_keeps_its_beginning() -> None:
    """A poisoned day that fails again is poisoned since it failed first."""
    first = poison_after(None, ACCOUNT.id, TODAY - ONE_DAY, DENIAL, TODAY)
    again = poison_after(first, ACCOUNT.id, first.day, Complaint(code=1), TODAY + ONE_DAY)
    assert (again.since, again.asked_on, again.complaint.code) == (TODAY, TODAY + ONE_DAY, 1)
