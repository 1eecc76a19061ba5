"""What a run that ended early leaves to the next one: the fold, and its words. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from harvester.foresight import Expected
from harvester.model import AppName, Slice

_KEPT: Final = 1000
_NAMED: Final = 3
_APPS_NAMED: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftSlice:
    """A slice that was not begun, or not finished."""

    account_id: int
    account_name: str | None
    window: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is left.

    Attributes:
        begun: Slices that were open and not finished.
        slices: All that are left, by app.
        requests: Expected to finish them.
        at_least: Whether nothing at all is known of some days, so that it may be more.
        again: Of these, slices of which every day was complete before: they were only to be read again.
        named: The first thousand, in the order in which the next run will have them, if nothing else comes up.
    """

    begun: int = 0
    slices: Mapping[AppName, int] = field(default_factory=dict)
    requests: float = 0.0
    at_least: bool = False
    again: int = 0
    named: tuple[LeftSlice, ...] = ()

    @property
    def total(self) -> int:
        """All slices that are left."""
        return sum(self.slices.values())


def left_of(
    slices: Iterable[tuple[Slice, Expected | None]],
    begun: int,
    was_complete: Callable[[Slice], bool] = lambda _: False,
) -> Left:
    """What is left, in one pass.

    Args:
        slices: What was not finished, then what was not begun; each with what it is expected to take, or `None` where
            nobody asked: then it is taken for the mean of the others.
        begun: How many of them were not finished.
        was_complete: Whether every day of a slice is complete already; asked of those whose expectation was.
    """
    by_app: Counter[AppName] = Counter()
    named: list[LeftSlice] = []
    requests, at_least, asked, again = 0.0, False, 0, 0
    for one, expected in slices:
        account = one.account
        by_app[account.app] += 1
        if expected:
            asked += 1
            again += was_complete(one)
            requests += expected.requests
            at_least = at_least or expected.blind_days > 0
        if len(named) < _KEPT:
            named.append(LeftSlice(account_id=account.id, account_name=account.name, window=str(one.window)))
    if asked:
        requests = requests * by_app.total() / asked  # in this order, or 300 slices of one request would take 299.99…
    return Left(begun=begun, slices=dict(by_app), requests=requests, at_least=at_least, again=again, named=tuple(named))


def to_json(left: Left) -> dict[str, Any]:
    """As the report's file holds it, one key beside the other."""
    return {
        "left": [{"account_id": o.account_id, "account_name": o.account_name, "window": o.window} for o in left.named],
        "left_slices": left.total,
        "left_by_app": dict(left.slices),
        "left_requests": round(left.requests),
        "left_only_to_be_read_again": left.again,
    }


def in_words(left: Left) -> list[str]:
    """Lines of the summary; none when nothing is left."""
    if not left.total:
        return []
    begun = f" ({left.begun:,} {'was' if left.begun == 1 else 'were'} open)" if left.begun else ""
    about, requests = "at least" if left.at_least else "about", round(left.requests)
    goes_on = f"{about} {requests:,} request{'s' * (requests != 1)}; the next run goes on with "
    goes_on += "it" if left.total == 1 else "them"
    named = ", ".join(f"{one.account_id} {one.window}" for one in left.named[:_NAMED])
    more = f" and {left.total - _NAMED:,} more" if left.total > _NAMED else ""
    slices = "1 slice" if left.total == 1 else f"{left.total:,} slices"
    lines = [f"  left: {slices}{begun}, {goes_on}", f"      {named}{more}"]
    if len(left.slices) > 1:
        apps = sorted(left.slices.items(), key=lambda one: (-one[1], one[0]))
        named = ", ".join(f"app {app}: {slices:,}" for app, slices in apps[:_APPS_NAMED])
        more = f" and {len(apps) - _APPS_NAMED:,} more apps" if len(apps) > _APPS_NAMED else ""
        lines.append(f"      {named}{more}")
    return lines
