"""Every partition of the landing zone against the ledger, day by day. Looking changes nothing."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

from harvester.disk import storage
from harvester.inspection import Cure, Finding, Kind
from harvester.landing.ledger import Known
from harvester.landing.ledger.overview import Overview
from harvester.landing.ledger.unfinished import Checkpoint
from harvester.landing.marks import mark_of, read_mark
from harvester.landing.partition import Zone
from harvester.landing.upkeep.survey import Sight, read_through, survey, survey_day
from harvester.model import AccountId

_NOBODY: Final = Known(0, complete=False)


@dataclass(frozen=True, slots=True)
class Look:
    """What was found of one day.

    Attributes:
        day: Which.
        partitions: Files that were read through.
        calls: In them, as far as they could be read.
        findings: What is wrong.
    """

    day: date
    partitions: int
    calls: int
    findings: Sequence[Finding]

    def to_read_again(self) -> dict[AccountId, Finding]:
        """What the next run has to read again, by account."""
        found = (one for one in self.findings if one.cure is Cure.READ_AGAIN)
        return {one.account: one for one in found if one.account is not None}


class Inspector:
    """Looks at a landing zone while nobody writes to it.

    Args:
        zone: The landing zone, held.
        ledger: What says how it should be.
        fleet: Every enabled account.
        today: The Beijing day: it and later ones cannot be read again, for they are not over.
    """

    def __init__(self, zone: Zone, ledger: Overview, fleet: Collection[AccountId], today: date = date.max) -> None:
        self._zone = zone
        self._ledger = ledger
        self._fleet = frozenset(fleet)
        self._today = today

    def looks(self) -> Iterator[Look]:
        """Each day that the ledger knows or that has a folder, in order; of one day only, things are held in memory.

        Raises:
            StorageError: The ledger, or a folder, cannot be read. A file that cannot be read is a finding.
        """
        days, _ = survey(self._zone)
        for day in sorted({*days, *self._ledger.days()}):
            yield self._look(day)

    def apart_from_days(self) -> list[tuple[Finding, Checkpoint | None]]:
        """What belongs to no day: names like that of one, and parts that a checkpoint needs; with the checkpoint.

        Raises:
            StorageError: The ledger, or a folder, cannot be read.
        """
        _, foreign = survey(self._zone)
        parts = ((self._look_at_part(one), one) for one in self._ledger.checkpoints())
        return [*((finding, None) for finding in foreign), *((finding, one) for finding, one in parts if finding)]

    def _look(self, day: date) -> Look:
        folder, known = survey_day(self._zone, day), self._ledger.on(day)
        findings = list(folder.foreign)
        calls = 0
        for account in sorted({*folder.partitions, *known}):
            of_day = _Place(self._zone, account, day)
            here = known.get(account)
            files = folder.partitions.get(account)
            found, read = of_day.check(files, here) if files else (of_day.check_absent(here or _NOBODY), 0)
            calls += read
            findings += [self._with_cure(finding) for finding in found]
        if mark := self._look_at_mark(day, known):
            findings.append(mark)
        return Look(day, len(folder.partitions), calls, findings)

    def _with_cure(self, finding: Finding) -> Finding:
        """Only a run whose config has the account can read its day again."""
        if finding.cure is Cure.READ_AGAIN and finding.account not in self._fleet:
            return replace(finding, cure=Cure.OTHER_CONFIG)
        if finding.cure is Cure.READ_AGAIN and finding.day and finding.day >= self._today:
            return replace(finding, cure=Cure.BY_HAND)
        return finding

    def _look_at_mark(self, day: date, known: Mapping[AccountId, Known]) -> Finding | None:
        path = mark_of(self._zone, day)
        with storage(path, "read"):
            there = path.exists()
            if path.is_dir():
                return None  # foreign, and in the way
        mark = read_mark(path)
        named = mark.accounts if mark else self._fleet
        lacking = sorted(account for account in named if not known.get(account, _NOBODY).complete)
        if not there:
            why = None if lacking else "every account is complete, and the mark is not there"
        elif mark is None:
            why = "it cannot be read"
        elif mark.day != day:
            why = f"it is the mark of {mark.day}"
        else:  # of accounts that were enabled later it does not speak
            why = f"{_named(lacking)} not complete" if lacking else None
        path_of = str(path.relative_to(self._zone.root))
        return Finding(kind=Kind.MARK, path=path_of, why=why, cure=Cure.SET_RIGHT, day=day) if why else None

    def _look_at_part(self, one: Checkpoint) -> Finding | None:
        path = self._zone.scratch / one.part
        with storage(path, "read"):
            size_bytes = path.stat().st_size if path.is_file() else None
        if size_bytes is None:
            why = "it is gone"
        elif size_bytes < one.size_bytes:
            why = f"it holds {size_bytes:,} of the {one.size_bytes:,} bytes that were saved"
        else:
            return None
        return Finding(
            kind=Kind.PART,
            path=str(path.relative_to(self._zone.root)),
            why=f"{why}; account {one.account} {one.window} was begun with it",
            cure=Cure.FORGET,
            account=one.account,
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an account's day is."""

    zone: Zone
    account: AccountId
    day: date

    def check(self, files: Sequence[Path], known: Known | None) -> tuple[list[Finding], int]:
        """What is wrong with files that are there, and how many calls harvester's own holds."""
        if known is None:
            foreign = self._finding(Kind.FOREIGN, files[0], "the ledger does not know of this day")
            return [foreign, *self._seconds(files, files[0])], 0
        own, sight = self._own(files, known)
        kind, trouble = Kind.DAMAGED, sight.trouble or _differs(sight, known)
        if not trouble and known.in_file == 0:
            kind, trouble = Kind.FOREIGN, "the ledger says that there is no call on this day"
        elif not trouble and _is_stub(known):
            kind, trouble = Kind.FOREIGN, "the ledger does not know what is in it"
        found = self._seconds(files, own)
        if trouble:
            cure = Cure.BY_HAND if sight.unreadable else Cure.READ_AGAIN
            found.append(self._finding(kind, own, trouble, cure=cure, queued=known.queued))
        return found, sight.calls

    def check_absent(self, known: Known) -> list[Finding]:
        """What is wrong when no file is there."""
        calls = known.calls if known.in_file is None else known.in_file
        if not calls:
            return []
        path = self.zone.partition(self.account, self.day.isoformat())
        why = f"it held {calls:,} calls" if known.in_file is not None else f"{calls:,} calls were read of this day"
        return [self._finding(Kind.MISSING, path, why, queued=known.queued)]

    def _own(self, files: Sequence[Path], known: Known) -> tuple[Path, Sight]:
        """Harvester's own file: the one that is as the ledger says, else the one that a run would take for it."""
        sights = [(path, read_through(path, self.day)) for path in files]
        return next((one for one in sights if one[1].digest and one[1].digest == known.digest), sights[0])

    def _seconds(self, files: Sequence[Path], own: Path) -> list[Finding]:
        why = f"a second file of this day, beside {own.name}"
        return [self._finding(Kind.FOREIGN, path, why, cure=Cure.BY_HAND) for path in files if path != own]

    def _finding(
        self, kind: Kind, path: Path, why: str, *, cure: Cure = Cure.READ_AGAIN, queued: bool = False
    ) -> Finding:
        where = str(path.relative_to(self.zone.root))
        return Finding(kind=kind, path=where, why=why, cure=cure, account=self.account, day=self.day, queued=queued)


def _is_stub(known: Known) -> bool:
    """Whether the ledger knows nothing but that the day has to be read."""
    return known.queued and known.in_file is None and not known.calls


def _differs(sight: Sight, known: Known) -> str | None:
    """What of a file that can be read is not as the ledger says; what that does not know, cannot differ."""
    if known.in_file and known.in_file != sight.calls:
        return f"it holds {sight.calls:,} calls, {known.in_file:,} were written"
    if known.digest is not None and known.digest != sight.digest:
        return "it was changed by another hand: its digest is not the one that was written"
    return None


def _named(accounts: Sequence[AccountId]) -> str:
    others = f" and {len(accounts) - 1:,} others are" if len(accounts) > 1 else " is"
    return f"account {accounts[0]}{others}"
