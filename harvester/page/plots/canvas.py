"""What all pictures share: a matplotlib figure becomes an SVG that fits into a page.

Text stays text, in the page's font, so that a browser finds the glyphs of any language. Colours are named by the page's
style, so that one picture serves light, dark and print: a figure is drawn in colours that stand for these names. What
matplotlib adds for files of their own goes: the prologue, metadata, addresses.
"""

import io
import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from unicodedata import east_asian_width
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

WIDTH_IN: Final = 9.6
"""Of every picture: 691 points, which a page's column shows at their size."""
FONT_PT: Final = 9.0
_NAMES: Final = (
    "ink", "muted", "line", "ground", "accent", "second", "warn", "complete", "short", "early", "queued", "poisoned",
    "unread", "before", "level-0", "level-1", "level-2", "level-3", "level-4", "level-5", "level-6",
    "lack-1", "lack-2", "lack-3", "lack-4",
)  # fmt: skip
COLOURS: Final = MappingProxyType({name: f"#0a0b{place:02x}" for place, name in enumerate(_NAMES)})
"""The style's name → the colour that stands for it in a drawing."""
LEVELS: Final = 7
LABEL_UNITS: Final = 30
"""Of an account beside a picture, about as many letters."""
_STYLE: Final = MappingProxyType(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "harvester",
        "text.parse_math": False,
        "font.size": FONT_PT,
        "font.family": ["DejaVu Sans"],
        "axes.edgecolor": COLOURS["line"],
        "axes.labelcolor": COLOURS["muted"],
        "axes.facecolor": "none",
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": "none",
        "grid.color": COLOURS["line"],
        "grid.linewidth": 0.6,
        "text.color": COLOURS["ink"],
        "xtick.color": COLOURS["line"],
        "ytick.color": COLOURS["line"],
        "xtick.labelcolor": COLOURS["muted"],
        "ytick.labelcolor": COLOURS["muted"],
        "legend.frameon": False,
    }
)
_SVG: Final = "{http://www.w3.org/2000/svg}"
_LINK: Final = "{http://www.w3.org/1999/xlink}href"
_MADE: Final = MappingProxyType({"Date": None, "Creator": None, "Format": None, "Type": None})


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture on the page.

    Attributes:
        svg: The element, `role="img"`, with its title and its description in words.
        alt: That description.
    """

    svg: str
    alt: str


@contextmanager
def figure(height_in: float, *, rows: int = 1) -> Iterator[tuple[Figure, list[Any]]]:
    """A figure in the page's style, and its axes one above the other. Colours must be taken from `COLOURS`."""
    with mpl.rc_context(dict(_STYLE)), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # the browser has it: only widths are estimated
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        fig = Figure(figsize=(WIDTH_IN, height_in))
        FigureCanvasSVG(fig)
        axes = fig.subplots(rows, 1, squeeze=False)
        yield fig, list(axes[:, 0])


def picture(fig: Figure, name: str, title: str, alt: str) -> Picture:
    """The picture of a figure, to be called while its style holds.

    Args:
        fig: What was drawn.
        name: Of letters; the beginning of every id in it, since a page holds several pictures.
        title: In a few words.
        alt: What is to be seen, in words.
    """
    text = io.StringIO()
    fig.savefig(text, format="svg", metadata=dict(_MADE))
    root = ET.fromstring(text.getvalue())  # noqa: S314 - our own
    for unwanted in (*root.findall(f"{_SVG}metadata"), *root.findall(f"{_SVG}defs[{_SVG}style]")):
        root.remove(unwanted)
    colours = {stands: f"var(--{name})" for name, stands in COLOURS.items()}
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.attrib = dict(_attributes(element.attrib.items(), name, colours))
        element.tail = None
        if element.tag not in {"text", "tspan"}:
            element.text = None
    root.attrib = {
        "viewBox": root.attrib["viewBox"],
        "role": "img",
        "aria-labelledby": f"{name}-title {name}-alt",
        "class": "plot",
    }
    for place, (tag, words) in enumerate((("title", title), ("desc", alt))):
        element = ET.Element(tag, {"id": f"{name}-{'title' if tag == 'title' else 'alt'}"})
        element.text = words
        root.insert(place, element)
    return Picture(svg=ET.tostring(root, encoding="unicode"), alt=alt)


def _attributes(attributes: Iterable[tuple[str, str]], name: str, colours: dict[str, str]) -> Iterator[tuple[str, str]]:
    for key, value in attributes:
        if key == _LINK:
            yield "href", value.replace("#", f"#{name}-")
        elif key == "id":
            yield "id", f"{name}-{value}"
        elif key == "clip-path":
            yield key, value.replace("url(#", f"url(#{name}-")
        elif key == "style":
            yield key, _styled(value, colours)
        elif not key.startswith("{"):
            yield key, value


def _styled(style: str, colours: dict[str, str]) -> str:
    """A style without its font's family, in the page's colours."""
    for stands, named in colours.items():
        style = style.replace(stands, named)
    parts = (part for part in style.split("; ") if not part.startswith("font-family:"))
    return "; ".join(_sized(part) if part.startswith("font:") else part for part in parts)


def _sized(font: str) -> str:
    """`font: 9px 'DejaVu Sans'`, as matplotlib 3.10 has it → `font-size: 9px`; the family is the page's."""
    size = next(part for part in font.removeprefix("font:").split() if part.endswith("px"))
    return f"font-size: {size}"


def width_in(text: str, *, size_pt: float = FONT_PT) -> float:
    """About how wide a text is, in inches, in any font that a browser takes."""
    units = sum(1.0 if east_asian_width(one) in {"W", "F"} else 0.6 for one in text)
    return units * size_pt / 72


def cut(text: str, units: int) -> str:
    """A text of at most so many letters, of which a Chinese one counts as two."""
    so_far, kept = 0, ""
    for one in text:
        so_far += 2 if east_asian_width(one) in {"W", "F"} else 1
        if so_far > units:
            return f"{kept[:-1]}…"
        kept += one
    return kept


def place(
    fig: Figure, *, left_in: float = 0.6, right_in: float = 0.15, top_in: float = 0.3, bottom_in: float = 0.4
) -> None:
    """Sets a figure's margins, in inches: what is around the axes keeps its size."""
    width, height = fig.get_size_inches()
    fig.subplots_adjust(
        left=left_in / width, right=1 - right_in / width, bottom=bottom_in / height, top=1 - top_in / height
    )
