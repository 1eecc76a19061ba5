"""Everything that is wrong with a config, gathered while it is read."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from harvester.config.show import dotted, masked
from harvester.errors import ConfigError, Problem


@dataclass(frozen=True, slots=True)
class Findings:
    """Collects problems and notes; a problem never stops the search for the next one.

    Attributes:
        file: The config's name, the first half of a problem's place.
        problems: What must be mended before anything can run.
        notes: Remarks that stop nothing.
    """

    file: str
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def key(self, location: Sequence[str | int]) -> str:
        """Where a key is: file and full name."""
        return f"{self.file}: {dotted(location)}"

    def at_key(self, location: Sequence[str | int], message: str) -> None:
        """Adds a problem with a key of the config."""
        self.at(self.key(location), message)

    def at(self, where: str, message: str) -> None:
        """Adds a problem anywhere, such as on a line of the accounts file."""
        self.problems.append(Problem(where=where, message=message))

    def error(self, secrets: Sequence[str]) -> ConfigError:
        """All problems as one error; should a secret have slipped into one, it is masked."""
        problems = [
            Problem(where=masked(problem.where, secrets), message=masked(problem.message, secrets))
            for problem in self.problems
        ]
        return ConfigError(problems)
