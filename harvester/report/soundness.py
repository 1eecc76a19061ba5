"""What `verify` found: its fold, its words and its JSON. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from harvester.inspection import Cure, Finding, Healed, Kind, Rebuilt

SHOWN: Final = 20
"""Findings of a kind that are named in words."""

_HEADS: Final = {
    Kind.MISSING: "the ledger says that calls landed, their file is not there",
    Kind.DAMAGED: "not as harvester wrote them",
    Kind.FOREIGN: "not written by harvester, or nothing is known of them",
    Kind.MARK: "marks that are not what the ledger says",
    Kind.PART: "of slices that a run began and cannot go on with",
}


@dataclass(slots=True, kw_only=True)
class Soundness:
    """Sums over all that was looked at; grows with `add`.

    Attributes:
        keep: Findings of a kind that are remembered; `None` for all.
        ledger: Whether there is one; without one, and without any day, no run has been made.
        partitions: Files that were read through.
        calls: In them.
        kinds: Findings, by kind.
        cures: Findings, by what mends them.
        queued: Findings whose days the next run reads already.
        findings: Those remembered, by kind.
        healed: What was done about them; `None` when nothing was asked for.
        rebuilt: How a new ledger was made; `None` when none was.
    """

    keep: int | None = None
    ledger: bool = True
    partitions: int = 0
    calls: int = 0
    kinds: Counter[Kind] = field(default_factory=Counter)
    cures: Counter[Cure] = field(default_factory=Counter)
    queued: int = 0
    findings: dict[Kind, list[Finding]] = field(default_factory=dict)
    healed: Healed | None = None
    rebuilt: Rebuilt | None = None

    @property
    def sound(self) -> bool:
        """Whether nothing was found."""
        return not self.kinds

    def add(self, findings: Iterable[Finding], *, partitions: int = 0, calls: int = 0) -> None:
        """Adds what was found at one place."""
        self.partitions += partitions
        self.calls += calls
        for one in findings:
            self.kinds[one.kind] += 1
            self.cures[one.cure] += 1
            self.queued += one.cure is Cure.READ_AGAIN and one.queued
            kept = self.findings.setdefault(one.kind, [])
            if self.keep is None or len(kept) < self.keep:
                kept.append(one)


def in_words(found: Soundness, zone: str, config: str) -> str:
    """The findings for a person.

    Args:
        found: The sums.
        zone: Where the landing zone is.
        config: The config, as it has to be written after a command.
    """
    if not found.ledger:
        return f"NOTHING YET: there is no ledger, and no day in {zone}, so no run has been made with this config"
    lines = _of_rebuilding(found.rebuilt, config) if found.rebuilt else []
    looked_at = f"{_many(found.partitions, 'partition')}, {_many(found.calls, 'call')}"
    if found.sound:
        lines.append(f"SOUND  {looked_at}: every file is there, can be read, and is as it was written")
        return "\n".join([*lines, f"  files {zone}"])
    wrong = ", ".join(_of_kind(found.kinds[kind], kind) for kind in Kind if found.kinds[kind])
    lines += [f"NOT SOUND  {wrong}; {looked_at} read", f"  files {zone}"]
    for kind, findings in sorted(found.findings.items(), key=lambda item: list(Kind).index(item[0])):
        lines.append(f"{kind} ({found.kinds[kind]:,}): {_HEADS[kind]}")
        lines += [f"  {one.path}: {one.why}{_remark(one)}" for one in findings[:SHOWN]]
        if found.kinds[kind] > SHOWN:
            lines.append(f"  … and {found.kinds[kind] - SHOWN:,} more: `--json` has them all")
    if found.healed:
        lines += ["Healed:", *(f"  {line}" for line in _of_healing(found.healed))]
    todo = [f"  {line}" for line in _what_to_do(found, config)]
    return "\n".join([*lines, *(["What to do:", *todo] if todo else [])])


def _of_kind(number: int, kind: Kind) -> str:
    return _many(number, kind) if kind in {Kind.MARK, Kind.PART} else f"{number:,} {kind}"


def _remark(one: Finding) -> str:
    if one.cure is Cure.OTHER_CONFIG:
        return " (not of this config)"
    return " (the next run reads it)" if one.queued else ""


def _what_to_do(found: Soundness, config: str) -> list[str]:
    cures, run = found.cures, f"`harvester run {config}`"
    mendable = cures[Cure.READ_AGAIN] - found.queued + cures[Cure.SET_RIGHT] + cures[Cure.FORGET]
    lines = []
    if found.healed and found.healed.days:
        lines.append(f"{run} reads what is queued, whatever its window; then verify again")
    if not found.healed and mendable:
        lines.append(
            f"`harvester verify {config} --heal` queues the days that have to be read again, and sets marks right"
        )
    if not found.healed and found.queued:
        lines.append(f"{_many(found.queued, 'day')} of accounts queued already: {run} reads them, whatever its window")
    if cures[Cure.OTHER_CONFIG]:
        lines.append(
            f"{_many(cures[Cure.OTHER_CONFIG], 'day')} of accounts that this config does not have, or not enabled: "
            "nothing is queued for them"
        )
    if cures[Cure.BY_HAND]:
        lines.append(
            f"{cures[Cure.BY_HAND]:,} to be looked at by hand: harvester touches no file that it did not write; "
            "move away what does not belong there, mend the disk where it gives no file"
        )
    return lines


def _of_healing(healed: Healed) -> list[str]:
    lines = [f"{_many(healed.days, 'day')} of {_many(healed.accounts, 'account')} queued"]
    if healed.marks:
        lines.append(f"{_many(healed.marks, 'mark')} made or withdrawn")
    if healed.checkpoints:
        lines.append(f"{_many(healed.checkpoints, 'checkpoint')} forgotten: these slices are read from their beginning")
    return lines


def _of_rebuilding(rebuilt: Rebuilt, config: str) -> list[str]:
    of = f"{_many(rebuilt.partitions, 'partition')}, {_many(rebuilt.calls, 'call')}"
    lines = [
        f"REBUILT  a new ledger from {of}, because {rebuilt.why}",
        f"  {_many(rebuilt.complete, 'day')} of accounts complete, as the marks say",
    ]
    if rebuilt.unproven:
        lines.append(
            f"  {_many(rebuilt.unproven, 'day')} of accounts without a mark, so not complete: "
            f"`harvester run {config} --start {rebuilt.unproven_since}` reads them again"
        )
    if rebuilt.queued:
        many = _many(rebuilt.queued, "day")
        lines.append(f"  {many} of accounts cannot be relied on: `harvester run {config}` reads them again")
    if rebuilt.aside:
        lines.append(f"  the old ledger, with how each slice ended and how late calls came, is kept as {rebuilt.aside}")
    return lines


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def to_json(found: Soundness) -> dict[str, Any]:
    """The findings for a program."""
    return {
        "sound": found.sound,
        "partitions": found.partitions,
        "calls": found.calls,
        "counts": {kind.value: found.kinds[kind] for kind in Kind},
        "findings": [_finding(one) for kind in Kind for one in found.findings.get(kind, ())],
        "healed": asdict(found.healed) if found.healed else None,
        "rebuilt": asdict(found.rebuilt) if found.rebuilt else None,
    }


def _finding(one: Finding) -> dict[str, Any]:
    fields = asdict(one)
    return {"kind": fields.pop("kind"), "account_id": fields.pop("account"), **fields}
