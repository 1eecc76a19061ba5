"""What the end of a slice changes: prepared out of sight first, written down, then done. Every part can be repeated."""

from datetime import date
from typing import Final

import msgspec

from harvester.model import AccountId, Outcome, Receipt, Slice, Status, Window

VERSION: Final = 1
"""Of a publication in the ledger; one of another version is not finished but read again."""


class DayChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of one partition, and how it stands afterwards.

    Attributes:
        day: Which.
        path: Its file, from the landing zone's root.
        complete: Whether the day was over when it was read, and is proven.
        calls: Different calls that were read.
        in_file: Calls that the file holds afterwards.
        digest: Of the file afterwards; `None` when there is none.
        new: Calls that were not in the file before.
        changed: Calls whose bytes differ from those in the file before.
        missing: Calls of the file that were not read.
        dropped: How many of the missing ones are not in the file any more.
        staged: The name of its new content among the unfinished files; `None` when it stays as it is.
        removed: Whether it has to go, since no call is left.
        note: What a person should know of; `None` when nothing.
    """

    day: date
    path: str
    complete: bool
    calls: int
    in_file: int
    digest: bytes | None = None
    new: int = 0
    changed: int = 0
    missing: int = 0
    dropped: int = 0
    staged: str | None = None
    removed: bool = False
    note: str | None = None

    @property
    def touches(self) -> bool:
        """Whether the file changes."""
        return self.removed or self.staged is not None


class Publication(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a slice ended, and all that follows from it.

    Attributes:
        run_id: Of the run that read it.
        account_id: Whose.
        first_day: The slice's first day.
        last_day: Its last.
        status: How it ended.
        reason: Why it is not complete.
        receipt: The walk's evidence; `None` when it did not come to its end.
        read_on: The Beijing day on which the walk began.
        quarantined: Records that cannot be placed.
        resumed: Whether it went on from a checkpoint of an earlier run.
        days: What becomes of each of its days; none when the walk did not come to its end.
        version: Of this structure.
    """

    run_id: str
    account_id: int
    first_day: date
    last_day: date
    status: Status
    reason: str | None = None
    receipt: Receipt | None = None
    read_on: date
    quarantined: int = 0
    resumed: bool = False
    days: tuple[DayChange, ...] = ()
    version: int = VERSION

    @property
    def window(self) -> Window:
        """The slice's days."""
        return Window(self.first_day, self.last_day)

    @property
    def account(self) -> AccountId:
        """Whose."""
        return AccountId(self.account_id)

    def outcome(self, one: Slice) -> Outcome:
        """For the report."""
        return Outcome(
            slice=one,
            status=self.status,
            reason=self.reason,
            receipt=self.receipt,
            landed=sum(day.calls for day in self.days),
            new=sum(day.new for day in self.days),
            changed=sum(day.changed for day in self.days),
            missing_on={day.day: day.missing for day in self.days if day.missing},
            dropped=sum(day.dropped for day in self.days),
            quarantined=self.quarantined,
            resumed=self.resumed,
            notes=tuple(day.note for day in self.days if day.note),
        )


def encode(publication: Publication) -> bytes:
    """For the ledger."""
    return msgspec.json.encode(publication)


def decode(text: bytes) -> Publication | None:
    """From the ledger; `None` when it is of another version, or no publication."""
    try:
        publication = msgspec.json.decode(text, type=Publication)
    except (msgspec.DecodeError, ValueError):
        return None
    return publication if publication.version == VERSION else None
