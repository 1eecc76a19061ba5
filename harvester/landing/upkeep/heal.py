"""What can be done about findings: days are queued for the next run, marks set right, lost checkpoints forgotten."""

from dataclasses import replace

from harvester.inspection import Cure, Healed
from harvester.landing.ledger.unfinished import Checkpoint
from harvester.landing.upkeep.verify import Look
from harvester.landing.writer import Landing
from harvester.model import AccountId, Window


class Healer:
    """Heals day by day, so that nothing has to be remembered. May be killed at any time and begun again.

    Args:
        landing: The zone, its ledger and its marks, held.
    """

    def __init__(self, landing: Landing) -> None:
        self._landing = landing
        self._healed = Healed()
        self._accounts: set[AccountId] = set()

    @property
    def healed(self) -> Healed:
        """What was done so far."""
        return replace(self._healed, accounts=len(self._accounts))

    def heal_day(self, look: Look) -> None:
        """Withdraws the day's mark, then queues what has to be read again; a wrong mark is set right.

        Raises:
            StorageError: It cannot be done now; the day is as it was, or half of it is healed.
        """
        ledger, marks = self._landing.ledger, self._landing.marks
        again = look.to_read_again()
        wrong_mark = any(one.cure is Cure.SET_RIGHT for one in look.findings)
        if again or wrong_mark:
            marks.withdraw([look.day])
        self._accounts |= again.keys()
        for account, finding in again.items():
            if not finding.queued:
                ledger.queue(account, [look.day])
        if wrong_mark:
            marks.set_right(Window(look.day, look.day))
        done = self._healed
        self._healed = replace(done, days=done.days + len(again), marks=done.marks + wrong_mark)

    def forget(self, checkpoint: Checkpoint) -> None:
        """Lets a slice start anew. Raises `StorageError`."""
        self._landing.ledger.forget_checkpoint(checkpoint.account, checkpoint.window)
        self._healed = replace(self._healed, checkpoints=self._healed.checkpoints + 1)
