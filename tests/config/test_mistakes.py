from pathlib import Path

import pytest

from harvester.config import load
from harvester.errors import ConfigError, ExitCode
from tests.config.helpers import ACCOUNTS, APPS, SMALLEST, TOKENS, TWO_APPS, TWO_TOKENS, error_of, problems_of

OWNED = APPS + TOKENS + 'app = "main"\n' + ACCOUNTS


def test_ten_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    """Ten mistakes of ten kinds, in two files, are ten problems, each with its place."""
    (tmp_path / "accounts.csv").write_text("account_id,token\n2045867,agency-a\n2.04587E+06,agency-a\n5,agencya\n")
    text = """
        [api]
        base_url = "http://api.e.qq.com"
        page_sise = 50
        timeout = 30
        [limits]
        in_flight = 0
        [output]
        compression = "zst"
        [apps.main]
        client_secret = "${HARVESTER_CLIENT_SECRET}"
        [tokens.agency-a]
        app = "mian"
        access_token = "${file:nowhere}"
        [accounts]
        file = "accounts.csv"
    """
    problems = problems_of(tmp_path, text)
    expected = {
        "test.toml: api.base_url": "http would send tokens to another machine in clear text",
        "test.toml: api.page_sise": "unknown key; did you mean page_size?",
        "test.toml: api.timeout": "found 30; expected a duration with its unit",
        "test.toml: limits.in_flight": "found 0; expected a whole number from 1 to 1000",
        "test.toml: output.compression": 'found "zst"; expected "zstd", "gzip" or "none"',
        "test.toml: apps.main.client_id": "is missing; expected digits in quotes",
        "test.toml: apps.main.client_secret": "environment variable HARVESTER_CLIENT_SECRET is not set",
        "test.toml: tokens.agency-a.app": 'unknown app "mian"; did you mean main?',
        "test.toml: tokens.agency-a.access_token": "file nowhere cannot be read: No such file or directory",
        "accounts.csv: line 3": "a spreadsheet rounded the number",
        "accounts.csv: line 4": 'unknown token "agencya"; did you mean agency-a?',
    }
    assert problems.keys() == expected.keys()
    for where, message in expected.items():
        assert message in problems[where]
        assert " | " not in problems[where]


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("page_size = 5\n" + SMALLEST, "page_size", "unknown key; it belongs in [api]"),
        ("[retry]\ntimeout = '5s'\n" + SMALLEST, "retry.timeout", "unknown key; it belongs in [api]"),
        ("[retry]\ngive_up_after = '25h'\n" + SMALLEST, "retry.give_up_after", 'from 1s to 24h, or "none"'),
        ("[retry]\ngive_up_after = 0\n" + SMALLEST, "retry.give_up_after", "found 0"),
        ("[limit]\n" + SMALLEST, "limit", "unknown key; did you mean limits?"),
        ("[limits]\nx = 1\n" + SMALLEST, "limits.x", "unknown key; expected in_flight"),
        ("api = 5\n" + SMALLEST, "api", "found 5; expected a table, [api]"),
        ("api = [1]\n" + SMALLEST, "api", "found an array; expected a table, [api]"),
        ("apps = 'x'\n" + TOKENS + ACCOUNTS, "apps", 'found "x"; expected a table, [apps]'),
        ("[apps]\nmain = 5\n" + TOKENS + ACCOUNTS, "apps.main", "found 5; expected a table, [apps.NAME]"),
        (TOKENS + ACCOUNTS, "apps", "at least one table [apps.NAME]"),
        ("[tokens]\n" + APPS + ACCOUNTS, "tokens", "at least one table [tokens.NAME]"),
        (APPS + TOKENS, "accounts", "expected ids, file, or both"),
        (APPS + TOKENS + "[accounts]\nids = []\n", "accounts", "expected ids, file, or both"),
        (APPS + TOKENS + "[accounts]\nids = 5\n", "accounts.ids", "found 5; expected an array"),
        (APPS + TOKENS + "[accounts]\nids = [5, 'x']\n", "accounts.ids[1]", 'found "x"; expected an account id'),
        (APPS + TWO_TOKENS + ACCOUNTS, "accounts.ids", "use a file with a token column"),
        (TWO_APPS + TOKENS + ACCOUNTS, "tokens.agency-a.app", "is missing; expected the name of an [apps.NAME]"),
        (OWNED + '[apps."a b"]\nclient_id = "2"\n', 'apps."a b"', "expected a name of letters"),
        (OWNED + '[apps.twin]\nclient_id = "1100000"\n', "apps.twin.client_id", "the client_id of [apps.main] too"),
        ("[api]\npage_size = '50'\n" + SMALLEST, "api.page_size", "write it without quotes"),
        ("[api]\npage_size = 50.0\n" + SMALLEST, "api.page_size", "found 50.0; expected a whole number"),
        ("[api]\npage_size = 'biggest'\n" + SMALLEST, "api.page_size", 'from 1 to 10000 or "largest"'),
        ("[api]\npage_size = true\n" + SMALLEST, "api.page_size", "found true; expected a whole number"),
        ("[api]\npage_size = '${X}'\n" + SMALLEST, "api.page_size", "found ${X}; expected a whole number"),
        ("[api]\ntimeout = '30'\n" + SMALLEST, "api.timeout", "a number alone has no unit"),
        ("[api]\ntimeout = '1h'\n" + SMALLEST, "api.timeout", "from 10ms to 10m"),
        ("[window]\nreread_days = 0\n" + SMALLEST, "window.reread_days", 'write "none" to turn it off'),
        ("[window]\nreread_days = 'off'\n" + SMALLEST, "window.reread_days", 'write "none" to turn it off'),
        ("[window]\nstart = 2026-10-01T00:00:00\n" + SMALLEST, "window.start", "found a date with a time"),
        ("[window]\nstart = 'today'\n" + SMALLEST, "window.end", "ends (yesterday) before it starts (today)"),
        ("[window]\nstart = 2026-10-02\nend = 2026-10-01\n" + SMALLEST, "window.end", "ends (2026-10-01) before"),
        ("state = 5\n" + SMALLEST, "state", "found 5; expected a table, [state]"),
        ("accounts = 5\n" + APPS + TOKENS, "accounts", "found 5; expected a table, [accounts]"),
        (APPS + "[tokens.a]\naccess_token = ''\n" + ACCOUNTS, "tokens.a.access_token", 'found ""; expected a text'),
        (APPS + "[tokens.a]\naccess_token = 5\n" + ACCOUNTS, "tokens.a.access_token", "other than a text (not shown)"),
        (APPS + "[tokens.a]\naccess_token = 'a b'\n" + ACCOUNTS, "tokens.a.access_token", "found spaces"),
        ("[output]\ndir = '~/x'\n" + SMALLEST, "output.dir", "write ${HOME}"),
        ("[output]\ndir = ''\n" + SMALLEST, "output.dir", 'found ""; expected a path'),
        (APPS + "requests_per_day = 0\n" + TOKENS + ACCOUNTS, "apps.main.requests_per_day", "leave the key out"),
        ("[apps.a]\nclient_id = 5\n" + TOKENS + ACCOUNTS, "apps.a.client_id", "put it in quotes"),
    ],
)
def test_each_mistake_has_its_place_and_its_words(tmp_path: Path, text: str, where: str, message: str) -> None:
    """Every kind of mistake names its key, and says what is wrong and what would be right."""
    problems = problems_of(tmp_path, text, {"X": "no number"})
    assert list(problems) == [f"test.toml: {where}"]
    assert message in problems[f"test.toml: {where}"]
    assert " | " not in problems[f"test.toml: {where}"]


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("[window]\nstart = today\n", "line 2, column 9", "needs quotes"),
        ("[api]\n[api]\n", "line 2, column 5", "this table is already in the file"),
        ("x = 'a\n", "line 1", "not closed"),
        ("x = [1,\n\n", "line 2, column end", "not TOML"),
        ("x" * 40, "line 1", "not TOML"),
        ("x = 2026-02-30", "line 1, column 5", "no such date"),
        ("[" * 10_000, "line 1", "not TOML"),
        ("x = " + "[" * 10_000, "line 1", "not TOML"),
    ],
)
def test_broken_toml_gives_its_line(tmp_path: Path, text: str, where: str, message: str) -> None:
    """A syntax error is the only problem, with its line and column."""
    problems = problems_of(tmp_path, text)
    assert len(problems) == 1
    (found, said), *_ = problems.items()
    assert found.startswith(f"test.toml: {where}")
    assert message in said


def test_a_config_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing files, folders and foreign encodings end in a usage error."""
    (tmp_path / "gbk.toml").write_bytes("x = 1\n# 腾讯".encode("gbk"))
    for name, message in (
        ("none.toml", "cannot be read"),
        (".", "cannot be read"),
        ("gbk.toml", "line 2: is not UTF-8"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            load(tmp_path / name, {})
        assert caught.value.exit_code is ExitCode.USAGE
        assert len(caught.value.problems) == 1


def test_duplicates_that_disagree_are_a_problem(tmp_path: Path) -> None:
    """One account cannot have two tokens, nor be both enabled and disabled; both lines are named."""
    (tmp_path / "a.csv").write_text(
        "account_id,token,enabled\n1,agency-a,\n1,agency-b,\n2,agency-a,yes\n2,agency-a,no\n",
    )
    problems = problems_of(tmp_path, APPS + TWO_TOKENS + '[accounts]\nfile = "a.csv"\n')
    assert problems == {
        "a.csv: line 3": "account 1 is already at a.csv: line 2, with token agency-a there, agency-b here; "
        "one token reads it: keep its line",
        "a.csv: line 5": "account 2 is already at a.csv: line 4, enabled in one place and not in the other; "
        "keep one of them",
    }


def test_a_config_without_an_enabled_account_is_a_mistake(tmp_path: Path) -> None:
    """A file that disables everything is reported."""
    (tmp_path / "a.csv").write_text("account_id,enabled\n1,no\n2,no\n")
    problems = problems_of(tmp_path, APPS + TOKENS + '[accounts]\nfile = "a.csv"\n')
    assert problems == {"test.toml: accounts": "all 2 accounts are disabled; expected at least one that is not"}


def test_an_error_has_no_traceback_into_the_values(tmp_path: Path) -> None:
    """The error stands alone: no cause carries the file's contents along."""
    error = error_of(tmp_path, "[api]\npage_size = 0\n" + SMALLEST)
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__


def test_token_names_that_a_disk_may_take_for_one(tmp_path: Path) -> None:
    """Their stored tokens would share a file where upper and lower case are the same."""
    path = tmp_path / "a.toml"
    tokens = "".join(f'[tokens.{name}]\naccess_token = "x"\n' for name in ("Main", "main"))
    path.write_text(f'[apps.a]\nclient_id = "1"\n{tokens}[accounts]\nfile = "none.csv"\n')
    with pytest.raises(ConfigError, match=r"tokens\.main: differs from \[tokens\.Main\] in upper and lower case only"):
        load(path, {})
