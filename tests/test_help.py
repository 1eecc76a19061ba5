"""`--help` of every command: its examples can be typed as they stand; and what a shell completes."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harvester.cli import cli
from harvester.errors import ExitCode
from harvester.examples import EXAMPLES, examples


def everything() -> dict[str, click.Command]:
    """Every command and every group by its full name."""
    found: dict[str, click.Command] = {"harvester": cli}

    def walk(group: click.Group, prefix: str) -> None:
        for name in group.list_commands(click.Context(group)):
            command = group.get_command(click.Context(group), name)
            assert command
            found[f"{prefix} {name}"] = command
            if isinstance(command, click.Group):
                walk(command, f"{prefix} {name}")

    walk(cli, "harvester")
    return found


COMMANDS = everything()
SAYS_NO_MORE = {"harvester sandbox", "harvester demo", "harvester config schema", "harvester config explain"}
"""Whose exit codes are what any command gives."""
JUDGES = {name for name, one in COMMANDS.items() if not isinstance(one, click.Group)} - SAYS_NO_MORE
LINES = [(command, line) for command, lines in EXAMPLES.items() for line in lines]


def called(line: str) -> tuple[str, list[str]]:
    """The command that a line calls, by its full name, and what the line hands to it; what follows is the shell's."""
    words = shlex.split(line.partition(" > ")[0].partition(" | ")[0])
    name = words.pop(0)
    while words and f"{name} {words[0]}" in COMMANDS:
        name += f" {words.pop(0)}"
    return name, words


def test_every_command_has_examples_and_no_other() -> None:
    """Whoever adds a command says how it is used."""
    assert set(EXAMPLES) == set(COMMANDS)
    assert all(EXAMPLES.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_them_line_by_line(name: str) -> None:
    """As they were written, nothing wrapped, none of a line wider than a terminal of 80 columns."""
    shown = CliRunner().invoke(cli, [*name.split()[1:], "--help"], terminal_width=80)
    assert (shown.exit_code, shown.output.count("\nExamples:") + shown.output.count("\n  Examples:")) == (0, 1)
    block = shown.output.split("Examples:\n")[1].splitlines()
    assert [line.split("  # ")[0].strip() for line in block] == list(EXAMPLES[name])
    assert [line for line in shown.output.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(("command", "line"), LINES)
def test_an_example_can_be_typed_as_it_stands(command: str, line: str) -> None:
    """It calls its own command, or one of its group's, with arguments and options that this one takes."""
    name, words = called(line)
    assert name == command or (name.startswith(f"{command} ") and isinstance(COMMANDS[command], click.Group))
    with COMMANDS[name].make_context(name, words) as context:  # raises for what the command does not take
        assert context.args == []


def test_a_command_without_examples_is_found_out() -> None:
    """It does not come up with an empty block."""
    with pytest.raises(KeyError):
        examples("harvester fetch")


@pytest.mark.parametrize("name", sorted(JUDGES))
def test_help_says_which_exit_codes_to_expect(name: str) -> None:
    """Those of a command are in its help, and each is a code of the program."""
    text = " ".join((COMMANDS[name].help or "").split())
    assert "Exit codes: 0" in text
    told = text.split("Exit codes: ")[1].split(" Needs ")[0]
    codes = {int(word) for word in told.replace("/", " ").replace(",", " ").split() if word.isdecimal()}
    assert {0, 2} <= codes <= {int(code) for code in ExitCode}


def completions(typed: str, shell: str, cwd: Path) -> list[str]:
    """What a shell's completion script is told for the last word of a line."""
    words = typed.split(" ")
    asked = {
        "_HARVESTER_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": words[-1] if shell == "fish" else str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[0] = 'harvester'; from harvester.cli import main; main()"],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | asked,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split("\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_flags_and_files(shell: str, tmp_path: Path) -> None:
    """Commands that are loaded late, too; where a config is expected the shell is told to look for files."""
    assert any("status" in line for line in completions("harvester sta", shell, tmp_path))
    assert any("refresh" in line for line in completions("harvester accounts re", shell, tmp_path))
    flags = completions("harvester run nightly.toml --max-", shell, tmp_path)
    assert [one for one in ("--max-duration", "--max-requests") if not any(one in line for line in flags)] == []
    assert not any("--summary" in line for line in flags)
    assert any("file" in line for line in completions("harvester run night", shell, tmp_path))


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete"), ("zsh", "compdef"), ("fish", "complete")])
def test_the_script_of_a_shell_is_printed(shell: str, word: str) -> None:
    """It is what the README has people load; it names the program, and nothing of this machine."""
    name = Path(sys.executable).with_name("harvester")
    if not name.exists():
        pytest.skip("harvester is not installed as a program")
    done = subprocess.run(
        [name], env=os.environ | {"_HARVESTER_COMPLETE": f"{shell}_source"}, capture_output=True, text=True, check=True
    )
    assert word in done.stdout
    assert f"_HARVESTER_COMPLETE={shell}_complete" in done.stdout
    assert str(name.parent) not in done.stdout


def test_bash_itself_completes(tmp_path: Path) -> None:
    """The script, loaded by a real bash, as the README says, gives the command that was meant."""
    bash, name = shutil.which("bash"), Path(sys.executable).with_name("harvester")
    if bash is None or not name.exists():
        pytest.skip("no bash, or harvester is not installed as a program")
    version = subprocess.run([bash, "-c", "echo $((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1]))"], capture_output=True)  # noqa: PLW1510 - bash is bash
    if int(version.stdout) < 404:
        pytest.skip("click's script needs bash 4.4")
    script = (
        'eval "$(_HARVESTER_COMPLETE=bash_source harvester)"; COMP_WORDS=(harvester do); COMP_CWORD=1; '
        '_harvester_completion harvester; echo "${COMPREPLY[@]}"'
    )
    path = f"{name.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run([bash, "-c", script], capture_output=True, text=True, cwd=tmp_path, env={"PATH": path})  # noqa: PLW1510 - stderr is looked at
    assert (done.stdout.split(), done.stderr) == (["doctor"], "")
