"""harvester: every phone call of every Tencent Ads account, each night, provably complete."""

__version__ = "0.4.0"  # said here and nowhere else: to look it up in the installed package takes 30 ms of each start
__all__ = ["__version__"]
