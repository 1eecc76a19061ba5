from dataclasses import replace
from datetime import date

import orjson

from harvester.errors import Complaint
from harvester.inspection import Arrival, Failure, Walking
from harvester.model import ONE_DAY, AccountId, TokenName, Window
from harvester.report.status import Standing, State, in_words, to_json
from harvester.triage import ADVICE, Condition, Poison
from harvester.triage import State as Health

FIRST, LAST = date(2024, 2, 24), date(2024, 3, 1)
WINDOW = Window(FIRST, LAST)
WHOLE = Standing(account_id=AccountId(5), name="Acme", window=WINDOW, complete=7)
STATE = State(window=WINDOW, accounts=[WHOLE], reread_days=7, ledger="/srv/ledger.sqlite")
NEVER_READ_AGAIN = "  No day has been read again yet: nothing is known about late calls."
HEAD = "  account  through     complete  short  queued  not complete"


def day(number: int) -> date:
    """A day of the window, from 0."""
    return FIRST + ONE_DAY * number


def lacking(number: int, *gaps: Window, **more: object) -> Standing:
    """An account that lacks these days."""
    complete = 7 - sum(map(len, gaps))
    return replace(WHOLE, account_id=AccountId(number), complete=complete, gaps=gaps, **more)  # type: ignore[arg-type]


def words(state: State, *, every: bool = False) -> list[str]:
    """What a person reads of the accounts."""
    lines = in_words(state, every=every).splitlines()
    assert lines[-3:] == ["", "How late calls come:", NEVER_READ_AGAIN]
    return lines[:-3]


def test_no_ledger_yet() -> None:
    """Before the first run there is nothing to say but that."""
    state = replace(STATE, there=False)
    assert in_words(state) == "NOTHING YET: there is no ledger /srv/ledger.sqlite; the first run makes it"
    assert to_json(state)["ledger"] is None


def test_accounts_that_nobody_knows() -> None:
    """Nothing is complete while a table was never listed, and a program is told which one."""
    state = replace(STATE, accounts=[], unknown=("discover.x",))
    mend = "a run lists them, or `harvester accounts refresh CONFIG`"
    first = f"NOT COMPLETE through 2024-03-01: the accounts of discover.x are not known: {mend}"
    assert words(state) == [first]
    short = replace(state, accounts=[WHOLE, lacking(6, WINDOW)])
    assert words(short)[0] == f"{first}; 1 of 2 accounts lack days"
    assert to_json(state)["complete"] is False
    assert to_json(state)["unknown_accounts_of"] == ["discover.x"]
    assert to_json(STATE)["unknown_accounts_of"] == []


def test_all_complete() -> None:
    """The first line says so, and no account is named."""
    later = replace(WHOLE, window=Window(day(2), LAST), complete=5)
    assert words(STATE) == ["COMPLETE through 2024-03-01: 1 account, every day since 2024-02-24"]
    assert words(replace(STATE, accounts=[WHOLE, later])) == [
        "COMPLETE through 2024-03-01: 2 accounts, every day since 2024-02-26"
    ]


def test_every_account_is_shown_when_asked_for() -> None:
    """`--all` names the complete ones, too."""
    assert words(STATE, every=True)[1:] == [
        HEAD,
        "  5        2024-03-01  7 of 7    0      0",
    ]


def test_accounts_that_lack_days() -> None:
    """Each with how far it is complete, what it lacks, what is going on, and how it failed last."""
    walking = Walking(window=WINDOW, calls=12345, since=LAST, saved_at="2024-03-02T02:31:05+08:00")
    failure = Failure(
        window="2024-02-24..2024-03-01", status="failed", reason="HTTP 503", at="2024-03-02T02:31:05+08:00"
    )
    single = [Window(day(number), day(number)) for number in (1, 3, 5, 6)]
    accounts = [
        lacking(7, WINDOW, walking=(walking,), failure=failure),
        lacking(20, *single, short=2, queued=1, failure=replace(failure, reason=None)),
        lacking(6, Window(day(5), LAST)),
        WHOLE,
    ]
    assert words(replace(STATE, accounts=accounts)) == [
        "NOT COMPLETE through 2024-03-01: 3 of 4 accounts lack days",
        HEAD,
        "  7        -           0 of 7    0      0       2024-02-24..2024-03-01",
        "      in progress: 2024-02-24..2024-03-01, begun 2024-03-01, 12,345 calls so far, saved 2024-03-02 02:31",
        "      last failure: 2024-03-02 02:31, 2024-02-24..2024-03-01 failed: HTTP 503",
        "  20       2024-02-24  3 of 7    2      1       2024-02-25, 2024-02-27, 2024-02-29 and 1 more",
        "      last failure: 2024-03-02 02:31, 2024-02-24..2024-03-01 failed: no reason is known",
        "  6        2024-02-28  5 of 7    0      0       2024-02-29..2024-03-01",
    ]


def test_accounts_that_are_not_well() -> None:
    """Each says how it is, since when, what the API said and what to do, once; a day that is poisoned too."""
    said = Complaint(code=12201, message="no permission", trace_id="a1")
    denied = Condition(
        account_id=AccountId(7), state=Health.DENIED, token=TokenName("t"), complaint=said, since=FIRST, asked_on=LAST
    )
    skipped = Failure(
        window="2024-02-24..2024-03-01", status="skipped", reason="denied", at="2024-03-02T02:31:05+08:00"
    )
    days = [
        Poison(account_id=AccountId(8), day=day(number), complaint=said, since=FIRST, asked_on=LAST)
        for number in range(4)
    ]
    accounts = [
        lacking(7, WINDOW, condition=denied, failure=skipped),
        lacking(8, Window(FIRST, day(3)), poison=tuple(days)),
        lacking(9, WINDOW, condition=replace(denied, state=Health.OK), failure=skipped),
    ]
    three = "2024-02-24, 2024-02-25, 2024-02-26"
    words_of_it = 'code 12201, "no permission", trace a1'
    assert words(replace(STATE, accounts=accounts))[2:] == [
        "  7        -        0 of 7    0      0       2024-02-24..2024-03-01",
        f"      denied since 2024-02-24, asked 2024-03-01: {words_of_it}; {ADVICE[Health.DENIED]}",
        "  8        -        3 of 7    0      0       2024-02-24..2024-02-27",
        f"      poisoned since 2024-02-24: {three} and 1 more: {words_of_it}; {ADVICE[Health.POISONED]}",
        "  9        -        0 of 7    0      0       2024-02-24..2024-03-01",
        "      last failure: 2024-03-02 02:31, 2024-02-24..2024-03-01 skipped: denied",
    ]
    shown = orjson.loads(orjson.dumps(to_json(replace(STATE, accounts=accounts))))["accounts"]
    assert [one["state"] for one in shown] == ["denied", "poisoned", "ok"]
    assert [len(one["poisoned_days"]) for one in shown] == [0, 4, 0]
    assert (shown[0]["condition"]["since"], shown[0]["condition"]["code"]) == ("2024-02-24", 12201)


def test_thousands_of_accounts_fit_a_screen() -> None:
    """Fifty in trouble are named, the rest is counted; `--all` names every one."""
    accounts = [lacking(number, WINDOW) for number in range(1000, 6000)]
    state = replace(STATE, accounts=[*accounts[:51], WHOLE], others=1234)
    assert len(words(state)) == 1 + 1 + 50 + 2
    assert words(state)[-2:] == [
        "  … and 1 more: `--all` shows every account",
        "  1,234 more accounts are in the ledger and not enabled in this config",
    ]
    assert len(words(replace(STATE, accounts=accounts[:50]))) == 1 + 1 + 50
    assert len(words(replace(STATE, accounts=accounts), every=True)) == 1 + 1 + 5000


def test_through() -> None:
    """The last day up to which there is no gap; none when the first day is lacking or nothing was looked up."""
    assert WHOLE.through == LAST
    assert lacking(1, Window(day(1), day(1)), Window(day(6), LAST)).through == FIRST
    assert lacking(1, Window(FIRST, FIRST)).through is None
    assert replace(WHOLE, complete=3).through is None


def test_json() -> None:
    """Programs get every account with every gap, and the evidence of late calls, as plain values."""
    walking = Walking(window=WINDOW, calls=1, since=LAST, saved_at="2024-03-02T02:31:05+08:00")
    failure = Failure(window="2024-02-24..2024-03-01", status="failed", reason=None, at="2024-03-02T02:31:05+08:00")
    accounts = [lacking(7, Window(day(1), day(2)), walking=(walking,), failure=failure, short=1, queued=1), WHOLE]
    arrival = Arrival(age=2, days=3, calls=4, new=0)
    state = replace(STATE, accounts=accounts, others=1, arrivals=[arrival], nights=20)
    window = {"start": "2024-02-24", "end": "2024-03-01"}
    shown = orjson.loads(orjson.dumps(to_json(state)))
    whole = shown["accounts"].pop()
    verdict = shown["late_calls"].pop("verdict")
    assert verdict.startswith("No call came late")
    assert shown == {
        "complete": False,
        "ledger": "/srv/ledger.sqlite",
        "window": window,
        "incomplete_accounts": 1,
        "unknown_accounts_of": [], "other_accounts": 1,
        "accounts": [
            {
                "account_id": 7, "name": "Acme", "complete_through": "2024-02-24", "window": window,
                "complete_days": 5, "short_days": 1, "queued_days": 1,
                "gaps": [{"start": "2024-02-25", "end": "2024-02-26"}],
                "in_progress": [
                    {"window": window, "calls": 1, "since": "2024-03-01", "saved_at": "2024-03-02T02:31:05+08:00"}
                ],
                "last_failure": {
                    "window": "2024-02-24..2024-03-01", "status": "failed", "reason": None,
                    "at": "2024-03-02T02:31:05+08:00",
                },
                "state": "ok", "condition": None, "poisoned_days": [],
            }
        ],
        "late_calls": {"nights": 20, "reread_days": 7, "ages": [{"age": 2, "days": 3, "calls": 4, "new": 0}]},
    }  # fmt: skip
    assert (whole["gaps"], whole["in_progress"], whole["last_failure"]) == ([], [], None)
    assert to_json(STATE)["complete"] is True
