"""Every error says what to do now: the mistakes that people make most, as the shell shows them."""

from pathlib import Path

import pytest

from harvester.errors import StorageError
from harvester.landing.files import hand_over
from tests.config.helpers import ACCOUNTS, APPS, SMALLEST, TOKENS
from tests.test_cli import harvester

FILE = '[accounts]\nfile = "a.csv"\n'


def shown(folder: Path, text: str, *arguments: str, accounts: str | None = None) -> str:
    """What `plan` prints on stderr of a config that cannot be used."""
    (folder / "x.toml").write_text(text)
    if accounts is not None:
        (folder / "a.csv").write_text(accounts)
    done = harvester("plan", "x.toml", *arguments, cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


@pytest.mark.parametrize(
    ("accounts", "advice"),
    [
        (None, "a.csv: cannot be read: No such file or directory; put the file there, or mend [accounts] file"),
        ("account_id\n", "a.csv: has no account below its header; write one on each line"),
        ('account_id,name\n5,a"b"c\n5,"a\n', 'put " before and after a cell, and "" for one inside of it'),
        ("account_id,name,name\n5,a,b\n", 'column "name" appears twice; take one of them out'),
        ("account_id,enabled\n5,yes\n5,no\n", "enabled in one place and not in the other; keep one of them"),
    ],
)  # fmt: skip
def test_mistakes_in_the_accounts_file(tmp_path: Path, accounts: str | None, advice: str) -> None:
    """What was found is followed by what to do about it."""
    assert advice in shown(tmp_path, APPS + TOKENS + FILE, accounts=accounts)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("--account", "7"), "--account 7: no enabled account of this id in the config; `harvester accounts list"),
        (("--end", "2020-01-01", "--start", "2020-01-02"), "put the earlier day first, here or by --start and --end"),
        (("--end", "2999-01-01"), "in Beijing: name it, or an earlier day"),
    ],
)
def test_mistakes_on_the_command_line(tmp_path: Path, arguments: tuple[str, ...], advice: str) -> None:
    """Likewise; and the last line claims nothing that a list of accounts, asked for before, would make untrue."""
    told = shown(tmp_path, SMALLEST, *arguments)
    assert advice in told
    assert told.endswith("1 problem; no calls were asked for\n")


def test_a_config_that_is_not_there(tmp_path: Path) -> None:
    """The newcomer's first mistake names the file to begin with."""
    done = harvester("run", "nihgtly.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "nihgtly.toml: cannot be read: No such file or directory; name the config that you made" in done.stderr
    assert "configs/nightly.toml" in done.stderr


def test_a_secret_that_is_not_there(tmp_path: Path) -> None:
    """The variable is named, and that it has to be exported."""
    told = shown(tmp_path, APPS + TOKENS.replace('"token-of-a"', '"${NOBODY_SET_THIS}"') + ACCOUNTS)
    assert "environment variable NOBODY_SET_THIS is not set; export it first" in told


@pytest.mark.parametrize("command", [("accounts", "export", "x.toml", "nowhere/a.csv")])
def test_a_file_in_a_folder_that_is_not_there(tmp_path: Path, command: tuple[str, ...]) -> None:
    """The file that was asked for is named, not the unfinished one beside it, and nothing is left."""
    (tmp_path / "x.toml").write_text(SMALLEST)
    done = harvester(*command, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == (
        f"error: cannot write nowhere/a.csv: there is no folder {tmp_path.resolve()}/nowhere. "
        "Make it, or name another file.\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["x.toml"]


def test_a_file_that_cannot_be_written_is_named_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the system says of the unfinished one."""
    file = tmp_path / "report.html"

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(tmp_path / "0123456789abcdef.tmp"))

    monkeypatch.setattr("harvester.landing.files.replace_whole", full)
    with pytest.raises(StorageError) as caught:
        hand_over(file, b"text")
    assert str(caught.value) == (
        f"cannot write {file}: No space left on device. Free some space and run again: "
        "nothing that was published is harmed."
    )
