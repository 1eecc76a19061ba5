"""What was found, drawn by matplotlib as static SVG: `canvas.py` is what all pictures share."""

from harvester.page.plots.canvas import Picture
from harvester.page.plots.drawn import draw

__all__ = ["Picture", "draw"]
