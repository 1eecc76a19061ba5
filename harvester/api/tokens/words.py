"""What a person is told of tokens before they die. Pure."""

from datetime import datetime
from typing import Final

from harvester.api.tokens.life import Life, is_useless
from harvester.health.tokens import REFRESH_WARNS_S
from harvester.model import BEIJING

WARN_S: Final = REFRESH_WARNS_S
"""So long before a refresh token dies a person is told."""


def note_of(name: str, life: Life, now: float) -> str | None:
    """What should be done about a token soon; `None` when nothing, or when it is dead and said so itself.

    Args:
        name: The name of its table.
        life: What is known of it.
        now: Unix seconds.
    """
    if life.dead:
        return None
    pair = life.pair
    if life.failure:
        again = "it is tried again" if life.renewable else "authorise the app again"
        if is_useless(life, now):
            return f"token {name} does not work any more and could not be renewed: {life.failure}; {again}"
        until = f" until {at(pair.access_until)}" if pair.access_until else " until it dies"
        return f"token {name} could not be renewed: {life.failure}; it is used{until}, {again}"
    if pair.refresh_until is not None and pair.refresh_until - now <= WARN_S:
        return (
            f"token {name}: its refresh token dies at {at(pair.refresh_until)}: authorise the app again before, and "
            "put the new access_token and refresh_token into the config"
        )
    return None


def at(moment: float) -> str:
    """A moment in Unix seconds for a person, Beijing time."""
    return f"{datetime.fromtimestamp(moment, BEIJING):%F %H:%M}"
