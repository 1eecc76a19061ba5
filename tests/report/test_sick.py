from dataclasses import replace
from datetime import date

import orjson
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import Complaint
from harvester.model import ONE_DAY, Account, AccountId, AppName, Slice, Status, TokenName, Window
from harvester.report.sick import Sick, in_words, recovered_in_words, to_json
from harvester.report.summary import in_words as summary
from harvester.report.troubles import Trouble, trouble
from harvester.triage import ADVICE, AT_ONCE, Condition, Poison, State
from tests.report.test_summary import NEW, WINDOW, ended, outcome

TODAY = date(2024, 3, 5)
DENIAL = Complaint(code=12201, message="no permission", message_cn="无权限", trace_id="a1b2")


def condition(number: int, state: State = State.DENIED, since: date = TODAY, code: int = 12201) -> Condition:
    """An account that is not well."""
    return Condition(
        account_id=AccountId(number), state=state, token=TokenName("agency"), since=since, asked_on=TODAY,
        complaint=replace(DENIAL, code=code, trace_id=f"trace-{number}"),
    )  # fmt: skip


def poison(number: int, age: int = 1, since: date = TODAY) -> Poison:
    """A poisoned day, so many days old."""
    return Poison(
        account_id=AccountId(number), day=TODAY - ONE_DAY * age, complaint=Complaint(code=51001, message="busy"),
        since=since, asked_on=TODAY,
    )  # fmt: skip


def sick(*conditions: Condition, **more: object) -> Sick:
    """What a run found that asked everybody."""
    asked = {one.account_id for one in conditions}
    return Sick(today=TODAY, conditions=conditions, asked=asked, **more)  # type: ignore[arg-type]


def told(number: int, window: Window, status: Status) -> Trouble:
    """A slice that is not complete."""
    account = Account(id=AccountId(number), token=TokenName("agency"), app=AppName("app"))
    return trouble(Slice(account, window), status, "why")


def test_nobody_is_sick() -> None:
    """There is nothing to say."""
    assert in_words(Sick()) == []
    assert in_words(sick()) == []


def test_one_cause() -> None:
    """Count, since when, the API's words with one trace, a few accounts, and what to do."""
    lines = in_words(sick(*(condition(number, since=TODAY - ONE_DAY) for number in range(1, 6)), condition(6)))
    assert lines == [
        '  denied (6; 1 new today, the others since 2024-03-04): code 12201, "no permission", "无权限", trace trace-1',
        f"      1, 2, 3 and 3 more: {ADVICE[State.DENIED]}",
    ]


def test_since_when() -> None:
    """What is new tonight is told from what is old, and how old."""
    since = [TODAY - ONE_DAY * 9, TODAY - ONE_DAY * 2]
    for found, said in (
        ([TODAY], "(1; new today)"),
        (since[:1], "(1; since 2024-02-25)"),
        (since, "(2; since 2024-02-25 to 2024-03-03)"),
        ([TODAY, TODAY, *since], "(4; 2 new today, the others since 2024-02-25 to 2024-03-03)"),
    ):
        assert said in in_words(sick(*(condition(number, since=day) for number, day in enumerate(found))))[0]


def test_hundreds_make_a_dozen_lines() -> None:
    """However many accounts are sick in however many ways, two lines for each of six causes, and three more."""
    states = [State.DENIED, State.INACTIVE, State.UNKNOWN, State.FAILING]
    many = [condition(number, states[number % 4], code=number % 9) for number in range(900)]
    days = [poison(number, age) for number in range(300) for age in (1, 2)]
    again = [condition(number) for number in range(2000, 2400)]
    all_of_them = sick(*many, poison=days, recovered=again, cured=days, tried=range(300))
    lines = in_words(all_of_them) + recovered_in_words(all_of_them)
    assert len(lines) == 15
    assert lines[0] == '  poisoned (600 days of 300 accounts; new today): code 51001, "busy"'
    assert lines[1] == f"      0 2024-03-04, 0 2024-03-03, 1 2024-03-04 and 597 more: {ADVICE[State.POISONED]}"
    assert lines[-3].startswith("  … and ")
    assert lines[-2] == (
        "  well again (400): 2000 (denied since 2024-03-05), 2001 (denied since 2024-03-05), "
        "2002 (denied since 2024-03-05) and 397 more"
    )
    assert lines[-1] == "  poisoned no more (600): 0 2024-03-04, 0 2024-03-03, 1 2024-03-04 and 597 more"


def test_who_was_asked_before() -> None:
    """What an earlier run of the day found is told as that, and how to ask again."""
    lines = in_words(replace(sick(condition(1), condition(2), poison=[poison(3), poison(3, 2)]), asked={AccountId(1)}))
    assert lines[1].endswith(f"(enabled = false); 1 of them asked earlier today, and not again: {AT_ONCE}")
    assert lines[3].endswith(f"trace id; asked earlier today, and not again: {AT_ONCE}")


def test_what_is_told_once() -> None:
    """What a sick account, or a poisoned day, lacks is not told again slice by slice; anything else of them is."""
    day, week = Window(TODAY - ONE_DAY, TODAY - ONE_DAY), Window(TODAY - ONE_DAY * 7, TODAY - ONE_DAY)
    here = [told(1, week, Status.SKIPPED), told(1, day, Status.FAILED), told(2, day, Status.FAILED)]
    there = [told(2, week, Status.FAILED), told(1, week, Status.UNFINISHED), told(2, day, Status.SHORT)]
    there.append(told(3, day, Status.FAILED))
    found = sick(condition(1), poison=[poison(2)])
    assert found.without_told([*here, *there]) == there


def test_only_what_was_due() -> None:
    """A poisoned day that no slice of the run was about is left out."""
    day = TODAY - ONE_DAY
    found = sick(poison=[poison(2), poison(2, 3), poison(3)])
    assert found.of([told(2, Window(day, day), Status.SKIPPED)]).poison == [poison(2)]


def test_json() -> None:
    """Programs get every account and every day, each with what the API said and what to do."""
    found = sick(
        condition(1), poison=[poison(2)], recovered=[condition(3)], cured=[poison(4)], names={AccountId(1): "A"}
    )
    said = {"message": "no permission", "message_cn": "无权限"}
    assert orjson.loads(orjson.dumps(to_json(found))) == {
        "accounts_not_ok": [
            {
                "account_id": 1, "account_name": "A", "state": "denied", "token": "agency", "since": "2024-03-05",
                "asked_on": "2024-03-05", "code": 12201, **said, "trace_id": "trace-1", "advice": ADVICE[State.DENIED],
            }
        ],
        "poisoned_days": [
            {
                "account_id": 2, "account_name": None, "day": "2024-03-04", "since": "2024-03-05",
                "asked_on": "2024-03-05", "code": 51001, "message": "busy", "message_cn": "", "trace_id": None,
                "advice": ADVICE[State.POISONED],
            }
        ],
        "well_again": [{"account_id": 3, "account_name": None, "was": "denied", "since": "2024-03-05"}],
        "cured_days": [{"account_id": 4, "day": "2024-03-04", "since": "2024-03-05"}],
    }  # fmt: skip


def test_summary() -> None:
    """A sick account stands in the summary once, with its advice, before other causes."""
    outcomes = [outcome(1, Status.SKIPPED, "denied"), outcome(2, Status.FAILED, "busy")]
    report = replace(ended(*outcomes, report=NEW), sick=sick(condition(1)))
    lines = summary(report).splitlines()
    assert lines[0] == f"NOT COMPLETE  {WINDOW}: 2 of 2 slices are missing or short"
    assert [line for line in lines if "denied" in line] == [
        '  denied (1; new today): code 12201, "no permission", "无权限", trace trace-1'
    ]
    again = "run again; if it stays, ask Tencent, with the trace id"
    assert lines[-2:] == ["  failed (1): busy", f"      2 {WINDOW}: {again}"]


found_in_any_way = st.builds(
    lambda conditions, days: sick(*conditions, poison=days),
    st.lists(st.builds(condition, st.integers(1, 99), st.sampled_from(list(State)[1:5]), code=st.integers(0, 20))),
    st.lists(st.builds(poison, st.integers(1, 99), st.integers(1, 9))),
)


@given(found_in_any_way)
def test_any_report(found: Sick) -> None:
    """Every report is short in words and whole in JSON."""
    assert len(in_words(found)) <= 13
    values = orjson.loads(orjson.dumps(to_json(found)))
    assert len(values["accounts_not_ok"]) == len(found.conditions)
    assert len(values["poisoned_days"]) == len(found.poison)
