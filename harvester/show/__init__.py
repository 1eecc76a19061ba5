"""What a run shows while it goes on: a live display on a terminal, else a line a minute, or JSON events."""

from harvester.show.choice import Style, showing

__all__ = ["Style", "showing"]
