from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.enrolment import NAMED_DAYS, Discovery, Enrolment, enrol
from harvester.model import ONE_DAY, Account, AccountId, AppName, TokenName
from harvester.roll import Listed, Pattern, Roll, Selection, Table, Via, called, change, is_due

TODAY = date(2026, 11, 23)
AT = 1_795_000_000.0
APP, TOKEN, OTHER_TOKEN = AppName("main"), TokenName("agency-a"), TokenName("agency-b")
TABLE = Table(name="all", token=TOKEN, app=APP, via=Via.ADVERTISER)
OTHER = replace(TABLE, name="other", token=OTHER_TOKEN)

ids = st.integers(1, 30).map(AccountId)
names = st.sampled_from([None, "Cars", "Homes", "上海教育"])
statuses = st.sampled_from([None, "CUSTOMER_STATUS_NORMAL", "CUSTOMER_STATUS_FROZEN"])
lists = st.lists(st.builds(Listed, id=ids, name=names, status=statuses), max_size=12, unique_by=lambda one: one.id)
globs = st.sampled_from(["*", "1*", "?", "Cars", "*上海*", "CUSTOMER_*", "*FROZEN", "[1-3]", "x"])
patterns = st.builds(Pattern, st.sampled_from(["id", "name", "status"]), globs)
selections = st.builds(
    Selection,
    include=st.lists(patterns, max_size=3).map(tuple),
    exclude=st.lists(patterns, max_size=2).map(tuple),
)


def listed(*numbers: int) -> list[Listed]:
    """Accounts without a name."""
    return [Listed(id=AccountId(number)) for number in numbers]


def roll(*numbers: int, before: Roll | None = None, today: date = TODAY, table: Table = TABLE) -> Roll:
    """The table's roll after a list of these accounts."""
    return called(table, before, listed(*numbers), AT, today)


def account(number: int, token: TokenName = TOKEN, name: str | None = None) -> Account:
    """An account of the only app."""
    return Account(id=AccountId(number), token=token, app=APP, name=name)


def who(enrolment: Enrolment) -> dict[int, str]:
    """The enrolled accounts and who reads them."""
    return {int(one.account.id): one.account.token for one in enrolment.enrolled}


@pytest.mark.parametrize(
    ("include", "exclude", "taken"),
    [
        ([], [], True),
        ([Pattern("id", "2045*")], [], True),
        ([Pattern("id", "2046*")], [], False),
        ([Pattern("id", "2046*"), Pattern("id", "*867")], [], True),
        ([Pattern("name", "*上海*")], [], True),
        ([Pattern("name", "上海")], [], False),
        ([Pattern("name", "*上海*"), Pattern("status", "CUSTOMER_STATUS_FROZEN")], [], False),
        ([Pattern("name", "*上海*"), Pattern("status", "*_NORMAL"), Pattern("status", "X")], [], True),
        ([Pattern("name", "*SHANGHAI*")], [], False),
        ([], [Pattern("name", "*上海*")], False),
        ([Pattern("id", "*")], [Pattern("id", "9"), Pattern("status", "*NORMAL")], False),
        ([Pattern("id", "204586[5-8]")], [Pattern("name", "*Shanghai?")], True),
    ],
)
def test_patterns(include: list[Pattern], exclude: list[Pattern], *, taken: bool) -> None:
    """Of each field that is included one pattern has to fit, whole, in its case; any that is excluded keeps it out."""
    one = Listed(id=AccountId(2045867), name="Shanghai 上海 Cars", status="CUSTOMER_STATUS_NORMAL")
    assert Selection(include=tuple(include), exclude=tuple(exclude)).takes(one) is taken


@pytest.mark.parametrize(("pattern", "fits"), [("*", True), ("?*", False), ("", True)])
def test_what_is_not_told_is_empty(pattern: str, *, fits: bool) -> None:
    """A name or status that the API does not tell fits what an empty text fits."""
    assert Pattern("status", pattern).fits(Listed(id=AccountId(1))) is fits


@given(selections, lists)
def test_order_and_repetition_of_patterns_do_not_matter(selection: Selection, accounts: list[Listed]) -> None:
    """What is taken depends on the set of patterns; another exclusion never takes more, another list never fewer."""
    turned = Selection(include=selection.include[::-1] * 2, exclude=selection.exclude[::-1] * 2)
    stricter = replace(selection, exclude=(*selection.exclude, Pattern("id", "1*")))
    for one in accounts:
        assert selection.takes(one) == turned.takes(one)
        assert selection.takes(one) or not stricter.takes(one)


@pytest.mark.parametrize(
    ("later_s", "due"), [(0, False), (71_999, False), (72_000, True), (10**9, True), (-300, False), (-301, True)]
)
def test_due(later_s: float, *, due: bool) -> None:
    """A list is due when the roll is as old as `every`, or dated ahead, since the clock was set back."""
    assert is_due(TABLE, roll(1), AT + later_s) is due


def test_due_when_there_is_none() -> None:
    """A list is due where there is none, and where it is one of another token, endpoint or agency."""
    assert is_due(TABLE, None, AT)
    for other in ({"token": OTHER_TOKEN}, {"via": Via.ORGANIZATION}, {"agency_id": AccountId(5)}, {"name": "x"}):
        assert is_due(replace(TABLE, **other), roll(1), AT)
    assert not is_due(replace(TABLE, selection=Selection(exclude=(Pattern("id", "1"),))), roll(1), AT)


def test_a_roll_remembers() -> None:
    """Who appeared when, and who vanished when; one that comes back is as one that never went."""
    monday = roll(1, 2, 3)
    tuesday = roll(1, 4, before=monday, today=TODAY + ONE_DAY)
    friday = roll(1, 2, 4, before=tuesday, today=TODAY + ONE_DAY * 4)
    found = {int(id_): (member.appeared_on - TODAY, member.vanished_on) for id_, member in friday.members.items()}
    assert found == {
        1: (ONE_DAY * 0, None),
        2: (ONE_DAY * 0, None),
        3: (ONE_DAY * 0, TODAY + ONE_DAY),
        4: (ONE_DAY, None),
    }
    assert (monday.size, tuesday.size, friday.size) == (3, 2, 3)
    assert change(TABLE, None, monday).first
    later = change(TABLE, monday, tuesday)
    assert (later.first, later.new, later.vanished, later.size) == (False, (4,), (2, 3), 2)
    assert change(TABLE, tuesday, friday).new == (2,)


def test_what_the_api_does_not_tell_tonight_is_as_it_was() -> None:
    """A status that is missing in one answer takes no account out; one that changed does, and that is told."""
    table = replace(TABLE, selection=Selection(include=(Pattern("status", "*NORMAL"),)))
    normal = Listed(id=AccountId(1), name="Cars", status="CUSTOMER_STATUS_NORMAL")
    before = called(table, None, [normal], AT, TODAY)
    silent = called(table, before, listed(1), AT, TODAY)
    assert silent.members[AccountId(1)].listed == normal
    frozen = called(table, silent, [replace(normal, status="CUSTOMER_STATUS_FROZEN", name=None)], AT, TODAY)
    assert change(table, silent, frozen).left == (1,)
    assert change(table, silent, frozen).selected == 0
    assert who(enrol([], (), [(table, frozen)], TODAY)) == {}


def test_a_roll_of_something_else_counts_for_nothing() -> None:
    """Its accounts neither vanish nor are they enrolled."""
    changed = replace(TABLE, via=Via.ORGANIZATION)
    before = roll(1, 2)
    assert set(called(changed, before, listed(2), AT, TODAY).members) == {2}
    assert change(changed, before, roll(2, table=changed)).first
    found = enrol([], (), [(changed, before)], TODAY)
    assert (who(found), found.unknown) == ({}, (changed,))


@pytest.mark.parametrize("days", [-30, 0, 6, 7, 14, 1000])
@pytest.mark.parametrize("token", [None, OTHER_TOKEN])
def test_who_vanished_is_asked_for(days: int, token: TokenName | None) -> None:
    """However long ago it vanished, if ever it did by this clock, unless the API refuses it to its token."""
    gone = roll(1, before=roll(1, 2))
    refused = {(AccountId(2), token): TODAY, (AccountId(1), TOKEN): TODAY} if token else {}
    found = enrol([], (), [(TABLE, gone)], TODAY + ONE_DAY * days, refused)
    assert who(found) == {1: TOKEN, 2: TOKEN}
    assert [one.account.id for one in found.missed] == [2]
    assert found.released == ()


@pytest.mark.parametrize(
    ("refused_on", "days", "named"), [(-50, 0, True), (-50, 6, True), (-50, 7, False), (5, 11, True), (5, 12, False)]
)
def test_who_vanished_and_is_refused_is_let_go(refused_on: int, days: int, *, named: bool) -> None:
    """It is not enrolled any more, and named for a week after both have come together."""
    gone = roll(1, before=roll(1, 2))
    refused = {(AccountId(2), TOKEN): TODAY + ONE_DAY * refused_on}
    found = enrol([], (), [(TABLE, gone)], TODAY + ONE_DAY * days, refused)
    assert (who(found), found.missed) == ({1: TOKEN}, ())
    assert [one.account.id for one in found.released] == ([2] if named else [])
    assert NAMED_DAYS == 7


def test_who_wins() -> None:
    """The config over tables, tables in their order, those that list an account over those from which it vanished."""
    first = roll(1, 2, 5, before=roll(1, 2, 3, 4, 5))
    second = roll(1, 3, 6, 7, table=OTHER)
    rolls = [(TABLE, first), (OTHER, second)]
    found = enrol([account(2, OTHER_TOKEN), account(9)], {AccountId(6)}, rolls, TODAY)
    assert who(found) == {2: OTHER_TOKEN, 9: TOKEN, 1: TOKEN, 5: TOKEN, 3: OTHER_TOKEN, 7: OTHER_TOKEN, 4: TOKEN}
    assert [one.account.id for one in found.missed] == [4]
    assert found.unknown == ()
    kept = {one.account.id: one.table for one in found.enrolled}
    assert (kept[AccountId(2)], kept[AccountId(9)], kept[AccountId(3)]) == (None, None, OTHER)


def test_excluded_by_one_table_taken_by_another() -> None:
    """A table that does not select an account leaves it to the next one."""
    picky = replace(TABLE, selection=Selection(exclude=(Pattern("id", "1"),)))
    assert who(enrol([], (), [(picky, roll(1, 2)), (OTHER, roll(1, table=OTHER))], TODAY)) == {2: TOKEN, 1: OTHER_TOKEN}


def test_names() -> None:
    """An account of the config keeps its name there; without one it has the API's."""
    told = called(TABLE, None, [Listed(id=AccountId(1), name="Cars"), Listed(id=AccountId(2), name="Homes")], AT, TODAY)
    found = enrol([account(1, name="Ours"), account(2)], (), [(TABLE, told)], TODAY)
    assert [one.account.name for one in found.enrolled] == ["Ours", "Homes"]
    assert [one.member is not None for one in found.enrolled] == [True, True]


@given(
    named=st.lists(ids, max_size=5, unique=True),
    out=st.tuples(st.sets(ids, max_size=5), st.sets(ids, max_size=10)),
    first=st.tuples(lists, lists, selections),
    second=st.one_of(st.none(), st.tuples(lists, lists, selections)),
    days=st.integers(0, 40),
)
def test_enrolment(
    named: list[AccountId],
    out: tuple[set[AccountId], set[AccountId]],
    first: tuple[list[Listed], list[Listed], Selection],
    second: tuple[list[Listed], list[Listed], Selection] | None,
    days: int,
) -> None:
    """Each account once: the named, the listed, and those that vanished and are not refused; none that is disabled."""
    disabled, refused = out
    rolls: list[tuple[Table, Roll | None]] = []
    for table, lists_ in ((TABLE, first), (OTHER, second)):
        selecting = replace(table, selection=lists_[2]) if lists_ else table
        before = called(selecting, None, lists_[0], AT, TODAY) if lists_ else None
        after = called(selecting, before, lists_[1], AT, TODAY) if lists_ else None
        rolls.append((selecting, after))
    refusals = {(one, token): TODAY for one in refused for token in (TOKEN, OTHER_TOKEN)}
    found = enrol([account(one) for one in named], disabled, rolls, TODAY + ONE_DAY * days, refusals)
    numbers = [one.account.id for one in found.enrolled]
    assert len(numbers) == len(set(numbers))
    assert numbers[: len(named)] == named
    members = [(table, member) for table, roll_ in rolls if roll_ for member in roll_.members.values()]
    selected = [(table, member) for table, member in members if table.selection.takes(member.listed)]
    present = {member.listed.id for _, member in selected if not member.vanished_on}
    ever = {member.listed.id for _, member in selected}
    assert set(numbers) == set(named) | (present | (ever - refused)) - disabled
    assert not set(numbers) & {one.account.id for one in found.released}
    assert len(found.unknown) == (second is None)
    for one in found.enrolled[len(named) :]:
        assert one.table is not None
        assert one.account.token == one.table.token


@given(lists, lists, st.integers(0, 200))
def test_change(old: list[Listed], new: list[Listed], days: int) -> None:
    """New and vanished are the differences of the two lists, whatever lay in between."""
    before = called(TABLE, None, old, AT, TODAY)
    now = called(TABLE, before, new, AT, TODAY + ONE_DAY * days)
    had, has = {one.id for one in old}, {one.id for one in new}
    brought = change(TABLE, before, now)
    assert (set(brought.new), set(brought.vanished)) == (has - had, had - has)
    assert (brought.size, now.size) == (len(has), len(has))
    assert set(now.members) == had | has
    again = called(TABLE, now, new, AT, TODAY + ONE_DAY * days)
    assert again == now
    assert change(TABLE, now, again) == replace(change(TABLE, now, now))


def test_values_for_people() -> None:
    """Tables and patterns read as the config writes them."""
    assert str(TABLE) == "discover.all"
    assert replace(TABLE, agency_id=AccountId(7)).source == "advertiser of 7"
    assert str(Pattern("name", "*x*")) == "name:*x*"
    assert Discovery(tables=(TABLE,)).only == ()
