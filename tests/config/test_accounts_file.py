import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.config.accounts_file import AccountsFile, Entry
from harvester.config.findings import Findings

ONE = ("a",)
TWO = ("a", "b")


def read(folder: Path, content: str | bytes, tokens: tuple[str, ...] = ONE) -> tuple[list[Entry], dict[str, str]]:
    """The entries of a file and its problems by place."""
    path = folder / "accounts.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    findings = Findings("test.toml")
    entries = list(AccountsFile("accounts.csv", tokens, findings).read(path))
    return entries, {problem.where: problem.message for problem in findings.problems}


def test_the_least_file_is_a_column_of_ids(tmp_path: Path) -> None:
    """One column is enough when there is one token."""
    entries, problems = read(tmp_path, "account_id\n1\n2\n")
    assert problems == {}
    assert [(entry.id, entry.token, entry.name, entry.enabled) for entry in entries] == [
        (1, "a", None, True),
        (2, "a", None, True),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "account_id,token,name\n5,b,Cars\n",
        "\ufeffaccount_id,token,name\n5,b,Cars\n",
        "account_id,token,name\r\n5,b,Cars\r\n",
        "account_id,token,name\r5,b,Cars\r",
        "account_id,token,name\n5,b,Cars",
        '\n# ours, of course\n\naccount_id,token,name\n  \n,,\n # not "yet\n5,b,Cars\n\n',
        " Account_ID , token,\tname \n 5 , b , Cars \n",
        "name,account_id,token\nCars,5,b\n",
        'account_id,token,name\n"5","b","Cars"\n',
        "account_id,token,name,,\n5,b,Cars,,\n",
    ],
)
def test_people_and_spreadsheets_write_it_their_way(tmp_path: Path, content: str) -> None:
    """BOM, line ends, blank lines, comments, spaces, quotes, surplus commas and the columns' order do not matter."""
    entries, problems = read(tmp_path, content, TWO)
    assert problems == {}
    assert [(entry.id, entry.token, entry.name) for entry in entries] == [(5, "b", "Cars")]


@pytest.mark.parametrize(
    ("cell", "enabled"),
    [
        ("true", True),
        ("TRUE", True),
        ("1", True),
        ("yes", True),
        ("", True),
        ("false", False),
        ("0", False),
        ("No", False),
    ],
)
def test_an_account_can_be_turned_off(tmp_path: Path, cell: str, enabled: bool) -> None:
    """The column enabled takes the usual words; nothing means enabled."""
    entries, problems = read(tmp_path, f"account_id,enabled\n1,{cell}\n")
    assert problems == {}
    assert entries[0].enabled is enabled


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("12345678901234567890,a,,", 'found "12345678901234567890"; expected an account id'),
        ("2.04587E+06,a,,", "a spreadsheet rounded the number"),
        ("x,a,,", 'account_id: found "x"'),
        (",a,,", 'account_id: found ""'),
        ("1,agency,,", 'token: unknown token "agency"'),
        ("1,,,", "token: found nothing; with several tokens"),
        ("1,a,,maybe", 'enabled: found "maybe"; expected true, false'),
        ("1,a", "found 2 cells; expected 4"),
        ("1,a,x,yes,y", "found 5 cells; expected 4"),
        ('"1,a,x,yes', "the quotes do not match"),
    ],
)
def test_a_bad_line_is_reported_and_no_other(tmp_path: Path, line: str, message: str) -> None:
    """A bad line gives its number and its fault; its neighbours are read."""
    entries, problems = read(tmp_path, f"account_id,token,name,enabled\n7,a,x,yes\n{line}\n8,b,y,no\n", TWO)
    assert [entry.id for entry in entries] == [7, 8]
    assert list(problems) == ["accounts.csv: line 3"]
    assert message in problems["accounts.csv: line 3"]


def test_every_fault_of_a_line_is_reported(tmp_path: Path) -> None:
    """Three bad cells are three problems."""
    findings = Findings("test.toml")
    path = tmp_path / "x.csv"
    path.write_text("account_id,token,enabled\nx,y,z\n")
    assert list(AccountsFile("x.csv", ONE, findings).read(path)) == []
    assert [problem.where for problem in findings.problems] == ["x.csv: line 2"] * 3


@pytest.mark.parametrize(
    ("content", "where", "message"),
    [
        ("", "", "is empty"),
        ("# nothing\n\n", "", "is empty"),
        ("account_id\n", "", "has no account below its header"),
        ("2045867\n2045868\n", ": line 1", "the header is missing"),
        ("account_id;token\n1;a\n", ": line 1", "not separated by commas"),
        ("id,token\n1,a\n", ": line 1", "no column account_id"),
        ("acount_id\n1\n", ": line 1", "did you mean account_id?"),
        ("account_id,tokn\n1,a\n", ": line 1", "did you mean token?"),
        ("account_id,remarks\n1,a\n", ": line 1", 'unknown column "remarks"; expected account_id[,token]'),
        ("account_id,account_id\n1,1\n", ": line 1", "appears twice"),
        ("account_id,token\n1,腾讯\n".encode("gbk"), ": line 2", "perhaps GBK; save it as UTF-8"),
        ("account_id\n1\n".encode("utf-16"), "", "is UTF-16; save it as UTF-8"),
        ("account_id\n1\n".encode("utf-16-le"), ": line 1", "holds a zero byte; save it as UTF-8"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, content: str | bytes, where: str, message: str) -> None:
    """Empty files, wrong headers and wrong encodings are told apart."""
    _, problems = read(tmp_path, content)
    assert list(problems) == [f"accounts.csv{where}"]
    assert message in problems[f"accounts.csv{where}"]


def test_with_several_tokens_the_column_must_be_there(tmp_path: Path) -> None:
    """A missing token column is one problem, not one a line."""
    _, problems = read(tmp_path, "account_id\n1\n2\n", TWO)
    assert list(problems) == ["accounts.csv: line 1"]
    assert "no column token" in problems["accounts.csv: line 1"]


@pytest.mark.parametrize("path", ["nowhere.csv", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, path: str) -> None:
    """A missing file and a folder give the system's reason."""
    findings = Findings("test.toml")
    assert list(AccountsFile("x.csv", ONE, findings).read(tmp_path / path)) == []
    assert findings.problems[0].message.startswith("cannot be read: ")


def test_a_pasted_token_is_not_shown(tmp_path: Path) -> None:
    """A long text in a wrong cell is described, not quoted."""
    pasted = "0123456789abcdef" * 2
    _, problems = read(tmp_path, f"account_id,token,enabled\n{pasted},{pasted},{pasted}\n")
    assert pasted not in str(problems)
    assert "a text of 32 characters" in str(problems)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_reported(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever the file holds, it gives entries or problems."""
    entries, problems = read(tmp_path_factory.mktemp("any"), b"account_id,token\n" + content)
    assert entries or problems


def test_fifty_thousand_lines_are_read_in_seconds(tmp_path: Path) -> None:
    """The largest agencies' files are no burden, good or bad."""
    lines = "".join(f"{number},a,name {number},{'maybe' if number % 2 else 'yes'}\n" for number in range(1, 50_001))
    began = time.process_time()
    entries, problems = read(tmp_path, "account_id,token,name,enabled\n" + lines)
    assert time.process_time() - began < 10
    assert len(entries) == len(problems) == 25_000
