from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from harvester.harvest.division import MOST_SPLITS, around, day_of_the_night, halves, samples
from harvester.model import ONE_DAY, Window

FIRST = date(2026, 1, 1)
windows = st.builds(lambda start, days: Window(FIRST + ONE_DAY * start, FIRST + ONE_DAY * (start + days - 1)),
                    st.integers(0, 400), st.integers(2, 31))  # fmt: skip


@given(windows, st.data())
def test_every_day_is_in_one_part(window: Window, data: st.DataObject) -> None:
    """However a window is divided, each of its days is in exactly one part, and no part is the whole."""
    day = data.draw(st.sampled_from(list(window)))
    for parts in (halves(window), samples(window), around(window, day)):
        assert sorted(day for part in parts for day in part) == list(window)
        assert window not in parts
    assert around(window, day)[-1] == Window(day, day)
    assert len(halves(window)) == 2
    assert len(samples(window)) <= 5


@given(windows)
def test_the_ends_and_the_middle_come_first(window: Window) -> None:
    """Where nothing was answered yet, the last, the first and the middle day are asked for first."""
    first = [part.start for part in reversed(samples(window)) if len(part) == 1][:3]
    assert first[:2] == [window.end, window.start]
    assert len(window) == 2 or first[2] == window.start + ONE_DAY * (len(window) // 2)


@given(windows, st.dates(date(2026, 1, 1), date(2030, 1, 1)))
def test_each_day_has_its_night(window: Window, today: date) -> None:
    """In as many nights as a window has days each of them stands for it once."""
    assert {day_of_the_night(window, today + ONE_DAY * night) for night in range(len(window))} == set(window)


def divided(window: Window, bad: set[date], *, well: bool) -> tuple[set[date], int, int]:
    """Days that are lost, parts that were asked for, and divisions, when windows with a bad day fail."""
    lost, asked, splits, todo = set[date](), 0, 0, [window]
    while todo:
        one = todo.pop()
        asked += 1
        if not bad & set(one):
            well = True
        elif len(one) > 1 and splits < MOST_SPLITS:
            splits += 1
            todo += halves(one) if well else samples(one)
        else:
            lost |= set(one)
    return lost, asked - 1, splits


@given(windows, st.data(), st.booleans())
def test_only_bad_days_are_lost(window: Window, data: st.DataObject, well: bool) -> None:
    """With up to two bad days in a window, they and nobody else are lost; never more parts than the bound."""
    bad = data.draw(st.sets(st.sampled_from(list(window)), min_size=1, max_size=2))
    lost, asked, _ = divided(window, bad, well=well)
    assert lost == bad
    assert asked <= 23


@given(windows, st.data(), st.booleans())
def test_parts_are_bounded(window: Window, data: st.DataObject, well: bool) -> None:
    """Whatever fails, no more than 23 parts of an account are asked for, and every bad day is in what is lost."""
    bad = data.draw(st.sets(st.sampled_from(list(window))))
    lost, asked, splits = divided(window, bad, well=well)
    assert lost >= bad
    assert asked <= 23
    assert splits <= MOST_SPLITS
