"""`page_size = "largest"` over whole runs: found, remembered, let go when it does not hold, and never at a call's cost."""

from collections import Counter
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from urllib.parse import parse_qs

import anyio
import pytest

from harvester.api import transport
from harvester.api.envelope import Request, Response
from harvester.api.transport import AiohttpTransport
from harvester.errors import AttemptError, ExitCode
from harvester.harvest import sizes
from harvester.harvest.hints import LIFE_S
from harvester.harvest.preview import forecast
from harvester.harvest.run import harvest
from harvester.health import Question
from harvester.landing.ledger import Ledger
from harvester.model import LARGEST
from harvester.report.summary import Report
from harvester.sandbox.faults import Fault, FaultKind
from harvester.sandbox.switches import Oversize, Switches
from harvester.sandbox.world import World
from tests.flows import NOW_S, TODAY, assign, differences, sandbox, surroundings

pytestmark = pytest.mark.anyio
WORLD = World(accounts=6, calls_per_day=600, tie_share=0.05, today=TODAY)
DAYS = 14
QUIET = World(accounts=8, calls_per_day=5, today=TODAY)
EACH_OPEN_WALK = 8
"""So many are under way at a time, and each may be refused once before it hears what another one found out."""


class Tapped:
    """The real transport, which counts the page sizes that are asked for, and of which larger pages time out.

    Args:
        inner: What sends.
        able: The most that comes in time, in calls.
    """

    def __init__(self, inner: AiohttpTransport, able: int) -> None:
        self.asked: Counter[int] = Counter()
        self._inner = inner
        self._able = able

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        size = int(parse_qs(request.safe)["page_size"][0])
        self.asked[size] += 1
        if size > self._able:
            await anyio.sleep(30)
            raise AttemptError("no answer within 30 s")
        return await self._inner.send(request)


@dataclass
class Night:
    """What came of a run.

    Attributes:
        report: Its report.
        asked: How often each page size was asked for, attempts included.
        brought_nothing: How many requests were refused.
        differ: Accounts whose files are not what the sandbox holds.
        hints: What the ledger knows afterwards.
        plan: What `plan` had said of it.
    """

    report: Report
    asked: Counter[int]
    brought_nothing: int
    differ: int
    hints: dict[Question, str | None]
    plan: str

    @property
    def requests(self) -> int:
        """That were sent."""
        return sum(self.report.requests.values())

    @property
    def found(self) -> tuple[str | None, str | None]:
        """The largest page, and the smallest that was refused, as the ledger has them."""
        return self.hints.get(Question.PAGE_SIZE), self.hints.get(Question.REFUSED_SIZE)


async def night(
    folder: Path, switches: Switches, *, world: World = WORLD, able: int = 10**6, later_s: float = 0.0
) -> Night:
    """A run that reads everything, so many seconds after the first one."""
    now = surroundings()
    around = replace(now, wall=lambda: now.wall() + later_s)
    async with sandbox(world, switches) as served:
        assignment = assign(served, folder, days=DAYS, page_size=LARGEST)
        assignment = replace(assignment, scope=replace(assignment.scope, again=True))
        plan = forecast(assignment, NOW_S)
        async with AiohttpTransport(assignment.base_url, timeout_s=30) as real:
            tapped = Tapped(real, able)
            report = await harvest(assignment, around=around, transport=tapped)
        refused = sum(number for code, number in served.stats.codes.items() if code)
    with Ledger.open(assignment.state_dir) as ledger:
        hints = {hint.question: hint.answer for hint in ledger.hints()}
    return Night(report, tapped.asked, refused, len(differences(assignment, world)), hints, plan)


def least(maximum: int, world: World = WORLD) -> int:
    """Requests of a client that knows the largest page, and every count."""
    from tests.flows import last_days

    return sum(max(1, ceil(world.count(account, last_days(DAYS)) / maximum)) for account in world.account_ids)


def is_right(one: Night) -> bool:
    """Complete, and byte by byte what the sandbox holds."""
    return one.report.exit_code is ExitCode.COMPLETE and one.report.complete and not one.differ


@pytest.mark.parametrize("oversize", Oversize)
@pytest.mark.parametrize("maximum", [60, 137, 800, 1000])
async def test_it_is_found_and_remembered(maximum: int, oversize: Oversize, tmp_path: Path) -> None:
    """Refused or clamped, the first night finds it within 5 %; the second asks for nothing else, and is not refused."""
    switches = Switches(max_page_size=maximum, oversize=oversize)
    first, second = await night(tmp_path, switches), await night(tmp_path, switches)
    assert is_right(first)
    assert is_right(second)
    found = int(second.found[0] or 0)
    assert abs(found - maximum) <= maximum / 20 or (oversize is not Oversize.REFUSE and found == 100 > maximum)
    assert second.found == first.found
    assert second.brought_nothing == 0, "nothing is searched for"
    assert len(second.asked) == 1, f"only what is known is asked for: {second.asked}"
    assert first.brought_nothing <= (8 + EACH_OPEN_WALK if oversize is Oversize.REFUSE else 0)
    assert first.requests <= least(100 if maximum > 100 else maximum)
    assert second.requests <= 1.1 * least(maximum) + len(WORLD.account_ids)
