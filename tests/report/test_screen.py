"""The summary of the worst nights on one screen, and reports of many kinds against the published schema."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.errors import ExitCode
from harvester.foresight import Expected
from harvester.model import AppName, Status, TokenName
from harvester.report.blocks import Block, fitted, in_blocks, plural, width
from harvester.report.left import left_of
from harvester.report.quotas import QuotaUse
from harvester.report.schema import schema
from harvester.report.screen import COLUMNS, ROWS, one_screen
from harvester.report.summary import Report, to_json
from harvester.triage import State
from tests.report.test_sick import condition, poison, sick
from tests.report.test_summary import FULL, ended, outcome, slice_of

FOLDER = "/srv/calls/landing"
EXPIRED = (
    'code 11002, the access token is invalid, "您的 access_token 无效" (trace 0f3b); put a working one into the config'
)


def worst() -> Report:
    """Dead accounts, a dead token, an outage, 11017, a full disk, late calls, all in one night."""
    failed = [
        outcome(n, Status.FAILED, f"6 attempts failed, the last one: HTTP 50{n % 3} (trace t{n})") for n in range(40)
    ]
    short = [
        outcome(n, Status.SHORT, f"2024-03-0{n % 4 + 1}: {n} of the 90 calls could be read") for n in range(100, 130)
    ]
    dead = [outcome(n, Status.FAILED, f"token agency-b is dead: {EXPIRED}") for n in range(200, 250)]
    open_ones = [outcome(n, Status.UNFINISHED, "dropped while it was open") for n in range(300, 308)]
    states = [State.DENIED, State.INACTIVE, State.UNKNOWN, State.FAILING]
    conditions = [condition(n, states[n % 4], code=12201 + n % 4) for n in range(400, 480)]
    skipped = [outcome(one.account_id, Status.SKIPPED, "denied") for one in conditions]
    report = ended(*failed, *short, *dead, *open_ones, *skipped, *(outcome(n, landed=700) for n in range(500, 700)))
    left = left_of(((slice_of(n), Expected(requests=3.2)) for n in range(300, 600)), begun=8)
    return replace(
        report,
        ended_by=f"{FOLDER}/dt=2024-03-04 cannot be written: No space left on device. Free space and run again",
        exit_code=ExitCode.STORAGE,
        requests={AppName("main"): 12_345, AppName("second"): 800},
        quotas=(QuotaUse(app="main", requests=12_345, per_minute=1_000, share=0.97),),
        failed_attempts=1_204,
        predicted=11_000.0,
        predicted_s=660.0,
        walked=12_000,
        dead_tokens={TokenName("agency-b"): f"token agency-b: {EXPIRED}"},
        notes=(
            "app main: the API refused requests for the minute quota 3 times (code 11017)",
            "app main: others used up to 40 % of its minute quota, or it is set too high",
            "the API was down for 1,200 s, since 02:01:00: HTTP 503",
        ),
        not_begun=292,
        left=left,
        late=17,
        quarantined=3,
        missing=9,
        sick=sick(*conditions, poison=[poison(n, 1) for n in range(600, 620)], recovered=[condition(700)]),
    )


def rows(text: str, columns: int) -> int:
    """Rows that a text takes on a terminal."""
    return sum(max(1, -(-width(line) // columns)) for line in text.splitlines())


@pytest.mark.parametrize("columns", [80, 60, 132])
def test_the_worst_night_fits(columns: int) -> None:
    """24 rows of 80 columns, the prompt included: what needs a person is on it, the rest is counted."""
    text = one_screen(worst(), FOLDER, columns=columns)
    assert rows(text, columns) <= ROWS
    assert max(map(width, text.splitlines())) <= 80 or columns == 60
    lines = text.splitlines()
    assert lines[0].startswith("NOT COMPLETE  2024-02-27..2024-03-04: ")
    flat = " ".join(text.split())
    for needed in ("No space left on device. Free space and run again", "token agency-b (50 slices): code 11002"):
        assert needed in flat
    assert re.search(r"^  … and \d+ more findings, in the report:$", text, re.MULTILINE)
    assert f"files {FOLDER} report {FOLDER}/runs/{worst().run_id}.json" in flat
    assert one_screen(worst(), FOLDER, saved=False).endswith("  report could not be saved")


def test_what_needs_a_person_comes_first() -> None:
    """Where not all fits: what ended it, tokens, causes, what is left; only then notes and who is well again."""
    flat = " ".join(one_screen(worst(), FOLDER).split())
    assert "put a working one into the config" in flat
    assert "trace" not in flat
    for cause in (
        "denied (20",
        "inactive (20",
        "unknown (20",
        "failing (20",
        "poisoned (20 days",
        "failed (14)",
        "short (30)",
    ):
        assert cause in flat
    assert "well again" not in flat
    assert "note:" not in flat


def test_a_good_night_is_short() -> None:
    """Complete or not, how much, and where; nothing is cut."""
    report = replace(ended(outcome(1, landed=5, new=4)), requests={AppName("main"): 3})
    assert one_screen(report, FOLDER).splitlines() == [
        "COMPLETE  2024-02-27..2024-03-04: every call that the API counts is in the files",
        "  300 accounts · 7 days · 1 of 1 slice complete",
        "  5 calls (4 new, 0 changed)",
        "  3 requests (0 failed)",
        "  took 1:02:03 · run 20240305T013000-abc123",
        "  files  /srv/calls/landing",
        "  report /srv/calls/landing/runs/20240305T013000-abc123.json",
    ]


def test_both_languages_where_there_is_room() -> None:
    """The API's words are only shortened when the screen is too small for them."""
    report = replace(ended(outcome(1, Status.SKIPPED, "denied")), sick=sick(condition(1)))
    assert '"no permission", "无权限", trace trace-1' in " ".join(one_screen(report, FOLDER).split())


def test_nothing_is_missing_but_a_second_look() -> None:
    """A budget that left only days which were complete already: NOT COMPLETE, and precisely what that means."""
    left = left_of(((slice_of(n), Expected(requests=1.0)) for n in range(3)), begun=0, was_complete=lambda _: True)
    report = replace(ended(outcome(9)), not_begun=3, left=left, exit_code=ExitCode.BUDGET)
    first = one_screen(report, FOLDER).splitlines()
    assert " ".join(first[:2]).startswith(
        "NOT COMPLETE  2024-02-27..2024-03-04: no day is missing; 3 of 4 slices were not"
    )
    owed = left_of(
        ((slice_of(n), Expected(requests=1.0)) for n in range(3)), begun=0, was_complete=lambda one: one.account.id > 0
    )
    assert "3 of 4 slices are missing or short" in one_screen(replace(report, left=owed), FOLDER)


texts = st.text(st.sampled_from("ab 中.,(12"), max_size=200)


@settings(max_examples=60)
@given(
    st.lists(
        st.builds(Block, st.integers(1, 7), st.lists(texts.map(lambda t: f"  {t}"), min_size=1, max_size=4)),
        max_size=30,
    ),
    st.integers(40, 120),
)
def test_any_blocks_fit(blocks: list[Block], columns: int) -> None:
    """However many there are and however long, no more rows than asked for, and those left out are counted."""
    shown = fitted([Block(0, ["first"]), *blocks], ["  last"], columns=columns, rows=20)
    words = max((width(one) for block in blocks for line in block.lines for one in line.split()), default=0)
    if words + 10 <= columns:
        assert sum(max(1, -(-width(row) // columns)) for row in shown) <= 20
    assert (shown[0], shown[-1]) == ("first", "  last")


def test_blocks() -> None:
    """Lines that are indented further belong to the one before."""
    assert in_blocks(3, ["  a", "      b", "  c"]) == [Block(3, ["  a", "      b"]), Block(3, ["  c"])]
    assert (plural(1, "slice"), plural(2_000, "slice"), plural(0, "day")) == ("1 slice", "2,000 slices", "0 days")


VALIDATOR = jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker())


def check(values: dict[str, Any]) -> None:
    """Raises if a report is not as published."""
    VALIDATOR.validate(orjson.loads(orjson.dumps(values)))


@pytest.mark.parametrize("report", [ended(), ended(outcome(1)), FULL, worst()], ids=["empty", "good", "full", "worst"])
def test_reports_are_as_published(report: Report) -> None:
    """Every kind of report is valid against the schema, which is a valid one itself."""
    jsonschema.Draft202012Validator.check_schema(schema())
    check(to_json(report))
    check(to_json(replace(report, ended=None)))


def test_the_schema_is_strict() -> None:
    """It notices a key that is gone, one that is new, and a value of another type: a drift is a test that fails."""
    good = to_json(worst())
    for broken in (
        {name: value for name, value in good.items() if name != "late"},
        good | {"later": 1},
        good | {"calls": "700"},
        good | {"exit_code": 7},
        good | {"quotas": [{"app": "main"}]},
    ):
        with pytest.raises(jsonschema.ValidationError):
            check(broken)


def test_every_field_is_described() -> None:
    """A schema without words is half a schema."""

    def bare(node: Any, path: str) -> list[str]:
        if not isinstance(node, dict):
            return []
        found = [
            f"{path}.{name}"
            for name, one in node.get("properties", {}).items()
            if not {"description", "format"} & one.keys()
        ]
        return (
            found
            + [more for name, one in node.get("properties", {}).items() for more in bare(one, f"{path}.{name}")]
            + bare(node.get("items"), f"{path}[]")
        )

    assert bare(schema(), "") == []


def test_the_file_is_named(tmp_path: Path) -> None:
    """A path is never cut, however long."""
    folder = str(tmp_path / ("a" * 100))
    assert one_screen(ended(), folder, columns=COLUMNS).splitlines()[-1].strip().startswith(f"{folder}/runs/")
