"""The work that every peer is given: its arguments, and the parameters of a request."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Final

IN_FLIGHT: Final = 16
"""Requests awaiting an answer, where a peer lets its user choose: on one core more make nobody faster."""
PATH: Final = "/v3.0/leads_call_records/get"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Every call of every account between two days, into a folder.

    Attributes:
        base_url: Of the server, without a path.
        accounts: Their ids.
        start: The first day, YYYY-MM-DD.
        end: The last day, YYYY-MM-DD; it belongs to the work.
        page_size: Calls a page; a page with fewer is an account's last.
        output: The folder for what is written; it is there.
        feed: Whether a peer that has one uses its own exporter.
    """

    base_url: str
    accounts: list[int]
    start: str
    end: str
    page_size: int
    output: Path
    feed: bool

    def parameters(self, account: int) -> dict[str, str]:
        """Of an account's first request; the next ones have `search_after` besides."""
        return {
            "access_token": "none",
            "timestamp": "0",
            "nonce": "0",
            "account_id": str(account),
            "page": "1",
            "page_size": str(self.page_size),
            "start_date": self.start,
            "end_date": self.end,
        }


def given(description: str | None) -> Work:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--accounts", type=Path, required=True, help="a file with an id a line")
    parser.add_argument("--start", required=True, help="YYYY-MM-DD")
    parser.add_argument("--end", required=True, help="YYYY-MM-DD, inclusive")
    parser.add_argument("--page-size", type=int, default=100)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--feed", action="store_true", help="use the peer's own exporter, if it has one")
    values = vars(parser.parse_args())
    values["accounts"] = [int(line) for line in values["accounts"].read_text().split()]
    values["output"] = values["output"].resolve()
    values["output"].mkdir(parents=True, exist_ok=True)
    return Work(**values)
