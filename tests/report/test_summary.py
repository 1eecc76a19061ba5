from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.errors import ExitCode
from harvester.foresight import Expected
from harvester.model import BEIJING, Account, AccountId, AppName, Outcome, Receipt, Slice, Status, TokenName, Window
from harvester.report.left import Left, left_of
from harvester.report.quotas import QuotaUse
from harvester.report.summary import Report, exit_code, fold, in_words, to_json
from harvester.report.troubles import Trouble, trouble

STARTED = datetime(2024, 3, 5, 1, 30, tzinfo=BEIJING)
WINDOW = Window(date(2024, 2, 27), date(2024, 3, 4))
NEW = Report(run_id="20240305T013000-abc123", window=WINDOW, accounts=300, started=STARTED)
SCREEN_LINES = 50
AGAIN = "run again; if it stays, ask Tencent, with the trace id"


def word(number: int) -> str:
    """A number without digits: causes that differ by no more than a number are one."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def slice_of(number: int) -> Slice:
    """An account's window."""
    account = Account(id=AccountId(number), token=TokenName("agency-a"), app=AppName("main"), name=f"name {number}")
    return Slice(account, WINDOW)


def ended(*outcomes: Outcome, report: Report = NEW) -> Report:
    """The report of a run that ended with these outcomes."""
    for outcome in outcomes:
        report = fold(report, outcome)
    return replace(report, ended=STARTED + timedelta(hours=1, minutes=2, seconds=3))


def outcome(
    number: int, status: Status = Status.COMPLETE, reason: str | None = None, missing: int = 0, **counts: Any
) -> Outcome:
    """What became of an account's slice; what is missing is so on its first day."""
    gone = {WINDOW.start: missing} if missing else {}
    return Outcome(slice=slice_of(number), status=status, reason=reason, missing_on=gone, **counts)


counts = st.fixed_dictionaries(
    {name: st.integers(0, 1000) for name in ("landed", "new", "changed", "missing", "dropped", "quarantined")}
)
outcomes = st.builds(
    lambda number, status, numbers: outcome(number, status, None if status is Status.COMPLETE else "why", **numbers),
    st.integers(1, 9),
    st.sampled_from([status for status in Status if status is not Status.DIVIDED]),
    counts,
)


@given(st.lists(outcomes).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_order_does_not_matter(both: tuple[list[Outcome], list[Outcome]]) -> None:
    """In whatever order slices end, the sums are the same, and every slice that is not complete is there."""
    some, others = both
    report, other = ended(*some), ended(*others)
    assert replace(report, troubles=(), missing_on=()) == replace(other, troubles=(), missing_on=())
    assert sorted(map(repr, report.missing_on)) == sorted(map(repr, other.missing_on))
    assert sorted(map(repr, report.troubles)) == sorted(map(repr, other.troubles))
    assert report.calls == sum(one.landed for one in some)
    assert (report.new, report.changed) == (sum(one.new for one in some), sum(one.changed for one in some))
    assert report.missing == sum(one.missing for one in some)
    assert report.quarantined == sum(one.quarantined for one in some)
    assert sum(report.slices.values()) == len(some)
    assert len(report.troubles) == sum(one.status is not Status.COMPLETE for one in some)
    assert report.complete == all(one.status is Status.COMPLETE for one in some)


def test_a_divided_slice_is_none() -> None:
    """A slice that failed as a whole is counted as that, and lacks nothing: its parts are slices."""
    report = ended(outcome(1), outcome(2, Status.DIVIDED, "why", resumed=True), outcome(2))
    assert (report.slices, report.divided, report.resumed) == ({Status.COMPLETE: 2}, 1, 1)
    assert report.complete


def test_fold_leaves_the_old_report_alone() -> None:
    """A report is a value: one more slice makes a new one."""
    fold(NEW, outcome(1))
    assert NEW.slices == {}


def test_trouble() -> None:
    """A slice that is not complete is named by account, days, status and reason, though there may be none."""
    report = ended(outcome(7, Status.SHORT, None))
    assert report.troubles == (
        Trouble(
            account_id=7,
            account_name="name 7",
            window="2024-02-27..2024-03-04",
            status=Status.SHORT,
            reason="no reason is known",
        ),
    )


SIGINT, SIGTERM = ExitCode.INTERRUPTED, ExitCode.TERMINATED


@pytest.mark.parametrize(
    ("statuses", "more", "signalled", "code"),
    [
        ("", {}, None, ExitCode.COMPLETE),
        ("complete", {}, None, ExitCode.COMPLETE),
        ("complete", {}, SIGINT, ExitCode.COMPLETE),  # the signal came when all was done
        ("complete", {"no_token_works": True}, None, ExitCode.COMPLETE),
        ("complete short", {}, None, ExitCode.PARTIAL),
        ("complete failed", {}, None, ExitCode.PARTIAL),
        ("complete skipped", {}, None, ExitCode.PARTIAL),
        ("unfinished", {}, None, ExitCode.BUDGET),
        ("complete", {"not_begun": 1}, None, ExitCode.BUDGET),
        ("complete unfinished", {"not_begun": 1}, None, ExitCode.BUDGET),
        ("unfinished failed", {"not_begun": 1}, None, ExitCode.PARTIAL),  # failing needs a person, the budget does not
        ("complete failed", {"no_token_works": True}, None, ExitCode.NO_TOKEN),
        ("complete failed", {"renewals_failed": True}, None, ExitCode.BUDGET),  # nothing was said against a token
        ("unfinished", {"no_token_works": True, "not_begun": 1}, None, ExitCode.NO_TOKEN),
        ("complete", {"not_begun": 1}, SIGINT, ExitCode.INTERRUPTED),
        ("unfinished", {}, SIGTERM, ExitCode.TERMINATED),
        ("failed", {"no_token_works": True}, SIGTERM, ExitCode.TERMINATED),
    ],
)
def test_exit_code(statuses: str, more: Mapping[str, Any], signalled: ExitCode | None, code: ExitCode) -> None:
    """What the shell is told is what needs a person first."""
    report = ended(*(outcome(1, Status(status), "why") for status in statuses.split()))
    assert exit_code(replace(report, **more), signalled) is code


def test_exit_codes_are_the_contract_s() -> None:
    """People script against these numbers."""
    assert {code.name: int(code) for code in ExitCode} == {
        "COMPLETE": 0, "BUG": 1, "USAGE": 2, "PARTIAL": 3, "STORAGE": 4, "NO_TOKEN": 5, "BUDGET": 8, "LOCKED": 11,
        "INTERRUPTED": 130, "TERMINATED": 143,
    }  # fmt: skip


GONE: dict[str, Any] = {"quarantined": 1, "missing": 3, "dropped": 2, "resumed": True, "notes": ("a note",)}
FULL = replace(
    ended(outcome(1, landed=5, new=4, changed=1), outcome(2, Status.SHORT, "1 of 2", **GONE)),
    requests={AppName("main"): 12},
    failed_attempts=2,
    completed_before=40,
    dead_tokens={TokenName("agency-b"): "token agency-b is expired"},
    not_begun=1,
    left=left_of([(slice_of(3), Expected(requests=2.6))], begun=0),
    predicted=11.4,
    predicted_s=660.0,
    late=2,
    quotas=(QuotaUse(app="main", requests=12, per_minute=60, share=0.00333333, others=0.25),),
    walked=12,
    ended_by="interrupt (SIGINT)",
    exit_code=ExitCode.INTERRUPTED,
)


def test_json() -> None:
    """The report's file holds everything under names that stay, as plain JSON."""
    assert orjson.loads(orjson.dumps(to_json(FULL))) == {
        "run_id": "20240305T013000-abc123",
        "window": {"start": "2024-02-27", "end": "2024-03-04"},
        "accounts": 300,
        "started": "2024-03-05T01:30:00+08:00",
        "ended": "2024-03-05T02:32:03+08:00",
        "slices": {"complete": 1, "short": 1, "failed": 0, "skipped": 0, "unfinished": 0},
        "divided": 0,
        "not_begun": 1,
        "left": [{"account_id": 3, "account_name": "name 3", "window": "2024-02-27..2024-03-04"}],
        "left_slices": 1,
        "left_by_app": {"main": 1},
        "left_requests": 3,
        "left_only_to_be_read_again": 0,
        "predicted": 11,
        "predicted_s": 660.0,
        "took_s": 3723.0,
        "quotas": [{"app": "main", "requests": 12, "per_minute": 60, "share": 0.0033, "others": 0.25}],
        "walked": 12,
        "calls": 5,
        "new": 4,
        "changed": 1,
        "late": 2,
        "missing": 3,
        "dropped": 2,
        "missing_on": [{"account_id": 2, "day": "2024-02-27", "calls": 3}],
        "resumed": 1,
        "completed_before": 40,
        "notes": ["a note"],
        "quarantined": 1,
        "requests": {"main": 12},
        "failed_attempts": 2,
        "dead_tokens": {"agency-b": "token agency-b is expired"},
        "no_token_works": False,
        "renewals_failed": False,
        "troubles": [
            {
                "account_id": 2,
                "account_name": "name 2",
                "window": "2024-02-27..2024-03-04",
                "status": "short",
                "reason": "1 of 2",
            }
        ],
        "ended_by": "interrupt (SIGINT)",
        "accounts_not_ok": [],
        "poisoned_days": [],
        "well_again": [],
        "cured_days": [],
        "exit_code": 130,
        "complete": False,
    }


@given(st.lists(outcomes))
def test_json_of_any_report(some: list[Outcome]) -> None:
    """Every report is JSON, with every status counted."""
    values = orjson.loads(orjson.dumps(to_json(ended(*some))))
    assert sum(values["slices"].values()) == len(some)
    assert values["slices"].keys() == set(Status) - {Status.DIVIDED}
    assert values.keys() == to_json(FULL).keys()


def test_words_of_a_complete_run() -> None:
    """The first line says that all is complete, the next ones how much it was."""
    report = replace(ended(outcome(1, landed=12345, new=12000, changed=7)), requests={AppName("main"): 1000})
    assert in_words(report).splitlines() == [
        "COMPLETE  2024-02-27..2024-03-04: every call that the API counts is in the files",
        "  300 accounts · 7 days · 1 of 1 slice complete",
        "  12,345 calls (12,000 new, 7 changed)",
        "  1,000 requests (0 failed)",
        "  took 1:02:03 · run 20240305T013000-abc123",
    ]


def test_words_of_a_run_without_work() -> None:
    """A run that had nothing to do says so."""
    assert in_words(ended()).startswith("COMPLETE  2024-02-27..2024-03-04: nothing was due\n")


@pytest.mark.parametrize("status", [Status.SHORT, Status.FAILED, Status.SKIPPED, Status.UNFINISHED])
def test_words_of_a_run_that_is_not_complete(status: Status) -> None:
    """The first line says that it is not complete and how much is lacking; then comes what, and why."""
    left = left_of(((slice_of(number), Expected(requests=3.4)) for number in (3, 4, 5)), begun=0)
    text = in_words(replace(ended(outcome(1), outcome(2, status, "the reason")), not_begun=3, left=left))
    assert text.startswith("NOT COMPLETE  2024-02-27..2024-03-04: 4 of 5 slices are missing or short\n")
    assert f"  {status} (1): the reason\n      2 2024-02-27..2024-03-04" in text
    assert "  left: 3 slices, about 10 requests; the next run goes on with them\n      3 2024-02-27" in text


def test_words_of_an_abandoned_run() -> None:
    """Slices that were open when a run was cancelled are counted among those that are lacking."""
    abandoned = trouble(slice_of(2), Status.UNFINISHED, "abandoned while it was open")
    report = replace(ended(outcome(1)), troubles=(abandoned,), ended_by="interrupt (SIGINT)")
    text = in_words(report)
    assert text.startswith("NOT COMPLETE  2024-02-27..2024-03-04: 1 of 2 slices is missing or short\n")
    assert "1 of 2 slices complete" in text
    assert "ended by: interrupt (SIGINT)" in text


def test_words_name_what_else_a_person_should_know() -> None:
    """Kept calls, quarantined records and dead tokens have a line each."""
    text = in_words(FULL)
    assert "  40 more slices were complete already, by a run of this night that was interrupted" in text
    assert "  1 slice went on from where an earlier run was interrupted" in text
    gone = "  3 calls that had landed before were not returned any more; 2 are dropped, 1 on unproven days are kept"
    assert f"{gone}\n      2 2024-02-27 (3)\n" in text
    assert "  note: a note" in text
    assert "  1 record cannot be placed; it is in quarantine/, with its reason" in text
    assert "  token agency-b is expired" in text


def test_words_about_kept_calls() -> None:
    """Calls that the API forgot are kept, and the first few days that had them are named."""
    text = in_words(ended(*(outcome(number, missing=1000) for number in range(1, 6))))
    assert "  5,000 calls that had landed before were not returned any more; they are kept\n" in text
    days = [f"{number} 2024-02-27 (1,000)" for number in (1, 2, 3)]
    assert f"      {', '.join(days)} and 2 more days" in text


def test_words_about_dropped_calls() -> None:
    """Calls that the API forgot and that were to be dropped are counted as that."""
    text = in_words(ended(outcome(1, missing=2, dropped=2)))
    assert "  2 calls that had landed before were not returned any more; 2 are dropped\n      1 2024-02-27 (2)" in text


def test_what_is_missing_is_named_up_to_a_bound() -> None:
    """A report names some hundreds of days with missing calls; it counts all of them."""
    report = ended(*(outcome(number, missing=1) for number in range(500)))
    assert report.missing == 500
    assert 300 <= len(report.missing_on) < 500


def test_grouping_by_cause() -> None:
    """Slices that failed for the same reason share a line, the most common cause first, a few accounts by name."""
    rare, common = [outcome(1, Status.FAILED, "rare")], [outcome(n, Status.FAILED, "common") for n in range(2, 1002)]
    other = [outcome(n, Status.SHORT, "common") for n in range(2000, 2002)]
    lines = in_words(ended(*rare, *common, *other)).splitlines()[5:]
    days = "2024-02-27..2024-03-04"
    assert lines == [
        "  failed (1,000): common",
        f"      2 {days}, 3 {days}, 4 {days} and 997 more: {AGAIN}",
        "  short (2): common",
        f"      2000 {days}, 2001 {days}: what was read is kept; they are read again by the next run",
        "  failed (1): rare",
        f"      1 {days}: {AGAIN}",
    ]


def test_hundreds_of_accounts_fit_a_screen() -> None:
    """Though 500 accounts fail for 500 reasons under 200 dead tokens, the summary fits and says what it leaves out."""
    report = ended(*(outcome(number, Status.FAILED, f"reason {word(number)}") for number in range(500)))
    dead = {TokenName(f"t{number}"): f"token t{number} is expired" for number in range(200)}
    notes = tuple(f"note {number}" for number in range(100))
    lines = in_words(replace(report, dead_tokens=dead, notes=notes)).splitlines()
    assert "  … and 92 further notes: see the run's report" in lines
    assert len(lines) <= SCREEN_LINES
    assert "  … and 488 further causes: see the run's report" in lines
    assert "  … and 192 further dead tokens: see the run's report" in lines


def test_one_more_is_not_many() -> None:
    """A single cause, note or token that is left out is told in the singular."""
    report = ended(*(outcome(number, Status.FAILED, f"reason {word(number)}") for number in range(13)))
    dead = {TokenName(f"t{number}"): f"token t{number} is expired" for number in range(9)}
    lines = in_words(replace(report, dead_tokens=dead, notes=tuple(map(str, range(9))))).splitlines()
    for what in ("cause", "note", "dead token"):
        assert f"  … and 1 further {what}: see the run's report" in lines


@given(st.lists(outcomes), st.integers(0, 3))
def test_words_of_any_report(some: list[Outcome], not_begun: int) -> None:
    """Every report says in its first word whether all is complete."""
    report = replace(ended(*some), not_begun=not_begun)
    first = in_words(report).splitlines()[0]
    assert first.startswith("COMPLETE  " if report.complete else "NOT COMPLETE  ")
    assert in_words(replace(report, ended=None))


def receipt(requests: int) -> Receipt:
    """A finished walk's evidence."""
    return Receipt(requests=requests, read=1, distinct=1, counted=1)


def test_prediction_and_truth_are_of_the_same_slices() -> None:
    """Compared is what came to its end and of which something was known; what earlier nights sent is left out."""
    report = fold(NEW, outcome(1, receipt=receipt(5)), Expected(requests=4.5))
    report = fold(report, outcome(2, Status.SHORT, "why", receipt=receipt(30)), Expected(requests=9.5, spent=20))
    assert (report.predicted, report.walked) == (14.0, 15)
    for other in (
        fold(report, outcome(3, Status.UNFINISHED, "why"), Expected(requests=7.0)),
        fold(report, outcome(3, Status.FAILED, "why"), Expected(requests=7.0)),
        fold(report, outcome(3, receipt=receipt(9)), Expected(requests=1.0, blind_days=7)),
        fold(report, outcome(3, receipt=receipt(9))),
    ):
        assert (other.predicted, other.walked) == (14.0, 15)


def test_words_compare_prediction_and_truth() -> None:
    """The summary says how good the prediction was; without one it says nothing of it."""
    report = replace(ended(outcome(1)), predicted=3582.4, walked=3614)
    assert "\n  predicted 3,582 requests, took 3,614 (+0.9 %)" in in_words(report)
    assert "(-100.0 %)" in in_words(replace(report, walked=0))
    assert "predicted" not in in_words(ended(outcome(1)))
    timed = replace(report, predicted_s=3600.0, requests={AppName("main"): 3614})
    assert "\n  took 1:02:03, 1:00:00 predicted (+3 %) · run " in in_words(timed)


def test_nothing_is_left_of_a_complete_run() -> None:
    """A run that tried all of its plan leaves nothing, and says nothing of it."""
    assert to_json(ended(outcome(1)))["left"] == []
    assert ended(outcome(1)).left == Left()
    assert "left" not in in_words(ended(outcome(1)))
