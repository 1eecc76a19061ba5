"""The config's `[[notify]]` tables → the webhooks that are told."""

from collections.abc import Iterator, Sequence
from urllib.parse import parse_qsl, urlsplit

from harvester.config import NotifySection
from harvester.secret import Secret
from harvester.telling.services import Webhook

_LIKE_A_KEY = 16
"""Characters from which a part of an address may be its key."""


def webhooks(tables: Sequence[NotifySection]) -> list[Webhook]:
    """The webhooks, in their order."""
    return [
        Webhook(
            name=f"notify[{number}] ({table.service})",
            service=table.service,
            url=Secret(table.url.get_secret_value()),
            keys=tuple(map(Secret, _keys(table.url.get_secret_value()))),
            secret=None if table.secret is None else Secret(table.secret.get_secret_value()),
            on=table.on,
            template=table.text,
        )
        for number, table in enumerate(tables)
    ]


def _keys(url: str) -> Iterator[str]:
    """What of an address gives the right to post there, by itself: so that no part of it is shown either."""
    parts = urlsplit(url)
    yield from (value for _, value in parse_qsl(parts.query))
    yield from (piece for piece in parts.path.split("/") if len(piece) >= _LIKE_A_KEY)
