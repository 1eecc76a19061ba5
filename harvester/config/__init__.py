"""The config: one TOML file in, frozen settings out, or everything that is wrong with it at once."""

from harvester.config.explain import explain
from harvester.config.load import load
from harvester.config.schema import schema
from harvester.config.settings import DiscoverSection, Settings, TokenSection
from harvester.config.values import DayExpr, format_duration, parse_day, parse_duration

__all__ = [
    "DayExpr",
    "DiscoverSection",
    "Settings",
    "TokenSection",
    "explain",
    "format_duration",
    "load",
    "parse_day",
    "parse_duration",
    "schema",
]
