"""harvester: every phone call of every Tencent Ads account, each night, provably complete."""

from importlib.metadata import version

__version__ = version("harvester")
__all__ = ["__version__"]
