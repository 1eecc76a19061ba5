"""The effective settings as a text that reads like the config, each value with where it came from."""

from collections.abc import Iterator
from pathlib import PurePath

from pydantic import SecretStr

from harvester.config.leaves import leaf_of
from harvester.config.section import Section
from harvester.config.settings import Settings, keys
from harvester.config.show import dotted, masked

FIRST_ACCOUNTS = 5
"""How many accounts are listed by id."""

_COLUMN = 40


def explain(settings: Settings) -> str:
    """One line a key: its value and, as a comment, its origin; secrets are asterisks wherever they turn up."""
    lines = [f"# {PurePath(settings.source).name}", *(f"# note: {note}" for note in settings.notes)]
    for name in ("api", "window", "limits", "retry", "output", "state", "metrics"):
        lines += _table((name,), getattr(settings, name), settings)
    for name, app in settings.apps.items():
        lines += _table(("apps", name), app, settings)
    for name, token in settings.tokens.items():
        lines += _table(("tokens", name), token, settings)
    for name, table in settings.discover.items():
        lines += _table(("discover", name), table, settings)
    for number, webhook in enumerate(settings.notify):
        lines += _table(("notify", number), webhook, settings)
    return masked("\n".join([*lines, *_accounts(settings)]) + "\n", _secrets(settings))


def _table(location: tuple[str | int, ...], section: Section, settings: Settings) -> Iterator[str]:
    yield ""
    yield f"[{dotted(location)}]" if isinstance(location[-1], str) else f"[[{location[0]}]]"
    for (key, info), value in zip(keys(type(section)).items(), dict(section).values(), strict=True):
        origin = settings.origins.get(".".join(map(str, (*location, key))), "default")
        leaf = leaf_of(info.metadata)
        text = f"{key} = {leaf.text(value)}" if value is not None else f"# {key} is off"
        yield f"{text:<{_COLUMN}} # {origin}"


def _secrets(settings: Settings) -> list[str]:
    sections = (*settings.apps.values(), *settings.tokens.values(), *settings.notify)
    values = [value for section in sections for value in dict(section).values()]
    return [value.get_secret_value() for value in values if isinstance(value, SecretStr)]


def _accounts(settings: Settings) -> Iterator[str]:
    count = len(settings.accounts)
    sources = [key for key in ("ids", "file") if f"accounts.{key}" in settings.origins]
    yield ""
    yield "[accounts]"
    yield f"# {count} enabled, {len(settings.disabled)} disabled; from {' and '.join(sources) or 'nowhere'}"
    for account in settings.accounts[:FIRST_ACCOUNTS]:
        yield f"# {account.id}, read by token {account.token}"
    if count > FIRST_ACCOUNTS:
        yield f"# … and {count - FIRST_ACCOUNTS} more"
    if settings.discover:
        yield "# and those that find themselves: `harvester accounts list` shows them all"
