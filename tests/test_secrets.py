"""No secret, no token and no phone number gets anywhere, whatever happens: all that is said and written is searched."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from harvester.api.codes import TABLE, Fault, Verdict, judge
from harvester.api.effort import Retry
from harvester.api.quota import Limits
from harvester.api.tokens import Credentials, Renewal
from harvester.errors import HarvesterError
from harvester.harvest.assignment import Assignment
from harvester.harvest.inspect import Orders, status, verify
from harvester.harvest.preview import forecast
from harvester.harvest.run import as_json
from harvester.report import soundness, summary
from harvester.report import status as standing
from harvester.report.summary import Report
from harvester.sandbox.endpoints import Endpoint
from harvester.sandbox.faults import FaultKind
from harvester.sandbox.grants import CLIENT_ID, Grant
from harvester.sandbox.switches import Switches
from harvester.sandbox.world import World
from harvester.secret import Secret
from tests.flows import APP, NOW_S, TODAY, TOKEN, assign, clock, last_days, run
from tests.secrets_hunt import TRICKS, Echo, Hunt, echoing, listening, phones_of, refusing

pytestmark = pytest.mark.anyio
WORLD = World(accounts=2, calls_per_day=6, today=TODAY)
DAYS = 2
PHONES = phones_of(WORLD, last_days(DAYS))
HOW = pytest.mark.parametrize("how", list(Renewal))


@dataclass(frozen=True)
class Keys:
    """The secrets of a run."""

    access: str
    refresh: str
    client: str


PLAIN = Keys("5d8a41c09e7b3f62a1d4c8e05b97f213", "e31f7ab2096c4d58b0a2f9d1c7438e65", "Qm7TzLw2RkXv9BnYc4HdJs8PfGa3EuKo")
"""As they come."""
ODD = Keys("aB3/x+y=z&w%41,q'<r>\"s{t}~\\u00e9@v", "/+Zk=&?#9$d!(m)*;:|`^[p]-_.,Y0w7", "%2B%26<&amp;>\"'\\n/T5r+Q=9xZ~{}|`u")
"""With all that a URL, JSON, HTML and Python write in another way."""
KEYS = pytest.mark.parametrize("keys", [PLAIN, ODD], ids=["plain", "odd"])


@dataclass
class Stage:
    """A run against an echo, and what must not be seen of it."""

    echo: Echo
    hunt: Hunt
    assignment: Assignment


@asynccontextmanager
async def stage(
    folder: Path, keys: Keys = PLAIN, how: Renewal = Renewal.EXTEND, *, expired: bool = False, **switches: object
) -> AsyncIterator[Stage]:
    """An echo, and an assignment for it; `expired`: the access token has come to its end, and is renewed first."""
    grant = Grant(
        name="grant", access=keys.access, refresh=keys.refresh, client_secret=keys.client,
        expires_at=NOW_S - 1 if expired else None,
    )  # fmt: skip
    hunt = Hunt({"access": keys.access, "refresh": keys.refresh, "client": keys.client}, PHONES)
    options = Switches(**{"grants": (grant,), "fault_bytes": 9 * 2**20, "drip_s": 0.01, **switches})  # type: ignore[arg-type]  # a test's shorthand
    async with echoing(WORLD, options, clock()) as echo:
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
            give_up_after_s=120.0,
        )
        yield Stage(echo, hunt, assignment)


async def harvested(on: Stage, style: str = "text") -> Report | None:
    """A run at debug level, everything that it says and writes searched; `None` when an error ended it."""
    assignment, hunt = on.assignment, on.hunt
    report = None
    asyncio.get_running_loop().set_debug(True)
    with listening(style) as heard:
        try:
            report = await run(assignment)
        except HarvesterError as error:
            hunt.in_text("what ended it", str(error))
        after = inspected(assignment, report)
    heard.give(hunt)
    for name, text in after.items():
        hunt.in_text(name, text)
    hunt.in_folder(assignment.output_dir.parent, tokens=assignment.state_dir / "tokens")
    return report


def inspected(assignment: Assignment, report: Report | None) -> dict[str, str]:
    """All that the other commands say afterwards, and how things print themselves."""
    said = {"the assignment": repr(assignment)}
    if report:
        said |= {
            "the summary": summary.in_words(report),
            "--summary": as_json(report).decode(),
            "the report": repr(report),
        }
    if (assignment.state_dir / "ledger.sqlite").exists():
        state, found = status(assignment, every_gap=True), verify(assignment, Orders(heal=True), lambda: NOW_S)
        said |= {
            "status": standing.in_words(state, every=True) + repr(standing.to_json(state)),
            "verify": soundness.in_words(found, "zone", "config") + repr(soundness.to_json(found)),
            "plan": forecast(assignment),
        }
    return said


@KEYS
@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.CODE])
async def test_faults_on_calls(kind: FaultKind, keys: Keys, tmp_path: Path) -> None:
    """Whatever the wire does to an answer with calls, for a while or for good."""
    for number, many in enumerate((1, 50)):
        async with stage(tmp_path / str(number), keys) as on:
            on.echo.script(*[str(kind)] * many)
            assert await harvested(on, "json" if number else "text")
            assert on.hunt.nothing()


@HOW
@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.CODE])
async def test_faults_on_renewals(kind: FaultKind, how: Renewal, tmp_path: Path) -> None:
    """Whatever the wire does to an answer with new tokens, the rotation's only one among them."""
    for number, many in enumerate((1, 30)):
        async with stage(tmp_path / str(number), PLAIN, how, expired=True) as on:
            on.echo.script_oauth(*[str(kind)] * many)
            assert await harvested(on)
            assert on.hunt.nothing()


@KEYS
@pytest.mark.parametrize("trick", TRICKS)
async def test_a_server_that_says_everything_back(trick: str, keys: Keys, tmp_path: Path) -> None:
    """In messages, trace ids, headers, HTML, the status line, where it redirects to: once, and to the end."""
    for number in range(2):
        async with stage(tmp_path / str(number), keys) as on:
            on.echo.on = frozenset({Endpoint.CALLS})
            on.echo.tricks.extend([TRICKS[trick]] * 2)
            on.echo.always = TRICKS[trick] if number else None
            assert await harvested(on)
            assert on.echo.met >= 2
            assert on.hunt.nothing()


@HOW
@KEYS
@pytest.mark.parametrize("trick", TRICKS)
async def test_a_renewal_that_says_everything_back(trick: str, keys: Keys, how: Renewal, tmp_path: Path) -> None:
    """The secret of the app and the refresh token are in what it was asked."""
    for number in range(2):
        async with stage(tmp_path / str(number), keys, how, expired=True) as on:
            on.echo.on = frozenset({Endpoint.EXTEND, Endpoint.ROTATE})
            on.echo.tricks.append(TRICKS[trick])
            on.echo.always = TRICKS[trick] if number else None
            assert await harvested(on)
            assert on.echo.met
            assert on.hunt.nothing()


def by_verdict() -> dict[Verdict, list[int]]:
    """The codes of the table, by what is done about them."""
    found: dict[Verdict, list[int]] = {}
    for code in TABLE:
        found.setdefault(judge(Fault(text="", code=code)), []).append(code)
    return found


@pytest.mark.parametrize("verdict", by_verdict())
async def test_every_return_code(verdict: Verdict, tmp_path: Path) -> None:
    """Each code of the table, with everything said back, on each request for calls."""
    for code in by_verdict()[verdict]:
        async with stage(tmp_path / str(code), ODD if code % 2 else PLAIN) as on:
            on.echo.on = frozenset({Endpoint.CALLS})
            on.echo.always = refusing(code)
            assert await harvested(on)
            assert on.hunt.nothing(), code
