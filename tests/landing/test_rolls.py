import signal
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.errors import StorageError
from harvester.landing.ledger import Ledger
from harvester.model import ONE_DAY, AccountId, TokenName
from harvester.roll import Listed, Member, Roll

TODAY = date(2024, 3, 5)
texts = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)
days = st.dates()
ids = st.integers(1, 2**63 - 1).map(AccountId)
members = st.dictionaries(
    ids, st.tuples(texts, texts, days, st.none() | days), max_size=8
).map(
    lambda found: {
        id_: Member(Listed(id=id_, name=name, status=status), appeared_on, vanished_on)
        for id_, (name, status, appeared_on, vanished_on) in sorted(found.items())
    }
)  # fmt: skip
rolls = st.builds(
    Roll,
    table=st.text("abc-_", min_size=1),
    token=st.text("abc-_", min_size=1).map(TokenName),
    source=st.sampled_from(["advertiser", "organization", "advertiser of 7"]),
    at=st.floats(0, 1e11, allow_nan=False),
    members=members,
)
KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from harvester.landing.ledger import Ledger

class Deadly(dict):
    def items(self):
        for number, one in enumerate(super().items()):
            if number == int(sys.argv[2]):
                os.kill(os.getpid(), signal.SIGKILL)
            yield one

with Ledger.open(Path(sys.argv[1])) as ledger:
    roll = ledger.roll("all")
    ledger.put_roll(replace(roll, at=2.0, members=Deadly(list(roll.members.items())[:-1])))
"""


def member(number: int) -> Member:
    """A listed account."""
    return Member(Listed(id=AccountId(number), name=f"name {number}"), TODAY)


def roll(*numbers: int, table: str = "all") -> Roll:
    """A roll of these accounts."""
    listed = {AccountId(number): member(number) for number in numbers}
    return Roll(table=table, token=TokenName("agency-a"), source="advertiser", at=1.0, members=listed)


@given(one=rolls)
@settings(max_examples=40)
def test_a_roll_lasts(one: Roll, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A roll is read back by the next run as it was kept, whatever it holds."""
    state = tmp_path_factory.mktemp("state")
    with Ledger.open(state) as ledger:
        assert ledger.roll(one.table) is None
        ledger.put_roll(one)
    with Ledger.open(state) as ledger:
        assert ledger.roll(one.table) == one
    peeked = Ledger.peek(state)
    assert peeked
    with peeked:
        assert peeked.roll(one.table) == one


def test_a_new_roll_takes_the_place_of_the_old_one(ledger: Ledger) -> None:
    """Nothing of the old roll stays; other tables' rolls do."""
    gone = replace(member(2), vanished_on=TODAY + ONE_DAY)
    newer = replace(roll(3), at=7.0, token=TokenName("agency-b"), members={AccountId(2): gone, AccountId(3): member(3)})
    ledger.put_roll(roll(1, 2))
    ledger.put_roll(roll(1, 9, table="other"))
    ledger.put_roll(newer)
    assert ledger.roll("all") == newer
    assert ledger.roll("other") == roll(1, 9, table="other")
    assert ledger.roll("nobody's") is None


@pytest.mark.parametrize("members", [0, 1, 700])
def test_killed_in_the_middle(members: int, tmp_path: Path) -> None:
    """A process that is killed while it keeps a roll leaves the old one."""
    before = roll(*range(1, 1_001))
    with Ledger.open(tmp_path) as ledger:
        ledger.put_roll(before)
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(members)], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    with Ledger.open(tmp_path) as ledger:
        assert ledger.roll("all") == before


def test_what_goes_wrong_leaves_the_old_roll(ledger: Ledger) -> None:
    """A roll that cannot be kept is an error, and the old one stands."""
    ledger.put_roll(roll(1, 2))
    broken = replace(roll(3), members={AccountId(3): member(3), AccountId(2**63): member(2**63)})
    with pytest.raises((StorageError, OverflowError)):
        ledger.put_roll(broken)
    assert ledger.roll("all") == roll(1, 2)


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE listed SET appeared_on = 0",
        "UPDATE listed SET vanished_on = 10000000",
        "UPDATE listed SET appeared_on = 'x'",
        "UPDATE rolls SET at = 'x'",
    ],
)
def test_a_roll_that_cannot_be_read_is_none(harm: str, ledger: Ledger) -> None:
    """It is only a memory: the next run lists anew."""
    ledger.put_roll(roll(1, 2))
    ledger.put_roll(roll(3, table="other"))
    with ledger._transaction() as db:
        db.execute(f"{harm} WHERE discover = 'all'")
    assert ledger.roll("all") is None
    assert ledger.roll("other") is not None
    ledger.put_roll(roll(5))
    assert ledger.roll("all") == roll(5)


def test_names_that_are_none(ledger: Ledger) -> None:
    """A flipped type makes another name of it, and no error."""
    ledger.put_roll(roll(1))
    with ledger._transaction() as db:
        db.execute("UPDATE listed SET name = x'31', status = x''")
    found = ledger.roll("all")
    assert found
    assert isinstance(found.members[AccountId(1)].listed.name, str)


def test_ten_thousand_accounts(ledger: Ledger) -> None:
    """A large agency's roll is kept and read."""
    everyone = roll(*range(1, 10_001))
    ledger.put_roll(everyone)
    assert ledger.roll("all") == everyone
