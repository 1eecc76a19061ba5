"""harvester as a library, for people with an orchestrator of their own: `from harvester import Config, harvest`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from harvester.assign import Options, assignment_of
from harvester.config import Settings, load
from harvester.errors import HarvesterError
from harvester.events import Audience, Event, Tell
from harvester.harvest.run import harvest as _harvest
from harvester.model import BEIJING
from harvester.report.summary import Report

__all__ = ["Config", "Event", "HarvesterError", "Options", "Report", "harvest"]


@dataclass(frozen=True, slots=True)
class Config:
    """A config that was read and found good; immutable, and good for any number of runs.

    Attributes:
        settings: What it says.
    """

    settings: Settings

    @classmethod
    def load(cls, path: str | Path, env: Mapping[str, str] | None = None) -> Self:
        """Reads a TOML file and the files it names.

        Args:
            path: The file; relative paths inside are relative to its folder.
            env: What `${NAME}` refers to; `None` is this process's environment.

        Raises:
            ConfigError: With every problem found, and without any secret.
        """
        return cls(load(Path(path), env))


async def harvest(
    config: Config,
    options: Options | None = None,
    *,
    on_event: Tell | None = None,
    progress_every_s: float | None = 60.0,
) -> Report:
    """Harvests all that is due, as `harvester run` does; nothing is printed, and no signal is taken.

    Runs on asyncio, alone or under anyio's asyncio backend; aiohttp knows no other.

    Args:
        config: What to harvest, and where to.
        options: What a command line would add: days, accounts, budgets.
        on_event: Is told of every event, on the event loop, so it must return soon; what it raises ends the run. The
            README has a table of the events.
        progress_every_s: Seconds between two `Progressed` events, which say where the run stands; `None` for none.

    Returns:
        What was done: `report.complete` and `report.exit_code` say what the shell would be told. What is not complete
        is no exception: it is in the report.

    Raises:
        ConfigError: An account that the config does not know, or an impossible window.
        LockedError: Another run holds the state directory.
        StorageError: The ledger or the landing zone cannot be used.

    Cancellation: what is published stays; open slices stay at their last checkpoints, from where the next run goes on;
        the report is saved. It takes as long as ending the publication that is under way, a second or two at most on a
        disk that is well.
    """
    assignment = assignment_of(config.settings, options or Options(), datetime.now(BEIJING).date())
    audience = Audience(tell=on_event, every_s=progress_every_s, signals=False)
    return await _harvest(assignment, audience=audience)
