"""The tokens of a run: renewed for all who wait, durable before they are used, given up when nothing helps."""

from harvester.api.tokens.fleet import Tokens
from harvester.api.tokens.pair import Credentials, Pair, Renewal

__all__ = ["Credentials", "Pair", "Renewal", "Tokens"]
