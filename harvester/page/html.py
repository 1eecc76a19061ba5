"""The page itself: one HTML file that needs nothing else, made from a template that escapes whatever it is given."""

from collections.abc import Iterator
from datetime import date

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from harvester import __version__
from harvester.page.plots import Picture, draw
from harvester.page.sections import sections, verdict
from harvester.page.sections.completeness import is_sick
from harvester.page.values import Findings
from harvester.page.words import moment, percent


def html_of(found: Findings) -> str:
    """The page."""
    pictures = draw(found)
    environment = Environment(
        loader=PackageLoader("harvester.page", "template"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["told"] = _told
    return environment.get_template("page.html").render(
        found=found,
        verdict=verdict(found),
        figures=list(_figures(found)),
        sections=sections(found),
        svgs={name: _inline(one) for name, one in pictures.items()},
        alts={name: one.alt for name, one in pictures.items()},
        made_at=moment(found.made_at),
        version=__version__,
    )


def _told(text: str) -> Markup:
    """A text, escaped, with what stands between backticks as code."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escape(text)
    marked = (Markup("<code>{}</code>").format(one) if place % 2 else escape(one) for place, one in enumerate(pieces))
    return Markup("").join(marked)


def _inline(picture: Picture) -> Markup:
    """A picture as it is: it was written by an XML library, which escapes every text."""
    return Markup(picture.svg)  # noqa: S704 - see above


def _figures(found: Findings) -> Iterator[tuple[str, str, str]]:
    """The few numbers at the top: what, how many, and a word on it."""
    whole = len(found.accounts) - found.incomplete
    yield "accounts complete", f"{whole:,} of {len(found.accounts):,}", _days(found.window.start, found.window.end)
    days = sum(one.due for one in found.accounts)
    lacking = sum(one.lacking for one in found.accounts)
    yield "days of accounts", percent(days - lacking, days), f"{lacking:,} lacking"
    yield "calls", f"{sum(one.calls for one in found.accounts):,}", "that the ledger knows of these days"
    counts = found.reading.counts if found.reading else None
    if counts and found.reading:
        days_read = _days(found.reading.window.start, found.reading.window.end)
        yield "connected", percent(counts.connected, counts.calls), f"of {counts.calls:,} calls, {days_read}"
    if found.runs.runs:
        last = found.runs.runs[-1]
        yield "last run", "complete" if last.complete else "not complete", moment(last.started)
    ill = sum(map(is_sick, found.accounts))
    yield "sick accounts", f"{ill:,}", "with poisoned days included"


def _days(start: date, end: date) -> str:
    return f"{start} to {end}"
