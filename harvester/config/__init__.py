"""The config: one TOML file in, frozen settings out, or everything that is wrong with it at once."""

from harvester.config.aftermath import Aftermath, NotifySection
from harvester.config.explain import explain
from harvester.config.load import load, load_aftermath
from harvester.config.schema import schema
from harvester.config.settings import DiscoverSection, Settings, TokenSection
from harvester.config.values import DayExpr, format_duration, parse_day, parse_duration

__all__ = [
    "Aftermath",
    "DayExpr",
    "DiscoverSection",
    "NotifySection",
    "Settings",
    "TokenSection",
    "explain",
    "format_duration",
    "load",
    "load_aftermath",
    "parse_day",
    "parse_duration",
    "schema",
]
