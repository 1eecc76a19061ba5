"""The live display, drawn on terminals of every width, with and without colour."""

import io
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harvester.events import Progressed
from harvester.show.live import Live
from harvester.show.panel import Panel
from harvester.standing import AppStanding, Cause, Stage, Standing, Wait
from tests.show.terminal import Terminal

NOW = datetime(2026, 11, 23, 2, 30, tzinfo=timezone(timedelta(hours=8)))
CALM = Standing(
    run_id="r",
    stage=Stage.READING,
    start=date(2026, 11, 16),
    end=date(2026, 11, 22),
    accounts=500,
    elapsed_s=192.0,
    slices_done=312,
    slices_open=8,
    slices_expected=530,
    calls=201_332,
    calls_expected=350_000,
    requests=2_411,
    requests_expected=3_614,
    left_s=73.0,
    apps=(AppStanding(app="main", requests=2_411, last_minute=988, per_minute=1_000),),
)
BAD = replace(
    CALM,
    left_s=None,
    waits=(Wait(app="main", why="minute quota of app main", until=NOW + timedelta(seconds=34)),),
    slowed=("8 of 32 requests in flight: the API is slow", "others use 40 % of app main's minute"),
    failed=62,
    causes=(
        Cause(status="skipped", reason="denied since 2026-11-23: code 12201, no permission", slices=50),
        Cause(status="failed", reason="6 attempts failed, the last one: HTTP 502 " * 4, slices=12),
    ),
)


def drawn(standing: Standing, columns: int, **console: object) -> list[str]:
    """The lines on a terminal of so many columns."""
    out = io.StringIO()
    Console(file=out, force_terminal=True, width=columns, **console).print(Panel(standing, NOW))  # type: ignore[arg-type]
    return out.getvalue().rstrip("\n").split("\n")


def plain(standing: Standing, columns: int) -> list[str]:
    """The same without colour."""
    return drawn(standing, columns, color_system=None)


def test_what_is_shown() -> None:
    """Slices, calls, the rate against the quota, and how long is left, in words and bars."""
    lines = plain(CALM, 80)
    assert [line.split()[0] for line in lines] == ["run", "slices", "calls", "main", "time"]
    assert lines[0] == "run    2026-11-16..2026-11-22 · 500 accounts · 0:03:12"
    assert lines[1].endswith("312 of 530 slices")
    assert lines[2].endswith("201,332 of about 350,000 calls")
    assert lines[3].endswith("988 of 1,000 a minute")
    assert lines[4] == "time   about 1 min 20 s left · 2,411 of about 3,614 requests"
    assert "━" in lines[1]


def test_what_holds_it_up_and_what_failed() -> None:
    """What is waited for and until when, why it is slower, and the causes of what is not complete."""
    lines = plain(BAD, 100)
    assert "waiting minute quota of app main, until 02:30:34 (in 34 s)" in lines
    assert "slower  8 of 32 requests in flight: the API is slow" in lines
    assert any(line.startswith("skipped 50 slices: denied since") for line in lines)
    assert lines[-1].startswith("time    left: unknown")


@pytest.mark.parametrize("standing", [CALM, BAD], ids=["calm", "bad"])
@pytest.mark.parametrize("columns", [20, 40, 59, 60, 80, 200])
def test_no_line_is_wider_than_the_terminal(standing: Standing, columns: int) -> None:
    """Nor as wide: a line that fills a terminal is wrapped as soon as it is made narrower."""
    lines = plain(standing, columns)
    assert all(Console().render_str(line).cell_len < columns for line in lines)
    assert len(lines) == (5 if standing is CALM else 10)


def test_without_colour_nothing_is_lost() -> None:
    """NO_COLOR takes the colours, and the bars still tell how far it is."""
    coloured, colourless = drawn(CALM, 80, color_system="truecolor"), drawn(CALM, 80, no_color=True)
    assert any("\x1b[" in line for line in coloured)
    assert not any(f"\x1b[{code}" in line for line in colourless for code in ("3", "9", "38"))
    assert len(colourless[1].split("━")) - 1 < len(plain(CALM, 80)[2].split("━")) - 1 + 40
    assert "312 of 530 slices" in colourless[1]


def test_before_anything_is_known() -> None:
    """No bar without something to measure by; no time that nobody knows."""
    young = replace(CALM, slices_expected=None, calls_expected=None, requests_expected=None, left_s=None, apps=())
    assert [line.split(maxsplit=1)[1] for line in plain(young, 80)[1:]] == [
        "312 slices", "201,332 calls", "left: unknown · 2,411 requests",
    ]  # fmt: skip


class TestOnATerminal:
    """What is left on the screen, whatever happens to it meanwhile."""

    def test_lines_stand_above_whole(self) -> None:
        """Log lines are printed above what is drawn; nothing of it is left among them, nor at the end."""
        screen = Terminal(80, 24)
        live = Live(screen.console())
        with live._live:
            for number in range(5):
                live.tell(Progressed(standing=replace(CALM, slices_done=number)))
                live._draw()
                live.log(f"log line {number}")
            live._draw()
            during = screen.lines()
            live._print_lines()
        assert during[:5] == [f"log line {number}" for number in range(5)]
        assert during[5].startswith("run ")
        assert screen.lines() == [f"log line {number}" for number in range(5)]

    @given(st.lists(st.sampled_from([40, 60, 79, 80, 120, 200]), max_size=6))
    def test_resized_while_it_runs(self, widths: list[int]) -> None:
        """However a terminal is resized, what was drawn before goes, and no log line does."""
        screen = Terminal(80, 40)
        live = Live(screen.console())
        with live._live:
            live.tell(Progressed(standing=BAD))
            live.log("first")
            live._draw()
            for number, columns in enumerate(widths):
                screen.resize(columns)
                live.log(f"log line {number}")
                live._draw()
            shown = screen.lines()
            assert shown[: len(widths) + 1] == ["first", *(f"log line {number}" for number in range(len(widths)))]
            assert sum(line.startswith("run ") for line in shown) == 1
            assert sum(line.startswith("time ") for line in shown) == 1

    def test_who_asks_is_told_above(self) -> None:
        """SIGUSR1: a few lines, which stay."""
        screen = Terminal(80, 24)
        live = Live(screen.console())
        with live:
            live.tell(Progressed(standing=BAD, asked=True))
        assert screen.lines()[0].startswith("run r: 500 accounts, 2026-11-16..2026-11-22")
        assert any("waiting: minute quota of app main, until 02:30:34" in line for line in screen.lines())
