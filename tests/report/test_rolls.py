import csv
import io
from dataclasses import replace
from datetime import date
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.api.envelope import cleaned
from harvester.config.accounts_file import AccountsFile
from harvester.config.findings import Findings
from harvester.enrolment import enrol
from harvester.model import ONE_DAY, Account, AccountId, AppName, TokenName
from harvester.report.rolls import absences, barren, csv_of, failed, in_words, standing, to_json, told, unknown
from harvester.roll import Listed, Pattern, Selection, Table, Via, called, change

TODAY = date(2026, 11, 23)
AT = 1_795_370_400.0
"""2026-11-23 02:00 in Beijing."""
TABLE = Table(name="all", token=TokenName("agency-a"), app=AppName("main"), via=Via.ADVERTISER)


def listed(*numbers: int) -> list[Listed]:
    """Accounts in order."""
    return [Listed(id=AccountId(number), name=f"name {number}", status="CUSTOMER_STATUS_NORMAL") for number in numbers]


def account(number: int, name: str | None = None) -> Account:
    """An account of the only token."""
    return Account(id=AccountId(number), token=TABLE.token, app=TABLE.app, name=name)


def test_what_a_list_brought() -> None:
    """A first list is a number; after that what appeared and vanished is named, a few by id."""
    first = called(TABLE, None, listed(*range(1, 10)), AT, TODAY)
    assert told(change(TABLE, None, first)) == ["discover.all: listed for the first time, 9 accounts"]
    assert told(change(TABLE, first, first)) == []
    second = called(TABLE, first, listed(7, 8, 9, 10), AT, TODAY)
    assert told(change(TABLE, first, second)) == [
        "new on the roll of discover.all: 1 account: 10",
        "vanished from discover.all: 6 accounts: 1, 2, 3, 4, 5 and 1 more",
    ]


def test_patterns_that_take_nothing() -> None:
    """That no account is taken any more, or none at all, is said."""
    picky = replace(TABLE, selection=Selection(exclude=(Pattern("status", "*FROZEN"),)))
    before = called(picky, None, listed(1), AT, TODAY)
    now = called(picky, before, [replace(listed(1)[0], status="CUSTOMER_STATUS_FROZEN")], AT, TODAY)
    assert told(change(picky, before, now)) == [
        "no longer taken by include and exclude of discover.all: 1 account: 1",
    ]
    found = enrol([], (), [(picky, now)], TODAY)
    assert [barren(one) for one in found.barren] == [
        "none of its 1 account is left by include and exclude: mend the patterns"
    ]
    assert enrol([], (), [(picky, before)], TODAY).barren == ()
    assert enrol([account(1)], (), [(TABLE, before)], TODAY).barren == ()
    off = enrol([], {AccountId(1)}, [(TABLE, before)], TODAY)
    assert "and by `enabled = false` (1)" in barren(off.barren[0])


def test_absences() -> None:
    """Who vanished is named with the day, those that are still asked for and those that are not."""
    roll = called(TABLE, called(TABLE, None, listed(1, 2, 3), AT, TODAY), listed(1), AT, TODAY)
    assert absences(enrol([], (), [(TABLE, roll)], TODAY)) == [
        "vanished from discover.all since 2026-11-23: 2 accounts: 2, 3; asked for until the API refuses them"
    ]
    refused = {(AccountId(2), TABLE.token): TODAY}
    assert absences(enrol([], (), [(TABLE, roll)], TODAY, refused)) == [
        "vanished from discover.all since 2026-11-23: 1 account: 3; asked for until the API refuses them",
        "refused and vanished from discover.all since 2026-11-23, so not asked for any more: 1 account: 2",
    ]


@pytest.mark.parametrize(
    ("later_s", "age"),
    [(-5, "0 min ago"), (3_600, "60 min ago"), (7_300, "2 h ago"), (40 * 3600, "40 h ago"), (3 * 86_400, "3 days ago")],
)
def test_ages(later_s: float, age: str) -> None:
    """How old a roll is, and what is used instead of a list that failed."""
    roll = called(TABLE, None, listed(1, 2), AT, TODAY)
    when = f"2026-11-23 02:00 Beijing time, {age}"
    assert standing(TABLE, roll, AT + later_s) == f"discover.all: 2 accounts, as listed on {when}"
    assert failed(TABLE, "code 5", roll, AT + later_s) == (
        f"discover.all could not be listed, and its 2 accounts are those of {when}: code 5"
    )


def test_nobody_knows() -> None:
    """Without a roll it is said that the accounts are unknown, why, and what lists them."""
    assert "its accounts are unknown; a run lists them, or `harvester accounts refresh" in standing(TABLE, None, AT)
    assert failed(TABLE, "code 5", None, AT) == (
        "discover.all could not be listed, and its accounts are unknown: code 5"
    )
    assert unknown(TABLE, "code 5") == "the accounts of discover.all are unknown: code 5"
    assert unknown(TABLE, None) == "the accounts of discover.all are unknown: they were never listed"


def test_the_accounts_one_by_one() -> None:
    """Each account with its token, name, status, since when, and where it comes from, for people and programs."""
    roll = called(TABLE, called(TABLE, None, listed(1, 2), AT, TODAY), listed(1), AT, TODAY + ONE_DAY)
    found = enrol([account(9, "Ours")], (), [(TABLE, roll)], TODAY + ONE_DAY)
    assert in_words(found).splitlines() == [
        "3 accounts enrolled",
        "  account  token     status                  since       from          name",
        "  9        agency-a  -                       -           the config    Ours",
        "  1        agency-a  CUSTOMER_STATUS_NORMAL  2026-11-23  discover.all  name 1",
        "  2        agency-a  vanished 2026-11-24     2026-11-23  discover.all  name 2",
    ]
    plain = orjson.loads(orjson.dumps(to_json(found, [(TABLE, roll), (replace(TABLE, name="x"), None)])))
    assert plain["accounts"][2] == {
        "account_id": 2,
        "token": "agency-a",
        "name": "name 2",
        "status": "CUSTOMER_STATUS_NORMAL",
        "since": "2026-11-23",
        "vanished_on": "2026-11-24",
        "from": "all",
    }
    assert plain["accounts"][0]["from"] is None
    assert plain["released"] == []
    assert plain["rolls"][0] == {
        "table": "all",
        "token": "agency-a",
        "via": "advertiser",
        "known": True,
        "listed_at": "2026-11-23T02:00:00+08:00",
        "listed": 1,
    }
    assert (plain["rolls"][1]["known"], plain["rolls"][1]["listed_at"]) == (False, None)
    assert in_words(enrol([], (), [], TODAY)) == "0 accounts enrolled"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\uff1dcmd", "\uff0bx", "\uff0d1", "\uff20x"])
def test_no_name_is_a_formula(name: str) -> None:
    """A spreadsheet shows such a name instead of running it."""
    rows = list(csv.reader(io.StringIO(csv_of([account(1, name)], []))))
    assert rows == [["account_id", "token", "name", "enabled"], ["1", "agency-a", f"'{name}", "true"]]


@given(
    enabled=st.dictionaries(st.integers(1, 2**63 - 1), st.none() | st.text().map(cleaned), max_size=6),
    disabled=st.dictionaries(st.integers(1, 2**63 - 1), st.none() | st.text().map(cleaned), max_size=3),
)
def test_what_is_exported_loads(
    enabled: dict[int, str | None], disabled: dict[int, str | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The file is one that `[accounts] file` reads: the same ids, tokens and switches, and names for people."""
    off = {id_: name for id_, name in disabled.items() if id_ not in enabled}
    text = csv_of([account(*one) for one in enabled.items()], [account(*one) for one in off.items()])
    path: Path = tmp_path_factory.mktemp("csv") / "accounts.csv"
    path.write_bytes(text.encode())
    findings = Findings("test.toml")
    entries = list(AccountsFile("accounts.csv", ("agency-a", "agency-b"), findings).read(path))
    if enabled or off:
        assert findings.problems == []
    assert [(one.id, one.token, one.enabled) for one in entries] == [
        *((id_, "agency-a", True) for id_ in enabled),
        *((id_, "agency-a", False) for id_ in off),
    ]
    for one, name in zip(entries, [*enabled.values(), *off.values()], strict=True):
        assert (one.name or "").removeprefix("'").strip() == (name or "").removeprefix("'").strip()
