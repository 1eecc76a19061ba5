"""How the last run of a config ended, for the next one: two small files in the state directory.

What says that it did not end well is an empty file, which a full disk has room for.
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import Final

_FOLDER: Final = "last"


class Memory:
    """Of one config. Nothing is raised: what cannot be remembered is forgotten.

    Args:
        state_dir: Where; nothing is made there that is not there.
        config: The config's file name.
    """

    def __init__(self, state_dir: Path, config: str) -> None:
        self._state_dir = state_dir
        name = re.sub(r"[^A-Za-z0-9._-]", "_", config)
        self._unwell = state_dir / _FOLDER / f"{name}.unwell"
        self._success = state_dir / _FOLDER / f"{name}.success"

    @property
    def was_unwell(self) -> bool:
        """Whether the last run did not end well; not if there was none."""
        try:
            return self._unwell.exists()
        except OSError:
            return False

    @property
    def last_success_s(self) -> float | None:
        """When the last run ended that was complete, in Unix seconds; `None` when there was none."""
        try:
            return float(self._success.read_text())
        except (OSError, ValueError):
            return None

    def remember(self, *, well: bool, at_s: float) -> bool:
        """Notes how a run ended; says whether that was possible."""
        try:
            self._unwell.parent.mkdir(exist_ok=True)
            if not well:
                self._unwell.touch()
                return True
            self._unwell.unlink(missing_ok=True)
            beside = self._success.with_suffix(".tmp")
            beside.write_text(f"{at_s:.3f}\n")
            beside.replace(self._success)
        except OSError:
            with suppress(OSError):
                self._success.with_suffix(".tmp").unlink(missing_ok=True)
            return False
        return True
