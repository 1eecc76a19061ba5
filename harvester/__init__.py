"""harvester: every phone call of every Tencent Ads account, each night, provably complete."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harvester.library import Config, Options, Report, harvest

__version__ = "0.4.0"  # said here and nowhere else: to look it up in the installed package takes 30 ms of each start
__all__ = ["Config", "Options", "Report", "__version__", "harvest"]


def __getattr__(name: str) -> Any:
    """What a library's user wants, when it is wanted: `import harvester` loads nothing."""
    if name == "harvest":
        return importlib.import_module("harvester.harvest")  # the folder can be called: see there
    if name in __all__:
        return getattr(importlib.import_module("harvester.library"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
