import datetime as dt
import re
from pathlib import Path

import pytest

from harvester.assign import Options, assignment_of
from harvester.config import load
from harvester.model import AccountId, AppName, TokenName
from harvester.roll import Pattern, Via
from tests.config.helpers import ACCOUNTS, APPS, DISCOVER, SMALLEST, TOKENS, TWO_TOKENS, problems_of, settings_of

CONFIGS = Path(__file__).parents[2] / "configs"
TODAY = dt.date(2026, 11, 23)
BARE = APPS + TOKENS
"""A config that names no account."""


def test_a_table_reaches_the_run(tmp_path: Path) -> None:
    """Every key of a table is what the assignment says; the only token need not be named."""
    text = BARE + DISCOVER.replace(
        "\n", '\nagency_id = 7\ninclude = ["name:*上海*"]\nexclude = ["id:2045*"]\nevery = "2h"\n', 1
    )
    settings = settings_of(tmp_path, text)
    discovery = assignment_of(settings, Options(accounts=[5, 6, 5]), TODAY).discovery
    assert discovery
    (table,) = discovery.tables
    assert (table.name, table.token, table.app, table.via) == ("all", "agency-a", "main", Via.ADVERTISER)
    assert (table.agency_id, table.every_s) == (7, 7200.0)
    assert table.selection.include == (Pattern("name", "*上海*"),)
    assert table.selection.exclude == (Pattern("id", "2045*"),)
    assert discovery.only == (5, 6)
    assert str(table) == "discover.all"


def test_without_a_table_nothing_is_discovered(tmp_path: Path) -> None:
    """A config that names its accounts is as it always was."""
    assignment = assignment_of(settings_of(tmp_path, SMALLEST), Options(), TODAY)
    assert assignment.discovery is None
    assert list(assignment.fleet) == [2045867]


def test_defaults_and_order(tmp_path: Path) -> None:
    """Tables come in the order of the file; without patterns everything is taken, and a list holds for 20 hours."""
    text = APPS + TWO_TOKENS + '[discover.z]\ntoken = "agency-b"\nvia = "organization"\n'
    text += '[discover.a]\ntoken = "agency-a"\nvia = "advertiser"\n'
    discovery = assignment_of(settings_of(tmp_path, text), Options(), TODAY).discovery
    assert discovery
    assert [table.name for table in discovery.tables] == ["z", "a"]
    first = discovery.tables[0]
    assert (first.token, first.app, first.via) == (TokenName("agency-b"), AppName("main"), Via.ORGANIZATION)
    assert (first.every_s, first.selection.include, first.agency_id) == (72_000.0, (), None)


def test_disabled_accounts_are_handed_on(tmp_path: Path) -> None:
    """A file may hold nothing but accounts that are taken out, where others find themselves."""
    (tmp_path / "out.csv").write_text("account_id,enabled\n5,false\n6,no\n")
    settings = settings_of(tmp_path, BARE + '[accounts]\nfile = "out.csv"\n' + DISCOVER)
    assert settings.accounts == ()
    discovery = assignment_of(settings, Options(), TODAY).discovery
    assert discovery
    assert [account.id for account in discovery.disabled] == [AccountId(5), AccountId(6)]


def test_the_nightly_example_s_table_loads(tmp_path: Path) -> None:
    """What stands there as a comment works once it is uncommented."""
    text = (CONFIGS / "nightly.toml").read_text(encoding="utf-8")
    head, tail = text.split("# [discover.", 1)
    tail = re.sub("^# ", "", f"# [discover.{tail}", flags=re.MULTILINE)
    (tmp_path / "nightly.toml").write_text(head + tail, encoding="utf-8")
    (tmp_path / "accounts.example.csv").write_bytes((CONFIGS / "accounts.example.csv").read_bytes())
    settings = load(tmp_path / "nightly.toml", {"HARVESTER_TOKEN_A": "t"})
    table = settings.discover["agency-a"]
    assert (table.token, table.via, table.agency_id, table.every_s) == ("agency-a", "advertiser", 25610, 72_000.0)
    assert list(map(str, table.include)) == ["name:*上海*", "status:CUSTOMER_STATUS_NORMAL"]
    assert list(map(str, table.exclude)) == ["id:2045*", "name:*test*"]


@pytest.mark.parametrize(
    ("table", "where", "message"),
    [
        ("", "discover.x.via", 'is missing; expected "advertiser" or "organization"'),
        ('via = "agency"', "discover.x.via", 'found "agency"; expected "advertiser" or "organization"'),
        ('via = "advertiser"\ntoken = "agency"', "discover.x.token", 'unknown token "agency"; did you mean agency-a?'),
        ('via = "advertiser"\nevery = 20', "discover.x.every", "a number alone has no unit"),
        ('via = "advertiser"\nevery = "31d"', "discover.x.every", "from 1m to 30d"),
        ('via = "advertiser"\nagency_id = 0', "discover.x.agency_id", "leave the key out to turn it off"),
        ('via = "advertiser"\nincluding = []', "discover.x.including", "unknown key; did you mean include?"),
        ('via = "advertiser"\ninclude = "name:x"', "discover.x.include", "put it in brackets"),
        ('via = "advertiser"\ninclude = ["2045*"]', "discover.x.include", '[0]: found "2045*"; expected'),
        ('via = "advertiser"\ninclude = ["2045*"]', "discover.x.include", 'did you mean "id:2045*"?'),
        ('via = "advertiser"\ninclude = ["CUSTOMER_*"]', "discover.x.include", 'did you mean "status:CUSTOMER_*"?'),
        ('via = "advertiser"\nexclude = ["*上海*"]', "discover.x.exclude", 'did you mean "name:*上海*"?'),
        ('via = "advertiser"\nexclude = ["nam:*"]', "discover.x.exclude", "did you mean name:…?"),
        ('via = "advertiser"\nexclude = ["id:"]', "discover.x.exclude", "nothing stands after the colon"),
        ('via = "advertiser"\nexclude = ["id:1", 5, ""]', "discover.x.exclude", "[1]: found 5;"),
        ('via = "advertiser"\nexclude = ["id:1", 5, ""]', "discover.x.exclude", '[2]: found "";'),
        ('via = "organization"\ninclude = ["status:X"]', "discover.x.include", "tells no status"),
        ('include = ["status:X"]\nvia = "organization"', "discover.x.include", "tells no status"),
        ('via = "organization"\nexclude = ["status:X"]', "discover.x.exclude", "tells no status"),
    ],
)
def test_mistakes(table: str, where: str, message: str, tmp_path: Path) -> None:
    """Each mistake in a table is named with its place, and with what was probably meant."""
    problems = problems_of(tmp_path, f"{BARE}[discover.x]\n{table}\n")
    assert message in problems[f"test.toml: {where}"]
    assert len(problems) == 1


def test_a_name_is_needed_where_there_are_several_tokens(tmp_path: Path) -> None:
    """With two tokens a table says which one lists its accounts."""
    problems = problems_of(tmp_path, APPS + TWO_TOKENS + DISCOVER)
    assert problems == {"test.toml: discover.all.token": "is missing; expected the name of a [tokens.NAME] table"}


def test_nobody_at_all(tmp_path: Path) -> None:
    """Without a table of either kind, and with tables that are none, the accounts are missing."""
    assert problems_of(tmp_path, BARE) == {"test.toml: accounts": "found no account; expected ids, file, or both"}
    assert "found no account" in problems_of(tmp_path, BARE + "[discover]\n")["test.toml: accounts"]
    assert "expected a table" in problems_of(tmp_path, f"discover = 5\n{SMALLEST}")["test.toml: discover"]
    problems = problems_of(tmp_path, SMALLEST + '[discover."a b"]\nvia = "advertiser"\n')
    assert list(problems) == ['test.toml: discover."a b"']


def test_a_long_text_is_not_repeated(tmp_path: Path) -> None:
    """What may be a token in the wrong place is described, not shown; nor is what a variable brought."""
    text = BARE + '[discover.x]\nvia = "advertiser"\ninclude = ["abcdefghijklmnopqrstuvwxyz0123456789", "${P}"]\n'
    message = problems_of(tmp_path, text, {"P": "hidden"})["test.toml: discover.x.include"]
    assert "a text of 36 characters" in message
    assert "abcdefgh" not in message
    assert "hidden" not in message


def test_patterns_may_come_from_variables(tmp_path: Path) -> None:
    """`${NAME}` is expanded in patterns as anywhere else; what cannot be is reported once."""
    text = BARE + '[discover.x]\nvia = "advertiser"\ninclude = ["name:*${CITY}*"]\n'
    assert settings_of(tmp_path, text, {"CITY": "北京"}).discover["x"].include == (Pattern("name", "*北京*"),)
    assert list(problems_of(tmp_path, text)) == ["test.toml: discover.x.include[0]"]


def test_accounts_may_be_named_besides(tmp_path: Path) -> None:
    """`[accounts]` and `[discover]` go together; the named ones are the run's before any list is read."""
    assignment = assignment_of(settings_of(tmp_path, BARE + ACCOUNTS + DISCOVER), Options(), TODAY)
    assert [account.id for account in assignment.accounts] == [2045867]
    assert assignment.discovery
