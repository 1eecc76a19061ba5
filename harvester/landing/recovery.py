"""What the next run does first about a run that died: finish what it was publishing, and go on where it was."""

import logging
from collections.abc import Collection, Iterable
from datetime import date, timedelta
from typing import Final

from harvester.disk import storage
from harvester.errors import DamagedError
from harvester.landing import steps
from harvester.landing.ledger.unfinished import Checkpoint
from harvester.landing.part import Part
from harvester.landing.publish import as_on_disk, carry_out
from harvester.landing.steps import Step
from harvester.landing.writer import Landing
from harvester.model import AccountId, Window

log = logging.getLogger(__name__)

_DAYS_AT_ONCE: Final = 30
"""Of all accounts, whose entries are held in memory."""


def finish_publications(landing: Landing) -> None:
    """Finishes what a dead run had begun to publish, and commits it. May itself be killed at any time.

    Raises:
        StorageError: It cannot be done now.
    """
    ledger = landing.ledger
    intended = ledger.intended()
    for account, window, publication in intended:
        if publication is None:
            log.warning(
                "account %s %s: what was being published cannot be read; its days are read again", account, window
            )
            landing.marks.withdraw(window)
            ledger.queue(account, window)
            continue
        for change in publication.days:
            carry_out(landing.zone, change, again=True)
        with storage(landing.zone.root, "read"):
            finished = as_on_disk(landing.zone, publication)
        ledger.commit(finished, landing.now())
        log.info("account %s %s: the last run died while it was publishing; that is finished now", account, window)
        steps.passed(Step.PUBLICATION_RECOVERED)
    if intended:
        ledger.forget_publications()


def queue_gone_files(landing: Landing, window: Window, accounts: Collection[AccountId]) -> int:
    """Lets this run read again what the ledger says is in files that are not there; how many days of accounts.

    So nothing is taken for complete, marked, or left out as read before, whose file somebody took away.

    Args:
        landing: Where.
        window: The days to look at.
        accounts: Whose.

    Raises:
        StorageError: The landing zone or the ledger cannot be used.
    """
    total = 0
    for month in window.split(_DAYS_AT_ONCE):
        for account, days in landing.ledger.known(month, accounts).items():
            gone = [day for day, one in days.items() if one.in_file and not landing.zone.has(account, day)]
            if gone:
                landing.marks.withdraw(gone)
                landing.ledger.queue(account, gone)
                total += len(gone)
    if total:
        log.warning("%d files are gone that the ledger knows of; their days are read again", total)
    return total


def adopt(landing: Landing, checkpoint: Checkpoint) -> Part | None:
    """The part of a checkpoint; `None`, and the checkpoint is forgotten, when it is not as it was.

    Raises:
        StorageError: It cannot be read or cut.
    """
    path = landing.zone.scratch / checkpoint.part
    try:
        with storage(path, "go on with"):
            if path.is_file():
                return Part.adopt(path, checkpoint.size_bytes, checkpoint.read_on)
        why = f"{path} is gone"
    except DamagedError as error:
        why = str(error)
    start_anew(landing, checkpoint, why)
    return None


def start_anew(landing: Landing, checkpoint: Checkpoint, why: str) -> None:
    """Forgets a checkpoint: its slice is read from the beginning. Raises `StorageError`."""
    log.warning("account %s %s is read from its beginning: %s", checkpoint.account, checkpoint.window, why)
    landing.ledger.forget_checkpoint(checkpoint.account, checkpoint.window)


def forget_outdated(landing: Landing, resume_within: timedelta | None, today: date) -> list[Checkpoint]:
    """Forgets checkpoints of walks that began too long ago.

    Args:
        landing: Whose.
        resume_within: How long ago is not too long; `None` when nothing is too long.
        today: The Beijing day.

    Returns:
        Those that are left.

    Raises:
        StorageError: The ledger cannot be used.
    """
    left = []
    for checkpoint in landing.ledger.checkpoints():
        if resume_within is not None and today - checkpoint.read_on > resume_within:
            start_anew(landing, checkpoint, f"it was begun on {checkpoint.read_on}, too long ago")
        else:
            left.append(checkpoint)
    return left


def clear_remains(landing: Landing) -> None:
    """Removes what a dead run left and nobody needs. Raises `StorageError`."""
    landing.zone.clear(but=_parts(landing.ledger.checkpoints()))
    steps.passed(Step.REMAINS_CLEARED)


def _parts(checkpoints: Iterable[Checkpoint]) -> list[str]:
    return [checkpoint.part for checkpoint in checkpoints]
