"""What the hunts for secrets stand on: a run against an echo, and what must not be seen of it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harvester.api.effort import Retry
from harvester.api.envelope import Request, Response
from harvester.api.tokens import Credentials, Renewal
from harvester.api.transport import AiohttpTransport
from harvester.errors import HarvesterError
from harvester.harvest.assignment import Assignment
from harvester.harvest.inspect import Orders, status, verify
from harvester.harvest.preview import forecast
from harvester.harvest.run import harvest
from harvester.report import soundness, summary
from harvester.report import status as standing
from harvester.report.summary import Report, as_json
from harvester.sandbox.grants import CLIENT_ID, Grant
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World
from harvester.secret import Secret
from tests.flows import APP, NOW_S, TODAY, TOKEN, assign, clock, last_days, surroundings
from tests.secrets_hunt import (
    Echo,
    Hunt,
    echoing,
    listening,
    phones_of,
)  # fmt: skip

WORLD = World(accounts=2, calls_per_day=6, today=TODAY)
DAYS = 2
HOW = pytest.mark.parametrize("how", list(Renewal))
PHONE = "13800138000"
DESK = "01085170811"


@dataclass(frozen=True)
class Keys:
    """The secrets of a run."""

    access: str
    refresh: str
    client: str


PLAIN = Keys("5d8a41c09e7b3f62a1d4c8e05b97f213", "e31f7ab2096c4d58b0a2f9d1c7438e65", "Qm7TzLw2RkXv9BnYc4HdJs8PfGa3EuKo")
"""As they come."""
ODD = Keys(
    "aB3/x+y=z&w%41,q'<r>\"s{t}~\\u00e9@v", "/+Zk=&?#9$d!(m)*;:|`^[p]-_.,Y0w7", "%2B%26<&amp;>\"'\\n/T5r+Q=9xZ~{}|`u"
)
"""With all that a URL, JSON, HTML and Python write in another way."""
BOTH = (PLAIN, ODD)


@dataclass
class Stage:
    """A run against an echo, and what must not be seen of it."""

    echo: Echo
    hunt: Hunt
    assignment: Assignment


@asynccontextmanager
async def stage(
    folder: Path,
    keys: Keys = PLAIN,
    how: Renewal = Renewal.EXTEND,
    *,
    expired: bool = False,
    world: World = WORLD,
    **switches: object,
) -> AsyncIterator[Stage]:
    """An echo, and an assignment for it; `expired`: the access token has come to its end, and is renewed first."""
    grant = Grant(
        name="grant", access=keys.access, refresh=keys.refresh, client_secret=keys.client,
        expires_at=NOW_S - 1 if expired else None,
    )  # fmt: skip
    phones = phones_of(world, last_days(DAYS))
    hunt = Hunt({"access": keys.access, "refresh": keys.refresh, "client": keys.client}, phones)
    options = Switches(**{"grants": (grant,), "fault_bytes": 9 * 2**20, "drip_s": 0.01, **switches})  # type: ignore[arg-type]  # a test's shorthand
    async with echoing(world, options, clock()) as echo:
        echo.arm(hunt)

        def renewed(name: str) -> None:
            pair = echo.authority.pair(name)
            hunt.also(f"access, renewed {len(hunt.secrets)}", pair.access)
            hunt.also(f"refresh, renewed {len(hunt.secrets)}", pair.refresh)
            echo.arm(hunt)

        echo.on_renewal = renewed
        credentials = Credentials(
            app=APP,
            access=Secret(keys.access),
            refresh=Secret(keys.refresh),
            client_id=CLIENT_ID,
            client_secret=Secret(keys.client),
            renewal=how,
        )
        assignment = replace(
            assign(echo, folder / "landing", days=DAYS, page_size=3),
            tokens={TOKEN: credentials},
            retry=Retry(attempts=2),
            timeout_s=5.0,
            give_up_after_s=60.0,
        )
        yield Stage(echo, hunt, assignment)


class InThisProcess:
    """The real transport, and no process of its own for a rotation: what that says is heard here."""

    def __init__(self, real: AiohttpTransport) -> None:
        self._real = real

    async def send(self, request: Request) -> Response:
        """See `Transport.send`."""
        return await self._real.send(request)


async def harvest_of(assignment: Assignment) -> Report:
    """A run with the test's time and chance."""
    async with AiohttpTransport(assignment.base_url, timeout_s=assignment.timeout_s) as real:
        return await harvest(assignment, around=surroundings(), transport=InThisProcess(real))


async def harvested(on: Stage, style: str = "text") -> Report | None:
    """A run at debug level, everything that it says and writes searched; `None` when an error ended it."""
    assignment, hunt = on.assignment, on.hunt
    report, after = None, {"the assignment": repr(assignment)}
    asyncio.get_running_loop().set_debug(True)
    with listening(style) as heard:
        try:
            report = await harvest_of(assignment)
            after |= inspected(assignment, report)
        except HarvesterError as error:
            after["what ended it"] = str(error)
    heard.give(hunt)
    for name, text in after.items():
        hunt.in_text(name, text)
    for text in (heard.printed.getvalue(), *after.values()):
        hunt.found |= {f"a character that steers a terminal: {one!a}" for one in text if not _is_tame(one)}
    hunt.in_folder(assignment.output_dir.parent, tokens=assignment.state_dir / "tokens")
    return report


def _is_tame(character: str) -> bool:
    return character == "\n" or character.isprintable()


def inspected(assignment: Assignment, report: Report) -> dict[str, str]:
    """All that the other commands say afterwards, and how things print themselves."""
    state, found = status(assignment, every_gap=True), verify(assignment, Orders(heal=True), lambda: NOW_S)
    return {
        "the summary": summary.in_words(report),
        "--summary": as_json(report).decode(),
        "the report": repr(report),
        "status": standing.in_words(state, every=True) + repr(standing.to_json(state)),
        "verify": soundness.in_words(found, "zone", "config") + repr(soundness.to_json(found)),
        "plan": forecast(assignment),
    }
