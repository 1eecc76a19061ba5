"""The README's lists, quotes and tables against the code, in both directions."""

import errno
import os
import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import Final

import pytest
from click.shell_completion import get_completion_class

from harvester.api.codes import TABLE, Verdict
from harvester.config.settings import keys, tables
from harvester.errors import ExitCode
from harvester.report.status import to_json
from harvester.triage import STATES
from tests.config.helpers import settings_of
from tests.report.test_status import STATE
from tests.test_docs import README, commands, flags
from tests.words_of_code import fragments, is_said, pieces

SECTIONS: Final = {part.split("\n", 1)[0]: part.split("\n", 1)[1] for part in README.split("\n## ")[1:]}
CHINESE: Final = "中文快速上手"
FOREIGN_FLAGS: Final = {
    *["--disable-pip-version-check", "--dist"],
    *["--simulated", "--timeline", "--cycles", "--plot", "--rounds", "--calls", "--page-size", "--peers"],
}
"""Of pip, of the tests and of the benchmarks."""
COMPLETION: Final = re.compile(r"_HARVESTER_COMPLETE=(\w+)_source harvester")


def rows(section: str, head: str) -> list[list[str]]:
    """The cells of a table, found by the beginning of its first line."""
    table = SECTIONS[section].split(f"\n{head}", 1)[1].split("\n\n")[0]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()[2:]]
    return [[cell.strip() for cell in row] for row in cells]


# ---- contents


def anchor(heading: str) -> str:
    """How a heading is linked to."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_the_contents_name_every_section_and_no_other() -> None:
    """Whoever adds a section adds its line; no link leads nowhere."""
    head = README.split("\n## ")[0]
    assert sorted(re.findall(r"\]\(#([^)]+)\)", head)) == sorted(map(anchor, SECTIONS))
    everywhere = {anchor(one) for one in re.findall(r"^#+ (.+)$", README, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", README)) <= everywhere


def test_the_shell_blocks_come_first() -> None:
    """Whoever opens the page can paste the demo before reading on."""
    assert README.index("```sh") < README.index("**Contents**") < README.index("\n## ")


# ---- commands and flags


def documented_flags() -> dict[str, set[str]]:
    """The flags in each command's row of the table."""
    found = {}
    for name, does in rows("Commands", "| command |"):
        words = re.findall(r"harvester(?: [a-z]+)+", name)
        assert len(words) == 1, name
        found[words[0]] = set(re.findall(r"--[a-z-]+", does))
    return found


def test_the_table_of_commands_is_the_program_s() -> None:
    """Each command has a row, and no other."""
    assert set(documented_flags()) == set(commands())


@pytest.mark.parametrize("name", sorted(set(commands()) - {"harvester sandbox"}))
def test_a_command_s_flags_are_in_its_row_and_no_other(name: str) -> None:
    """The sandbox's many switches are in its own help, as its row says."""
    assert documented_flags()[name] == flags(commands()[name])


def test_no_flag_is_made_up() -> None:
    """Every flag anywhere in the text is one of some command."""
    known = set(chain.from_iterable(map(flags, commands().values()))) | FOREIGN_FLAGS | {"--help", "--version"}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) - known == set()


def test_every_command_that_is_typed_exists() -> None:
    """In blocks and in quotes: `harvester WORD`, and the flags after it are that command's."""
    lines = re.findall(r"`(harvester [^`\n]+)`", README)
    for kind, block in re.findall(r"^ *```(\w*)\n(.*?)^ *```$", README, re.DOTALL | re.MULTILINE):
        if kind in {"", "sh"}:
            lines += re.findall(r"^(?: *|.*/)(harvester [a-z][^#|`\n]*)", block, re.MULTILINE)
    known = commands()
    assert len(lines) > 40
    for line in lines:
        words = line.split()
        name = " ".join(words[:3]) if " ".join(words[:3]) in known else " ".join(words[:2])
        if words[1].startswith("-") or name == "harvester accounts":
            continue
        assert name in known, line
        given = {word.split("=")[0] for word in words if word.startswith("--")}
        assert given <= flags(known[name]) | {"--help"}, line


def test_each_shell_s_line_loads_its_own_completion() -> None:
    """Each in its row; click has it."""
    told = {shell.split()[0]: COMPLETION.findall(line) for shell, _, line in rows("Commands", "| shell |")}
    assert told == {shell: [shell] for shell in ("bash", "zsh", "fish")}
    assert None not in map(get_completion_class, told)


# ---- keys


def test_every_key_that_is_named_exists() -> None:
    """`[table] key`, and what stands in the TOML blocks."""
    known = {
        f"{table.strip('[]').removesuffix('.NAME')}.{key}"
        for table, section in tables().items()
        for key in keys(section)
    }
    named = {f"{table.split('.')[0]}.{key}" for table, key in re.findall(r"`\[([a-z]+)(?:\.[A-Z]+)?\] (\w+)", README)}
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        for table, inner in tomllib.loads(block).items():
            several = inner if isinstance(inner, list) else inner.values() if f"{table}.NAME" in tables() else [inner]
            named |= {f"{table}.{key}" for one in several for key in one}
    assert len(named) > 15
    assert named - known == set()


def test_status_as_json_is_documented() -> None:
    """Every key at the top, and no other."""
    told = SECTIONS["Is it all there?"].split("`--json` has ")[1].split("\n\n")[0]
    assert set(re.findall(r"`([a-z_]+)`", told)) - {"null"} == set(to_json(STATE))


# ---- exit codes


def exit_codes(cells: list[list[str]]) -> set[int]:
    """Of the first column."""
    return {int(code) for row in cells for code in re.findall(r"\d+", row[0])}


def test_the_exit_codes_in_chinese_are_all_of_them() -> None:
    """As in English."""
    codes = {int(code) for code in ExitCode}
    assert exit_codes(rows(CHINESE, "| 退出码 |")) == exit_codes(rows("Commands", "| exit code |")) == codes


def test_every_exit_code_that_is_mentioned_exists() -> None:
    """(exit 3), exit code 3, exit 8."""
    mentioned = {int(code) for code in re.findall(r"\bexit (?:code (?:is )?)?(\d+)", README)}
    assert {2, 3, 4, 8, 11} <= mentioned <= {int(code) for code in ExitCode}


# ---- return codes of the API


def numbers(cell: str) -> list[int]:
    """`12000, 31002`, or from one to another, as numbers."""
    found: list[int] = []
    for part in cell.split(", "):
        first, _, last = part.partition("\u2013")
        found += range(int(first), int(last or first) + 1)
    return found


CODES: Final = [row for row in rows("Return codes of the API", "| codes |") if row[0] != "any other"]


def test_every_return_code_is_in_the_glossary_once_and_no_other() -> None:
    """Whoever teaches harvester a code tells people, too."""
    told = [code for row in CODES for code in numbers(row[0])]
    assert sorted(told) == sorted(TABLE)


@pytest.mark.parametrize("row", CODES, ids=[row[0][:20] for row in CODES])
def test_the_glossary_says_what_the_code_does(row: list[str]) -> None:
    """The meaning in English is the code's own, and what is done about it its verdict; both languages are there."""
    codes, means, chinese, does, you = row
    for code in numbers(codes):
        meaning = TABLE[code]
        assert meaning.text.startswith(means)
        if (codes, meaning.verdict) != ("71003, 71004", Verdict.FAIL_SLICE):  # said of lists, which have no slices
            assert does.startswith(meaning.verdict.value), (code, does)
        if code in STATES:
            assert does.endswith(f"`{STATES[code]}`")
    assert re.search(r"[\u4e00-\u9fff]", chinese)
    assert re.search(r"[a-z].* · .*[\u4e00-\u9fff`]", you)


def test_any_other_code_has_a_row() -> None:
    """Last, since it is about all that is not above."""
    assert rows("Return codes of the API", "| codes |")[-1][0] == "any other"


# ---- troubleshooting

EXAMPLES: Final = "|".join(
    [
        r"(?:of )?app main\b",
        r"nightly\.toml",
        r"discover\.",
        *(re.escape(os.strerror(one)) for one in (errno.ENOENT, errno.ENOSPC)),
    ]
)
"""What in a quoted message is an example, or the system's."""
SYMPTOMS: Final = rows("Troubleshooting by symptom", "| you see |")
QUOTES: Final = [quote for row in SYMPTOMS for quote in re.findall(r"`([^`]+)`", row[0])]


def test_each_symptom_has_a_reason_and_a_next_step() -> None:
    """What you see, why, what to do."""
    assert len(SYMPTOMS) > 15
    assert [row for row in SYMPTOMS if len(row) != 3 or min(map(len, row)) < 5] == []


@pytest.mark.parametrize("quote", QUOTES)
def test_a_quoted_message_is_still_said(quote: str) -> None:
    """Its words stand in the code, so that whoever searches the page for what the screen shows finds it."""
    clauses = list(fragments(quote, EXAMPLES))
    assert clauses or quote.isdecimal(), "nothing of it could be looked for"
    assert [clause for clause in clauses if not is_said(clause)] == []


def test_a_message_that_nobody_says_is_found_out() -> None:
    """Not even one that differs in a word, or ends within one; a docstring says nothing."""
    assert is_said("requests in flight at most")
    assert not is_said("requests in flight at least")
    assert not is_said("requests in flight at mos")
    assert "The command line: commands, exit codes, and what is printed where." not in " ".join(pieces())


# ---- Chinese


def test_the_chinese_quick_start_is_whole() -> None:
    """Install, config, first run, timer, files, exit codes, what to do when it is not complete: each has its step."""
    steps = re.findall(r"^\*\*([一二三四五六七八九])、(.+?)。\*\*", SECTIONS[CHINESE], re.MULTILINE)
    assert "".join(number for number, _ in steps) == "一二三四五六七"
    for name in ("config explain", "plan", "doctor", "run", "status", "verify", "demo"):
        assert f"harvester {name}" in SECTIONS[CHINESE]


def test_the_chinese_config_can_be_used(tmp_path: Path) -> None:
    """What is to be changed is all that a config needs."""
    [block] = re.findall(r"```toml\n(.*?)```", SECTIONS[CHINESE], re.DOTALL)
    (tmp_path / "accounts.csv").write_text("account_id\n2045867\n")
    names = ("HARVESTER_CLIENT_SECRET", "HARVESTER_TOKEN_A", "HARVESTER_REFRESH_A")
    settings = settings_of(tmp_path, block, dict.fromkeys(names, "x"))
    assert [int(one.id) for one in settings.accounts] == [2045867]
    assert settings.notes == ()
