"""`${NAME}`, `${NAME:-default}` and `${file:/run/secrets/x}` in the config's strings; `$${` is a literal `${`."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harvester.config.show import LONGEST, UNRESOLVED, Expanded, shown_path, shown_variable

FORMS = '"${NAME}", "${NAME:-default}" or "${file:PATH}"; a literal "${" is written "$${"'

MAX_FILE_BYTES = 64 * 1024
"""The largest file that `${file:…}` reads: secrets are small, and a mistaken path may be a disk image."""

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<inside>[^{}]*)\}|\$\{")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-.*)?", re.DOTALL)

Location = tuple[str | int, ...]
Report = Callable[[Location, str], None]


class _UnresolvedError(ValueError):
    """One `${…}` has no value; the message is for a person."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a config may refer to.

    Attributes:
        env: The environment.
        folder: What relative paths are relative to.
    """

    env: Mapping[str, str]
    folder: Path

    def variable(self, name: str, default: str | None) -> tuple[str, str]:
        """A variable's value and its origin; like the shell, `:-` also replaces an empty one."""
        value = self.env.get(name, "")
        if value:
            return value, f"environment variable {shown_variable(name)}"
        state = "is empty" if name in self.env else "is not set"
        if default is None:
            raise _UnresolvedError(f"environment variable {shown_variable(name)} {state}; export it first")
        return default, f"config file, since environment variable {shown_variable(name)} {state}"

    def file(self, path: str) -> tuple[str, str]:
        """A file's text without the line break at its end, and its origin."""
        try:
            with (self.folder / path).open("rb") as stream:
                content = stream.read(MAX_FILE_BYTES + 1)
            text = content.decode("utf-8-sig")
        except OSError as error:
            raise _UnresolvedError(
                f"file {shown_path(path)} cannot be read: {error.strerror}; put it there, readable for you"
            ) from None
        except UnicodeDecodeError:
            raise _UnresolvedError(f"file {shown_path(path)} is not UTF-8 text; save it as such") from None
        except ValueError:
            raise _UnresolvedError("this is no file's path; expected ${file:/run/secrets/x}") from None
        if len(content) > MAX_FILE_BYTES:
            raise _UnresolvedError(
                f"file {shown_path(path)} is larger than {MAX_FILE_BYTES // 1024} KiB; put just the value into it"
            )
        text = text.removesuffix("\n").removesuffix("\r")
        if not text:
            raise _UnresolvedError(f"file {shown_path(path)} is empty; put the value into it")
        return text, f"file {shown_path(path)}"


@dataclass(slots=True)
class _Expansion:
    """One string on its way: what it becomes, how it may be shown, where it came from, what is wrong with it."""

    value: str = ""
    template: str = ""
    sources: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def literal(self, text: str) -> None:
        """Takes over text as it stands."""
        self.value += text
        self.template += text if len(text) <= LONGEST else "…"

    def reference(self, inside: str, surroundings: Surroundings) -> None:
        """Resolves what stands between `${` and `}`."""
        variable = _VARIABLE.fullmatch(inside)
        if not variable and not inside.startswith("file:"):
            self.faults.append(f"found a ${{…}} that is not understood; expected {FORMS}")
            return
        try:
            if not variable:
                path = inside.removeprefix("file:")
                self.template += "${file:" + shown_path(path) + "}"
                value, source = surroundings.file(path)
            else:
                default = variable["default"]
                self.template += "${" + shown_variable(variable["name"]) + (":-…}" if default else "}")
                value, source = surroundings.variable(variable["name"], default and default.removeprefix(":-"))
        except _UnresolvedError as error:
            self.faults.append(str(error))
        else:
            self.value += value
            self.sources.append(source)


def expand_text(text: str, surroundings: Surroundings) -> tuple[str, Sequence[str]]:
    """Expands one string, once: what a variable holds is not looked at again.

    Returns:
        The result, an `Expanded` if anything was put in, and what could not be resolved.
    """
    done = _Expansion()
    end = 0
    for match in _REFERENCE.finditer(text):
        done.literal(text[end : match.start()])
        end = match.end()
        if match[0] == "$${":
            done.literal("${")
        elif match["inside"] is None:
            done.faults.append(f'found "${{" that is not closed, or braces inside it; expected {FORMS}')
        else:
            done.reference(match["inside"], surroundings)
    done.literal(text[end:])
    return Expanded(done.value, done.template, done.sources) if done.sources else done.value, done.faults


def expand(value: object, location: Location, surroundings: Surroundings, report: Report) -> object:
    """Expands every string of a TOML value, however deep.

    Args:
        value: What the TOML file holds; it is left as it is.
        location: Its full name.
        surroundings: What `${…}` may refer to.
        report: Is told the full name and the fault of everything that cannot be resolved.

    Returns:
        A copy with `Expanded` strings, and `UNRESOLVED` where there was a fault.
    """
    if isinstance(value, dict):
        return {key: expand(inner, (*location, key), surroundings, report) for key, inner in value.items()}
    if isinstance(value, list):
        return [expand(inner, (*location, index), surroundings, report) for index, inner in enumerate(value)]
    if not isinstance(value, str) or "${" not in value:
        return value
    text, faults = expand_text(value, surroundings)
    for fault in faults:
        report(location, fault)
    return UNRESOLVED if faults else text
