"""Pages of landing zones that are not as they should be."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harvester.api.quota import Limits
from harvester.errors import DamagedError
from harvester.harvest.assignment import Assignment
from harvester.landing.ledger import Ledger
from harvester.landing.ledger.database import ledger_of
from harvester.landing.ndjson import compressed
from harvester.landing.partition import Zone
from harvester.model import ONE_DAY, AppName
from harvester.page.counting import Counts
from harvester.page.words import shown
from harvester.sandbox.switches import Switches
from harvester.triage import ADVICE
from harvester.triage import State as Health
from harvester.usage import Pause
from tests.flows import APP, NOW_S, TODAY, assign, last_days, run, sandbox, window_of
from tests.page.ground import WORLD, named, page_of, truth

pytestmark = pytest.mark.anyio
WINDOW = last_days(7)
YESTERDAY = WINDOW.end
FIRST = WORLD.account_ids[0]
PHONE = "13812345678"


@pytest.fixture
async def harvested(tmp_path: Path) -> Assignment:
    """A complete week of five accounts."""
    return await harvest(tmp_path)


async def harvest(folder: Path, switches: Switches | None = None, **changes: object) -> Assignment:
    """A run against a sandbox of its own."""
    async with sandbox(WORLD, switches) as served:
        assignment = replace(assign(served, folder), **changes)  # type: ignore[arg-type]
        await run(assignment)
    return assignment


def files(assignment: Assignment) -> list[Path]:
    """All partitions, in order."""
    return sorted(assignment.output_dir.glob("dt=*/*/calls.ndjson.zst"))


async def test_before_the_first_run(tmp_path: Path) -> None:
    """With no landing zone at all the page says that there is nothing yet, and nothing is made."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path / "nowhere")
    page = page_of(assignment)
    assert '<h1 class="bad">NOTHING YET' in page.text
    assert (page.pictures, page.tables) == ({}, {})
    assert "0 landed calls" in page.words["calls"]
    assert list(tmp_path.iterdir()) == []


async def test_without_run_files(harvested: Assignment) -> None:
    """The ledger and the files are enough."""
    shutil.rmtree(harvested.output_dir / "runs")
    page = page_of(harvested)
    assert "runs" not in page.pictures
    assert "No run has ended yet" in page.words["runs"]
    assert "COMPLETE through" in page.text


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"run_id": 7}', b"\xff\xfe", b"[" * 100_000, b'{"started": "yesterday"}'],
)
async def test_damaged_run_file(content: bytes, harvested: Assignment) -> None:
    """It is named with the reason, and the others are told."""
    folder = harvested.output_dir / "runs"
    (folder / "20990101T000000+08-000000.json").write_bytes(content)
    (folder / "notes.txt").write_text("not a run's")
    (folder / "folder.json").mkdir()
    page = page_of(harvested)
    assert len(page.tables["runs-table"].rows) == 1
    damaged = page.tables["damaged-runs-table"].column("why")
    assert damaged.keys() == {"20990101T000000+08-000000.json", "folder.json"}
    assert all(damaged.values())


async def test_run_file_of_an_older_harvester(harvested: Assignment) -> None:
    """What it did not write is 0; texts of it are cleaned."""
    path = harvested.output_dir / "runs" / "20260101T000000+08-000000.json"
    path.write_text(
        json.dumps(
            {
                "run_id": "20260101T000000+08-000000",
                "started": "2026-01-01T00:00:00",
                "complete": False,
                "exit_code": 3,
                "ended_by": f"call {PHONE}\u0000 <script>",
                "dead_tokens": {"agency": "access_token=abc <b>"},
            }
        )
    )
    page = page_of(harvested)
    oldest = page.tables["runs-table"].rows[-1]
    assert oldest[0] == "2026-01-01 00:00"
    assert oldest[1] == "not complete (exit 3): 0 slices lacking; ended by call *** <script>"
    assert PHONE not in page.text


async def test_half_pruned(harvested: Assignment) -> None:
    """Files that were moved away are counted as such, and in no figure; completeness is the ledger's."""
    gone = files(harvested)[::2]
    calls = len(truth(WORLD, WORLD.account_ids, WINDOW))
    there = sum(_size(path) for path in files(harvested)) - sum(map(_size, gone))
    for path in gone:
        shutil.rmtree(path.parent)
    page = page_of(harvested)
    assert f"{len(gone)} files of these days not there" in page.words["calls"]
    assert sum(page.tables["ends-table"].numbers("calls").values()) == there < calls
    assert sum(page.tables["largest-table"].numbers("calls").values()) == calls
    assert "COMPLETE through" in page.text


def _size(path: Path) -> int:
    account, day = path.parent.name.removeprefix("account_id="), path.parent.parent.name.removeprefix("dt=")
    return sum(one["account_id"] == int(account) for one in truth(WORLD, WORLD.account_ids, WINDOW)
               if one["call_start_time"].startswith(day))  # fmt: skip


async def test_nothing_is_left(harvested: Assignment) -> None:
    """A zone whose days were all moved away still has its completeness."""
    for folder in harvested.output_dir.glob("dt=*"):
        shutil.rmtree(folder)
    page = page_of(harvested)
    assert "ends" not in page.pictures
    assert "No landed call was found" in page.words["ends"]
    assert page.pictures.keys() >= {"days", "largest"}


@pytest.mark.parametrize("damage", ["cut", "noise", "empty", "no JSON", "no start"])
async def test_damaged_landed_file(damage: str, harvested: Assignment) -> None:
    """It is counted and named, and none of its calls is in a figure."""
    path = max(files(harvested), key=_size)
    size = _size(path)
    whole = page_of(harvested).tables["ends-table"].numbers("calls")
    content = {
        "cut": path.read_bytes()[:-20],
        "noise": b"noise",
        "empty": b"",
        "no JSON": compressed([b'{"end_status": 0\n']),
        "no start": compressed([b'{"end_status": 0, "call_start_time": "soon"}\n']),
    }[damage]
    path.write_bytes(content)
    page = page_of(harvested)
    assert "1 file cannot be read" in page.words["calls"]
    assert str(path.relative_to(harvested.output_dir)) in page.words["calls"]
    assert sum(page.tables["ends-table"].numbers("calls").values()) == sum(whole.values()) - size


async def test_foreign_calls(harvested: Assignment) -> None:
    """Codes that no document names are shown as such; what could be a phone number is none; other accounts are left."""
    zone, day = Zone(harvested.output_dir, "zstd"), "2026-03-14"
    start = f'"call_start_time":"{day} 23:59:59"'
    odd = ["0", '"0"', "42", '"42"', "-1", PHONE, f'"{PHONE}"', '"x"', "null", "[]", "{}", "0.5", "true"]
    lines = [f'{{{start},"end_status":{one},"duration":{one},"call_direction":{one}}}\n' for one in odd]
    path = zone.partition(FIRST, day)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(compressed([line.encode() for line in lines]))
    other = harvested.output_dir / f"dt={day}" / "account_id=7"
    shutil.copytree(path.parent, other)
    only = replace(window_of(harvested, 1), accounts=[one for one in harvested.accounts if one.id == FIRST])
    page = page_of(only)
    assert page.tables["ends-table"].numbers("calls") == {"0": 2, "42": 2, "-1": 1, "-": 8}
    assert page.tables["ends-table"].column("meaning")["42"] == "not documented"
    assert page.tables["ends-table"].column("状态")["42"] == "未知"
    assert page.tables["directions-table"].numbers("calls") == {"not documented, or none 其他": 13}
    assert page.tables["durations-table"].numbers("calls")["0-5 s"] == 2
    assert PHONE not in page.text


async def test_hostile_names(harvested: Assignment) -> None:
    """Names of any kind stand on the page as texts: no markup, no formula, nothing unseen, no phone number."""
    names = [
        "<script>alert(1)</script>",
        "$\\alpha$ & \"'",
        "\u202egnp\x00\x1b[31m\ud800",
        f"电话 {PHONE}",
        "客户" * 40,
    ]
    page = page_of(named(harvested, names))
    drawn = page.pictures["days"]["text"]
    assert f"{FIRST} <script>" in drawn
    assert "$\\alpha$ & \"'" in drawn
    assert "电话 ***" in drawn
    assert page.tables["largest-table"].column("name")[str(FIRST)] == "<script>alert(1)</script>"
    assert "\u202e" not in page.text
    assert "\x1b" not in page.text
    assert "alert(1)" in page.text
    page.text.encode()


async def test_who_is_sick(tmp_path: Path) -> None:
    """Who may not be read and which day fails stand there with their words, since when, and what to do."""
    sick, poisoned = WORLD.account_ids[1], WORLD.account_ids[2]
    poison = (poisoned, YESTERDAY - ONE_DAY, 51001)
    assignment = await harvest(tmp_path, Switches(account_codes={sick: 12201}, poison=(poison,)))
    page = page_of(assignment)
    assert "NOT COMPLETE" in page.text
    row = dict(zip(page.tables["sick-table"].head, page.tables["sick-table"].rows[0], strict=True))
    assert (row["account"], row["state"], row["since"], row["asked last"]) == (
        str(sick), "denied", str(TODAY), str(TODAY),
    )  # fmt: skip
    assert row["what to do"] == ADVICE[Health.DENIED]
    assert "code 12201" in row["the API says"]
    assert page.tables["poison-table"].rows[0][:4] == [str(poisoned), "", str(YESTERDAY - ONE_DAY), str(TODAY)]
    assert page.tables["days-table"].numbers("poisoned")[str(YESTERDAY - ONE_DAY)] == 1
    assert set(page.tables["days-table"].numbers("not read yet").values()) == {1}
    lacking = page.tables["lacking-table"].column("what is lacking")
    assert lacking[str(sick)] == f"{WINDOW.start} to {YESTERDAY} not read yet"
    assert lacking[str(poisoned)] == f"{YESTERDAY - ONE_DAY} poisoned"
    assert sum(page.tables["causes-table"].numbers("slices").values()) == 2
    assert page.pictures["days"]["desc"].endswith(": 27 complete, 1 poisoned, 7 not read yet.\n")


async def test_pauses(tmp_path: Path) -> None:
    """A minute quota that is reached is a pause: in the ledger while the run goes, and on the page."""
    switches = Switches(requests_per_minute=20, quota_header=False)
    assignment = await harvest(tmp_path, switches, page_size=20, limits={APP: Limits(per_minute=600)})
    page = page_of(assignment)
    pauses = page.tables["pauses-table"]
    assert {row[2] for row in pauses.rows} == {APP}
    assert {row[4] for row in pauses.rows} == {"minute quota"}
    assert "1:00 min" in {row[3] for row in pauses.rows}
    assert "0 s" not in page.tables["requests-table"].column("paused").values()
    assert ", paused for " in page.pictures["requests"]["desc"]
    assert "of a quota of 600 in a minute" in page.pictures["requests"]["desc"]


async def test_an_outage_is_a_pause_of_all(tmp_path: Path) -> None:
    """While the API is down all apps pause."""
    assignment = await harvest(tmp_path, Switches(outages=((0, 90, "unavailable"),)))
    page = page_of(assignment)
    told = [row[2:] for row in page.tables["pauses-table"].rows]
    assert {(row[0], row[2]) for row in told} == {("all apps", "the API is down")}
    assert max(row[1] for row in told) == "2:02 min"  # probes after 2, 4, 8, 16, 32, 60 s
    assert page.tables["requests-table"].rows[0][6] == told[0][1]


async def test_while_a_run_is_going(harvested: Assignment) -> None:
    """Needs no lock, and changes nothing in the landing zone."""
    before = _stamps(harvested.output_dir)
    with Ledger.open(harvested.state_dir) as ledger:
        ledger.remember_pauses([Pause(app=None, since=NOW_S, until=NOW_S + 5, why=f"call {PHONE}")], NOW_S)
        page = page_of(harvested)
    assert [row[2:] for row in page.tables["pauses-table"].rows] == [["all apps", "5 s", "call ***"]]
    assert {name: stamp for name, stamp in _stamps(harvested.output_dir).items() if ".harvester" not in name} == {
        name: stamp for name, stamp in before.items() if ".harvester" not in name
    }


def _stamps(folder: Path) -> dict[str, tuple[int, int]]:
    found = ((Path(where) / name) for where, _, names in os.walk(folder) for name in names)
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_ino) for path in found}


async def test_an_app_that_is_gone_and_a_quota_that_was_learned(harvested: Assignment) -> None:
    """Apps that the ledger remembers are told, too; a quota that was learned says so."""
    with Ledger.open(harvested.state_dir) as ledger:
        for second in (0, 40, 80):
            ledger.count(AppName("gone <b>"), 30, NOW_S + second, spacing_s=1, going=False)
        ledger.learn(APP, 987, NOW_S)
    page = page_of(harvested)
    by_app = {row[2]: row for row in page.tables["requests-table"].rows}
    assert by_app["gone <b>"][3:6] == ["90", "60", "not known"]
    assert by_app[APP][5] == "987"
    assert f"{APP}: quota 987 a minute (learned)" in page.pictures["requests"]["text"]
    assert "gone <b>: no quota known" in page.pictures["requests"]["text"]


async def test_many_accounts(harvested: Assignment) -> None:
    """Of more accounts than can be shown, those that lack most are, and all of them in bands."""
    extra = [replace(harvested.accounts[0], id=type(FIRST)(1000 + n)) for n in range(1000)]
    many = replace(harvested, accounts=[*harvested.accounts, *extra])
    page = page_of(many)
    assert len(page.text) < 400_000
    assert str(FIRST) not in page.pictures["days"]["text"]
    assert "\n1000\n" in page.pictures["days"]["text"]
    assert "\n1,001 to 1,005\n" in page.pictures["bands"]["text"]
    assert len(page.tables["lacking-table"].rows) == 50
    assert "… and 950 more" in page.text
    assert page.tables["days-table"].numbers("not read yet")[str(YESTERDAY)] == 1000


async def test_late_calls(tmp_path: Path) -> None:
    """Calls that are found when a day is read again stand by how late that was."""
    await harvest(tmp_path, Switches(late_calls=2, late_after=10**6))
    assignment = await harvest(tmp_path)
    page = page_of(assignment)
    with Ledger.peek(assignment.state_dir) or pytest.fail("no ledger") as ledger, ledger._reading() as db:
        true = dict(db.execute("SELECT age, sum(new) FROM arrivals WHERE again GROUP BY age").fetchall())
    assert page.tables["late-table"].numbers("new") == {str(age): new for age, new in true.items()}
    assert sum(true.values()) > 20
    assert f"{sum(true.values()):,} calls were found" in page.pictures["late"]["desc"]


def test_no_calls_have_no_percentiles() -> None:
    """Where nothing is known, nothing is made up."""
    assert Counts().percentiles((0.5, 1.0)) == [None, None]


def test_shown() -> None:
    """Texts of others stand on one line of bounded length."""
    assert shown("a\r\n\tb\u0085c") == "a b c"
    assert len(shown("x" * 10_000)) == 400


async def test_damaged_ledger(harvested: Assignment) -> None:
    """It is refused as everywhere."""
    ledger_of(harvested.state_dir).write_bytes(b"")
    with pytest.raises(DamagedError, match="--rebuild"):
        page_of(harvested)
