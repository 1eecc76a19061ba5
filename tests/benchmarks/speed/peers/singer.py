"""A tap on Meltano's Singer SDK, tuned: a partition an account, its own cursor, msgspec at both ends, one file.

The SDK reads partitions one after the other. Three things are tuned: a page is parsed at once, by msgspec, instead of
by a JSONPath; messages are written by the SDK's msgspec writer; and that writer fills a buffered file instead of
flushing standard output after each message. Metrics are not logged. It is a tap alone: a target would come on top.
"""

import logging
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final

import msgspec
from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.contrib.msgspec import MsgSpecWriter, serialize_jsonl
from singer_sdk.pagination import BaseAPIPaginator

from tests.benchmarks.speed.peers.work import PATH, Work, given

_decode: Final = msgspec.json.Decoder().decode
_TEXTS: Final = (
    "call_id", "caller", "callee", "call_direction", "call_start_time", "call_end_time", "ring_time", "answer_time",
    "call_record_url",
)  # fmt: skip
_NUMBERS: Final = ("account_id", "leads_id", "duration", "end_status")


class Writer(MsgSpecWriter):
    """The SDK's fast writer, into a file."""

    file: Any = None

    def write_message(self, message: Any) -> None:
        """One line."""
        self.file.write(serialize_jsonl(message.to_dict()))


class Cursor(BaseAPIPaginator):
    """The start of the last call of a full page."""

    def __init__(self, page_size: int) -> None:
        super().__init__(None)
        self.page_size = page_size
        self.page: list[dict[str, Any]] = []

    def get_next(self, response: Any) -> str | None:  # noqa: ARG002 - the page was parsed before
        """None after an account's last page."""
        return self.page[-1]["call_start_time"] if len(self.page) == self.page_size else None


class Calls(RESTStream):
    """The calls of every account."""

    name = "calls"
    path = PATH
    primary_keys = ("call_id",)
    state_partitioning_keys = ()
    schema = th.PropertiesList(
        *(th.Property(name, th.StringType) for name in _TEXTS),
        *(th.Property(name, th.IntegerType) for name in _NUMBERS),
    ).to_dict()
    _LOG_REQUEST_METRICS = False
    work: Work

    @property
    def url_base(self) -> str:
        """Of the server."""
        return self.work.base_url

    @cached_property
    def partitions(self) -> list[dict[str, int]]:
        """One an account."""
        return [{"account_id": account} for account in self.work.accounts]

    def get_new_paginator(self) -> Cursor:
        """For one account."""
        self.paginator = Cursor(self.work.page_size)
        return self.paginator

    def get_url_params(self, context: Any, next_page_token: str | None) -> dict[str, str]:
        """Of one page."""
        parameters = self.work.parameters(context["account_id"])
        return {**parameters, "search_after": next_page_token} if next_page_token else parameters

    def parse_response(self, response: Any) -> Iterable[dict[str, Any]]:
        """The calls of one page."""
        self.paginator.page = _decode(response.content)["data"]["entities"]
        return self.paginator.page


class TapCalls(Tap):
    """One stream."""

    name = "tap-calls"
    config_jsonschema = th.PropertiesList().to_dict()
    message_writer_class = Writer

    def discover_streams(self) -> list[Calls]:
        """The only one."""
        return [Calls(self)]


def main() -> None:
    """Syncs."""
    Calls.work = given(__doc__)
    logging.disable(logging.INFO)
    with (Calls.work.output / "messages.ndjson").open("wb") as Writer.file:
        TapCalls(config={}).sync_all()


if __name__ == "__main__":
    main()
