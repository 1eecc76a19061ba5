"""What a run shows while it goes on: a live display on a terminal, else a line a minute, or JSON events."""

from harvester.show.choice import Style, showing
from harvester.show.summary import say_what_was_done

__all__ = ["Style", "say_what_was_done", "showing"]
