"""The page's sections: what is told in words and in tables, beside the pictures. Pure."""

from harvester.page.sections.calls import calls, durations, ends, late
from harvester.page.sections.completeness import completeness, sick, verdict
from harvester.page.sections.parts import Section
from harvester.page.sections.traffic import accounts, requests, runs
from harvester.page.values import Findings

__all__ = ["Section", "sections", "verdict"]


def sections(found: Findings) -> list[Section]:
    """All sections, in the order of the page."""
    told = (completeness, sick, requests, runs, calls, ends, durations, late, accounts)
    return [section(found) for section in told]
