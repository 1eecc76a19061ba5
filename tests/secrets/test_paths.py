"""Nothing of the API's is used as a path."""

import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from harvester.api.effort import Retry
from harvester.api.envelope import Request, Response
from harvester.api.protocol import CALLS_PATH
from harvester.api.quota import Limits
from harvester.api.tokens import Credentials, Renewal
from harvester.api.tokens.oauth import EXTEND_PATH, ROTATE_PATH
from harvester.enrolment import Discovery
from harvester.harvest.assignment import Assignment
from harvester.harvest.pace import Pace
from harvester.harvest.run import harvest
from harvester.model import Account, AccountId
from harvester.plan import Scope
from harvester.roll import Selection, Table, Via
from harvester.secret import Secret
from tests.flows import APP, TODAY, TOKEN, last_days, surroundings
from tests.secrets.stage import PLAIN
from tests.virtual_time import VirtualTimeLoop

HOSTILE = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["../../../escaped", "/var/../escaped", "..", ".", "", "\0", "a\0b", "~root", "C:\\x", "x" * 70_000,
         "\ud800", "\u202e\u2066\x1b[2J\x9b31m\x07", "dt=2026-03-14/account_id=1/calls.ndjson", "\n", "%2e%2e%2f",
         "-rf", "*", "2026-03-14 10:00:00", "2026-03-13 00:00:00", "2026-02-30 10:00:00", "0000-00-00 00:00:00",
         "../26-03-14 10:0:0", "9999-12-31 23:59:59", "0001-01-01 00:00:00", "2026-03-14/../..",
         "\uff12\uff10\uff12\uff16-03-14 10:00:00"]
    ),
    st.integers(), st.none(), st.booleans(), st.floats(), st.lists(st.text(max_size=3), max_size=2),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)  # fmt: skip
STARTS = st.one_of(HOSTILE, st.sampled_from(["2026-03-14 10:00:00", "2026-03-13 23:59:59"]))
DOCUMENTED = re.compile(
    r"dt=2026-03-1[34]/account_id=\d+/calls\.ndjson\.zst|dt=2026-03-1[34]/_COMPLETE\.json"
    r"|quarantine/account_id=\d+/calls\.ndjson|runs/\d{8}T\d{6}\+08-[0-9a-f]{6}\.json"
    r"|\.harvester/(ledger\.sqlite(-wal|-shm)?|lock|zone\.lock|tokens/agency\.(json|lock))"
    r"|\.harvester/unfinished/[0-9A-Za-z+.-]+"
)


class TestPaths:
    """Nothing of the API's is used as a path."""

    @settings(max_examples=25, phases=[Phase.explicit, Phase.generate])
    @given(
        calls=st.lists(st.fixed_dictionaries({"call_id": HOSTILE, "call_start_time": STARTS}), max_size=6),
        more=st.tuples(*[HOSTILE] * 8),
        listed=st.lists(st.tuples(HOSTILE, HOSTILE, HOSTILE), max_size=3),
        code=st.sampled_from([0, 0, 0, 60008, 51001, 12201]),
    )
    def test_every_file_has_a_documented_name(
        self, calls: list[dict[str, Any]], more: tuple[Any, ...], listed: list[tuple[Any, ...]], code: int
    ) -> None:
        """Whatever ids, times, names, states, tokens and page infos are, no file is written or made anywhere else."""
        server = Hostile(calls, more, listed, code)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name, "a", "b")
            folder.mkdir(parents=True)
            with writes() as written, asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
                runner.run(self._harvest(server, folder / "landing"))
            made = [path for path in folder.parent.parent.rglob("*") if not path.is_dir()]
            names = [str(path.relative_to(folder / "landing")) for path in made]  # fails for one that is outside
            landing = str(folder / "landing")
            outside = {path for path in written if not path.startswith((f"{landing}/", landing)) and path != os.devnull}
        assert [one for one in names if not DOCUMENTED.fullmatch(one)] == []
        assert outside == set()

    async def _harvest(self, server: "Hostile", folder: Path) -> None:
        secrets = {
            "access": Secret(PLAIN.access),
            "refresh": Secret(PLAIN.refresh),
            "client_secret": Secret(PLAIN.client),
        }
        table = Table(
            name="all", token=TOKEN, app=APP, via=Via.ADVERTISER, agency_id=None, every_s=60.0, selection=Selection()
        )
        account = Account(id=AccountId(7), token=TOKEN, app=APP)
        assignment = Assignment(
            base_url="http://127.0.0.1", timeout_s=1, page_size=5, accounts=[account],
            scope=Scope(window=last_days(2), today=TODAY), in_flight=2, limits={APP: Limits()},
            tokens={TOKEN: Credentials(app=APP, client_id="1", renewal=Renewal.ROTATE, **secrets)},
            discovery=Discovery(tables=(table,), disabled=(), only=()),
            retry=Retry(attempts=2), output_dir=folder, state_dir=folder / ".harvester", compression="zstd",
            fleet=[account.id], max_requests=60, give_up_after_s=5.0, pace=Pace(every_s=None, every_bytes=1),
        )  # fmt: skip
        await harvest(assignment, around=surroundings(), transport=server)


@dataclass
class Hostile:
    """A transport whose answers are made of what somebody drew."""

    calls: list[dict[str, Any]]
    more: tuple[Any, ...]
    listed: list[tuple[Any, ...]]
    code: int
    sent: int = 0

    async def send(self, request: Request) -> Response:
        """The first request is told that its token has expired."""
        await anyio.lowlevel.checkpoint()
        self.sent += 1
        one, two, three, four, five, six, seven, eight = self.more
        data: dict[str, Any] = {"page_info": {"total_number": one, "page_size": two, "page": three}, "request_id": four}
        if request.path in {EXTEND_PATH, ROTATE_PATH}:
            data |= {"access_token": five, "refresh_token": six, "access_token_expires_in": seven}
        elif request.path == CALLS_PATH:
            data["entities"] = self.calls
            data["page_info"] |= {"total_number": len(self.calls)} if self.sent % 2 else {}
        else:
            data["list"] = [
                {"account_id": id_ if index else 9, "corporation_name": name, "system_status": state}
                for index, (id_, name, state) in enumerate(self.listed)
            ]
            data["cursor_page_info"] = {"has_more": False, "total_number": len(self.listed)}
        code = 11000 if self.sent == 1 else self.code if self.sent % 3 == 0 else 0
        body = {"code": code, "message": five, "message_cn": six, "trace_id": seven, "code_type": eight, "data": data}
        headers = {"x-tsa-trace-id": str(eight), "date": str(one), "retry-after": str(two)}
        return Response(200, headers, json.dumps(body, default=str).encode(errors="surrogatepass"))


_WRITTEN: list[set[str]] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """Notes what is opened for writing, made, moved or removed; Python has no way to take such a hook off again."""
    if not _WRITTEN or event not in {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink"}:
        return
    if event == "open" and not (
        isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    ):
        return
    paths = arguments[:2] if event in {"os.rename", "os.link", "os.symlink"} else arguments[:1]
    _WRITTEN[-1].update(str(Path(os.fsdecode(path)).absolute()) for path in paths if not isinstance(path, int))


@contextmanager
def writes() -> Iterator[set[str]]:
    """Every path that this process writes to while it lasts, wherever it is."""
    if not getattr(writes, "hooked", False):
        sys.addaudithook(_audit)
        writes.hooked = True  # type: ignore[attr-defined]  # once in a process
    found: set[str] = set()
    _WRITTEN.append(found)
    try:
        yield found
    finally:
        _WRITTEN.pop()
