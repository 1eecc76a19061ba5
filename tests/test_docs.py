"""What the README says is what the program does."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import click
import pytest

from harvester.cli import cli
from harvester.errors import ExitCode
from harvester.metrics.figures import METRICS
from harvester.notice import FIELDS, Occasion, On, occasion
from harvester.telling.post import ATTEMPT_S, ATTEMPTS, BOUND_S, HURRY_S

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> dict[str, click.Command]:
    """Every command by its full name."""
    found: dict[str, click.Command] = {}

    def walk(group: click.Group, prefix: str) -> None:
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command
            if isinstance(command, click.Group):
                walk(command, f"{prefix} {name}")
            else:
                found[f"{prefix} {name}"] = command

    walk(cli, "harvester")
    return found


def flags(command: click.Command) -> set[str]:
    """The long options of a command, `--help` aside."""
    return {option for one in command.params for option in one.opts if option.startswith("--")} - {"--help"}


def test_the_first_two_shell_blocks_are_one_line_each() -> None:
    """A stranger pastes two lines: the demo, and the tests."""
    assert [len(block.splitlines()) for block in BLOCKS[:2]] == [1, 1]
    assert BLOCKS[0].endswith("harvester demo\n")
    assert "pytest" in BLOCKS[1]


def test_no_section_stands_there_twice() -> None:
    """A merge that went wrong is seen."""
    headings = re.findall(r"^#+ .*$", re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    assert len(set(headings)) == len(headings)


def test_every_command_is_documented() -> None:
    """The README's table of commands names each of them."""
    assert [name for name in commands() if f"`{name}" not in README] == []


@pytest.mark.parametrize("name", ["run", "report"])
def test_every_flag_is_documented_and_no_other(name: str) -> None:
    """What the README says a command takes is what it takes."""
    row = next(line for line in README.splitlines() if line.startswith(f"| `harvester {name} CONFIG`"))
    assert set(re.findall(r"--[a-z-]+", row)) == flags(commands()[f"harvester {name}"])


def test_every_exit_code_is_documented_and_no_other() -> None:
    """The README's table of exit codes is the program's."""
    table = README.split("| exit code |")[1].split("\n\n")[0]
    codes = {int(code) for line in table.splitlines()[2:] for code in re.findall(r"\d+", line.split("|")[1])}
    assert codes == {int(code) for code in ExitCode}


def test_every_field_of_a_notice_is_documented_and_no_other() -> None:
    """The README's table of fields is what a template may name."""
    table = README.split("| field | is |")[1].split("\n\n")[0]
    assert dict(re.findall(r"^\| `([a-z_]+)` \| (.*) \|$", table, re.MULTILINE)) == dict(FIELDS)


def test_every_figure_is_documented_and_no_other() -> None:
    """The README's table of figures is what monitoring gets."""
    table = README.split("| figure | is |")[1].split("\n\n")[0]
    assert dict(re.findall(r"^\| `([a-z_]+)` \| (.*) \|$", table, re.MULTILINE)) == dict(METRICS)


def test_every_occasion_is_documented_with_its_exit_codes() -> None:
    """The README says which exit codes a webhook is told of."""
    table = README.split("| `on` | exit codes |")[1].split("\n\n")[0]
    rows = dict(re.findall(r"^\| `([a-z]+)` \| ([^:\n]*)", table, re.MULTILINE))
    assert list(rows) == list(get_args(On))
    for what in (Occasion.FAILURE, Occasion.PARTIAL):
        codes = {code for code in ExitCode if occasion(code, was_unwell=False) is what}
        assert {int(code) for code in re.findall(r"\d+", rows[what])} == codes


def test_the_bounds_of_telling_are_documented() -> None:
    """How long a dead webhook may hold a run up, and how often it is tried."""
    told = " ".join(README.split("## Telling people")[1].split("\n## ")[0].split())
    assert f"for more than {BOUND_S:g} s** ({HURRY_S:g} s after a signal)" in told
    assert f"no answer within {ATTEMPT_S:g} s" in told
    assert "up to three times" in told
    assert ATTEMPTS == 3


def test_every_room_is_drawn() -> None:
    """The section about the building names every folder and every module at the package's top."""
    drawn = README.split("## How it is built")[1]
    package = ROOT / "harvester"
    names = {f"{path.name}/" for path in package.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert [name for name in names if f"`{name}`" not in drawn] == []
    for folder in (
        "api",
        "harvest",
        "landing",
        "landing/ledger",
        "landing/upkeep",
        "page",
        "page/plots",
        "page/sections",
        "telling",
        "metrics",
    ):
        modules = {path.name for path in (package / folder).glob("*.py") if path.name != "__init__.py"}
        assert [name for name in modules if f"`{name}`" not in drawn] == []


def test_the_top_level_holds_what_it_may() -> None:
    """Dot files apart, five names are visible at the top level."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607 - git is git
    if listed.returncode:
        pytest.skip("not a git checkout")
    top = {name.split("/")[0] for name in listed.stdout.split()}
    assert {name for name in top if not name.startswith(".")} == {
        "pyproject.toml", "README.md", "harvester", "tests", "configs",
    }  # fmt: skip


def test_every_dependency_has_its_reason() -> None:
    """Each dependency in pyproject.toml carries a sentence why it is there."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    extras = [one for extra in project["optional-dependencies"].values() for one in extra]
    for requirement in [*project["dependencies"], *extras]:
        line = next(line for line in text.splitlines() if f'"{requirement}"' in line)
        assert len(line.split("#", 1)[1].strip()) > 8, requirement


def test_every_dependency_is_used() -> None:
    """Nothing is installed that no module imports."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[^a-z0-9-]", requirement)[0] for requirement in project["dependencies"]}
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "harvester").rglob("*.py"))
    assert [name for name in names if not re.search(rf"^\s*(import|from) {name}\b", text, re.MULTILINE)] == []


def test_the_package_speaks_only_of_itself() -> None:
    """`python -m harvester` is `harvester`."""
    shown = subprocess.run([sys.executable, "-m", "harvester", "--help"], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("Usage: ")
