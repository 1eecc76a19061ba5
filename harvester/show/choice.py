"""Which way a run is shown: what was asked for, and what stderr is."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from harvester.events import Audience
from harvester.report.logs import set_up
from harvester.show import lines

LINE_S: Final = 60.0
LIVE_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What was asked for.

    Attributes:
        log_format: "text" or "json".
        quiet: Whether nothing is shown but errors.
        progress: Whether it is shown how a run goes on.
    """

    log_format: str = "text"
    quiet: bool = False
    progress: bool = True


@contextmanager
def showing(style: Style) -> Iterator[Audience]:
    """Sets the log up, and shows a run that this audience listens to, for as long as it lasts."""
    if style.log_format == "json" and not style.quiet:
        set_up("json", quiet=False)
        yield Audience(tell=lines.as_json, every_s=LINE_S if style.progress else None)
    elif style.quiet:
        set_up(style.log_format, quiet=True)
        yield Audience(tell=lines.as_json_if_asked if style.log_format == "json" else lines.if_asked, every_s=None)
    elif style.progress and is_live():
        from harvester.show.live import Live  # noqa: PLC0415 - rich is loaded only where it is seen

        with Live() as live:
            set_up("text", quiet=False, write=live.log)
            try:
                yield Audience(tell=live.tell, every_s=LIVE_S)
            finally:
                set_up("text", quiet=False)
    else:
        set_up("text", quiet=False)
        yield Audience(tell=lines.as_text, every_s=LINE_S if style.progress else None)


def is_live() -> bool:
    """Whether stderr is a terminal that can be drawn on."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown", ""}
