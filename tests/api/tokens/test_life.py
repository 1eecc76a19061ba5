from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harvester.api.tokens import life as lives
from harvester.api.tokens.life import Dead, Gone, Life, Renew, Reread, Todo, Use, Wait, is_due, todo
from harvester.api.tokens.pair import Pair, Renewal
from harvester.secret import Secret, masked
from tests.api.helpers import NOW_S

DAY_S = 86_400.0
KNOCKS_S = (60.0, 180.0, 360.0, 605.0)
EXPIRED = "code 11000, the access token has expired"
INVALID = "code 11002, the access token is invalid"
NOT_YET = "its new access token does not work yet; a private app's does after 10 minutes"
CONFIG = Pair(access=Secret("fake-config"), refresh=Secret("fake-refresh"))
"""Of which nobody knows when it expires."""


def given_at(
    since: float, name: str = "fake-new", life_s: float | None = DAY_S, refresh_s: float | None = None
) -> Pair:
    """A pair that a renewal brought."""
    return Pair(
        access=Secret(name),
        access_until=None if life_s is None else since + life_s,
        refresh=Secret("fake-refresh"),
        refresh_until=None if refresh_s is None else since + refresh_s,
        since=since,
    )


NEW = given_at(NOW_S)
FRESH = Life(pair=CONFIG)
"""The config's token, which nothing renews."""
RENEWABLE = Life(pair=CONFIG, renewable=True, equipped=True)
RENEWED = lives.adopted(RENEWABLE, NEW, None, 1)
KEPT = lives.adopted(RENEWABLE, NEW, CONFIG, 1)
"""Renewed by an extension, which may have left the token before alive."""


def after(life: Life, *events: Callable[[Life], Life]) -> Life:
    """What is known after these, one after the other."""
    for event in events:
        life = event(life)
    return life


def worked(serial: int = 0) -> Callable[[Life], Life]:
    """A good answer."""
    return lambda life: lives.worked(life, serial)


def expired(serial: int = 0) -> Callable[[Life], Life]:
    """11000."""
    return lambda life: lives.expired(life, serial, EXPIRED)


def invalid(serial: int = 0, at: float = NOW_S) -> Callable[[Life], Life]:
    """11002."""
    return lambda life: lives.invalid(life, serial, INVALID, at)


def failed(at: float = NOW_S, why: str = "HTTP 502") -> Callable[[Life], Life]:
    """A renewal that may be tried again."""
    return lambda life: lives.not_renewed(life, why, at)


def refused(life: Life) -> Life:
    """A renewal that may not."""
    return lives.not_renewable(life, "code 11004")


def renewed(number: int, at: float = NOW_S) -> Callable[[Life], Life]:
    """A renewal that brought a pair."""
    return lambda life: lives.adopted(life, given_at(at, f"fake-new-{number}"), None, life.serial + 1)


class TestWhileItWorks:
    """Nothing has been said against it."""

    @pytest.mark.parametrize(
        ("life", "expected"),
        [
            (FRESH, Use(CONFIG, 0, alone=True)),
            (after(FRESH, worked()), Use(CONFIG, 0, alone=False)),
            (RENEWABLE, Use(CONFIG, 0, alone=True)),
            (replace(RENEWABLE, serial=7), Use(CONFIG, 7, alone=True)),
            (RENEWED, Use(NEW, 1, alone=True)),
            (KEPT, Use(NEW, 1, alone=True)),
            (after(KEPT, worked(1)), Use(NEW, 1, alone=False)),
        ],
    )
    def test_the_first_request_goes_alone(self, life: Life, expected: Todo) -> None:
        """Until an answer has shown that the token works; however old it is, if nobody knows when it expires."""
        assert todo(life, NOW_S) == expected
        if life.pair.access_until is None:
            assert todo(life, NOW_S + 1e9) == expected

    def test_a_token_that_nothing_renews_is_used_beyond_its_end(self) -> None:
        """The API will say."""
        life = after(Life(pair=NEW, serial=1), worked(1))
        assert todo(life, NOW_S + 2 * DAY_S) == Use(NEW, 1, alone=False)


class TestEarly:
    """Renewals before the end."""

    @pytest.mark.parametrize(
        ("pair", "due_after_s"),
        [
            (CONFIG, None),
            (given_at(NOW_S, life_s=None), None),
            (given_at(NOW_S, life_s=DAY_S), DAY_S - 1_800),
            (given_at(NOW_S, life_s=18_000), 16_200),
            (given_at(NOW_S, life_s=7_200), 6_480),
            (given_at(NOW_S, life_s=30), 27),
            (replace(CONFIG, access_until=NOW_S + DAY_S), DAY_S - 1_800),
            (given_at(NOW_S, life_s=None, refresh_s=30 * DAY_S), 22.5 * DAY_S),
            (given_at(NOW_S, life_s=None, refresh_s=90 * DAY_S), 82 * DAY_S),
            (given_at(NOW_S, life_s=None, refresh_s=4), 3),
            (replace(CONFIG, refresh_until=NOW_S + 30 * DAY_S), 22 * DAY_S),
            (given_at(NOW_S, life_s=40 * DAY_S, refresh_s=30 * DAY_S), 22.5 * DAY_S),
            (given_at(NOW_S, life_s=DAY_S, refresh_s=30 * DAY_S), DAY_S - 1_800),
        ],
    )
    def test_the_table(self, pair: Pair, due_after_s: float | None) -> None:
        """Half an hour or a tenth of its life for an access token, 8 days or a quarter for a refresh token."""
        life = Life(pair=pair, renewable=True, equipped=True, proven=True)
        if due_after_s is None:
            assert todo(life, NOW_S + 1e9) == Use(pair, 0, alone=False)
            return
        due = NOW_S + due_after_s
        assert todo(life, due - 0.001) == Use(pair, 0, alone=False)
        assert todo(life, due) == Renew()
        assert todo(replace(life, renewable=False), due) == Use(pair, 0, alone=False)

    @given(st.floats(1.0, 1e7), st.floats(1.0, 1e7), st.floats(0.0, 1e7))
    def test_it_is_due_before_the_end_and_after_the_beginning(
        self, life_s: float, refresh_s: float, age: float
    ) -> None:
        """Never at once, whatever lives are told, and always before either ends; once due it stays so."""
        pair = given_at(NOW_S, life_s=life_s, refresh_s=refresh_s)
        assert not is_due(pair, NOW_S)
        assert is_due(pair, NOW_S + min(life_s, refresh_s))
        assert not is_due(pair, NOW_S + age) or is_due(pair, NOW_S + age + 1)

    def test_a_token_that_does_not_work_yet_is_not_renewed(self) -> None:
        """Renewing it would begin its 10 minutes anew."""
        life = after(Life(pair=given_at(NOW_S, life_s=300), serial=1, renewable=True, equipped=True), invalid(1))
        assert isinstance(todo(life, NOW_S + 299), Use)
        assert isinstance(todo(life, NOW_S + 59), Wait)


class TestGone:
    """The API says that it does not work."""

    @pytest.mark.parametrize("said", [expired, invalid])
    def test_the_store_is_looked_at_first(self, said: Callable[[], Callable[[Life], Life]]) -> None:
        """Somebody else may have a newer one; only then it is renewed."""
        life = after(RENEWABLE, worked(), said())
        assert todo(life, NOW_S) == Reread()
        assert todo(lives.looked(life), NOW_S) == Renew()

    @pytest.mark.parametrize(
        ("said", "why"),
        [
            (expired, f"{EXPIRED}; put a working access_token into the config, or give it a refresh_token, and"),
            (invalid, f"{INVALID}; put a working access_token into the config (a private app's new one works after"),
        ],
    )
    def test_what_nothing_renews_is_dead(self, said: Callable[[], Callable[[Life], Life]], why: str) -> None:
        """After one request and a look into the store; a person is told what to do."""
        life = after(FRESH, said())
        assert todo(life, NOW_S) == Reread()
        dead = todo(lives.looked(life), NOW_S)
        assert isinstance(dead, Dead)
        assert dead.why.startswith(why)

    def test_a_configs_token_is_never_young(self) -> None:
        """Nobody knows since when it is there: a person put it in, and waits for no ten minutes."""
        life = after(RENEWABLE, invalid())
        assert (life.gone, todo(lives.looked(life), NOW_S)) == (Gone.INVALID, Renew())

    @pytest.mark.parametrize(
        ("life", "gone"),
        [
            (RENEWED, Gone.YOUNG),
            (after(RENEWED, worked(1)), Gone.INVALID),
            (lives.adopted(RENEWABLE, given_at(NOW_S - 604.9), None, 1), Gone.YOUNG),
            (lives.adopted(RENEWABLE, given_at(NOW_S - 605.0), None, 1), Gone.INVALID),
            (lives.adopted(RENEWABLE, replace(NEW, since=None), None, 1), Gone.INVALID),
        ],
    )
    def test_only_a_new_token_that_never_worked_is_young(self, life: Life, gone: Gone) -> None:
        """One that has worked, or is older than 10 minutes, is invalid."""
        assert after(life, invalid(1)).gone is gone

    def test_one_that_expired_at_once_is_not_young(self) -> None:
        """11000 is no word about tokens that do not work yet."""
        assert after(RENEWED, expired(1)).gone is Gone.EXPIRED

    def test_what_is_stopped_is_dead(self) -> None:
        """A person has to do something first; nothing changes that in this run."""
        life = lives.stopped(RENEWABLE, 0, "code 11004")
        for known in (
            life,
            after(life, worked()),
            after(life, expired()),
            after(life, renewed(1)),
            after(life, failed()),
        ):
            assert todo(known, NOW_S + DAY_S) == Dead("code 11004")
        assert lives.stopped(life, 0, "code 11005") is life


class TestYoung:
    """A private app's new token only works after 10 minutes."""

    def test_it_is_tried_a_handful_of_times(self) -> None:
        """One, three, six and a bit more than ten minutes after it was given; then it is invalid."""
        life, asked = after(RENEWED, invalid(1)), list[float]()
        while life.gone is Gone.YOUNG:
            waiting = todo(life, NOW_S + (asked[-1] if asked else 0))
            assert isinstance(waiting, Wait)
            assert waiting.why == NOT_YET
            assert isinstance(todo(life, waiting.until - 0.001), Wait)
            assert todo(life, waiting.until) == Use(NEW, 1, alone=True)
            asked.append(waiting.until - NOW_S)
            life = after(life, invalid(1, waiting.until))
        assert tuple(asked) == KNOCKS_S
        assert life.gone is Gone.INVALID
        assert todo(lives.looked(life), NOW_S + 605) == Renew()

    @pytest.mark.parametrize("knocks", range(len(KNOCKS_S)))
    def test_once_it_works_all_go(self, knocks: int) -> None:
        """At whichever try; and what the API says from then on is about a token that has worked."""
        life = after(RENEWED, invalid(1), *[invalid(1, NOW_S + at) for at in KNOCKS_S[:knocks]], worked(1))
        assert todo(life, NOW_S + KNOCKS_S[knocks]) == Use(NEW, 1, alone=False)
        assert (life.gone, life.said, life.former, life.in_vain, life.knocks) == (None, "", None, 0, 0)
        assert after(life, invalid(1, NOW_S + 400)).gone is Gone.INVALID

    def test_until_then_the_former_one_may_do(self) -> None:
        """It is sent by all, side by side; then the new one is tried, alone."""
        life = after(KEPT, invalid(1))
        assert todo(life, NOW_S) == todo(life, NOW_S + 604.9) == Use(CONFIG, 0, alone=False)
        assert todo(life, NOW_S + 605) == Use(NEW, 1, alone=True)
        assert todo(after(life, worked(0)), NOW_S) == Use(CONFIG, 0, alone=False)
        assert todo(after(life, worked(1)), NOW_S + 605) == Use(NEW, 1, alone=False)

    @pytest.mark.parametrize("said", [expired(0), invalid(0), lambda life: lives.stopped(life, 0, "code 11004")])
    def test_a_former_one_that_does_not_do_is_dropped(self, said: Callable[[Life], Life]) -> None:
        """Whatever the API says against it: no request more; the new one is waited for."""
        life = after(KEPT, invalid(1), said)
        assert life.former is None
        assert todo(life, NOW_S) == Wait(NOW_S + 60, NOT_YET)
        assert after(life, said) == life

    def test_a_former_one_ends_when_it_expires(self) -> None:
        """If that is known; then the new one is tried, and waited for as if there had been none."""
        former = replace(CONFIG, access_until=NOW_S + 300)
        life = after(lives.adopted(RENEWABLE, NEW, former, 1), invalid(1))
        assert todo(life, NOW_S + 299) == Use(former, 0, alone=False)
        assert todo(life, NOW_S + 300) == Use(NEW, 1, alone=True)
        assert todo(after(life, invalid(1, NOW_S + 301)), NOW_S + 301) == Use(NEW, 1, alone=True)  # of 180 s
        again = after(life, invalid(1, NOW_S + 301), invalid(1, NOW_S + 302))
        assert todo(again, NOW_S + 302) == Wait(NOW_S + 360, NOT_YET)

    def test_without_a_trial_the_former_one_is_not_used(self) -> None:
        """The new one may work at once: it is tried first."""
        assert todo(KEPT, NOW_S) == Use(NEW, 1, alone=True)


class TestLateAnswers:
    """To requests that were sent with a token of before."""

    @pytest.mark.parametrize("serial", [-1, 0, 3, 5])
    @pytest.mark.parametrize(
        "said",
        [
            lives.worked,
            lambda life, serial: lives.expired(life, serial, EXPIRED),
            lambda life, serial: lives.invalid(life, serial, INVALID, NOW_S),
            lambda life, serial: lives.stopped(life, serial, "code 11004"),
        ],
    )
    @pytest.mark.parametrize(
        "life",
        [
            replace(RENEWED, serial=4),
            after(replace(RENEWED, serial=4), worked(4)),
            after(replace(RENEWED, serial=4), invalid(4)),
            after(replace(RENEWED, serial=4), expired(4)),
        ],
    )
    def test_they_say_nothing_of_this_one(self, life: Life, said: Callable[[Life, int], Life], serial: int) -> None:
        """Good or bad, whatever state it is in."""
        assert said(life, serial) is life

    @pytest.mark.parametrize("gone", [expired(), invalid()])
    def test_a_late_good_answer_does_not_revive(self, gone: Callable[[Life], Life]) -> None:
        """It was sent before the token died."""
        life = after(RENEWABLE, worked(), gone)
        assert after(life, worked()) is life
        assert todo(life, NOW_S) == Reread()

    @pytest.mark.parametrize("first", [expired(1), invalid(1, NOW_S + 605)])
    @pytest.mark.parametrize("second", [expired(1), invalid(1), invalid(1, NOW_S + 605)])
    def test_a_second_bad_answer_changes_nothing(
        self, first: Callable[[Life], Life], second: Callable[[Life], Life]
    ) -> None:
        """Many requests were under way: it is looked, and renewed, once; and what expired is not young again."""
        life = lives.looked(after(RENEWED, first))
        assert after(life, second) is life
        assert todo(life, NOW_S) == Renew()

    def test_a_bad_answer_to_the_former_one_ends_it_before_it_is_needed(self) -> None:
        """The new one is as good as before."""
        life = after(KEPT, invalid(0))
        assert life == replace(KEPT, former=None)
        assert todo(life, NOW_S) == Use(NEW, 1, alone=True)


class TestRenewalsThatFail:
    """And may be tried again."""

    def test_they_are_tried_further_and_further_apart(self) -> None:
        """After 2, 4, 8, … seconds, 60 at most, for ever if patience has no end."""
        life, now, waits = lives.looked(after(RENEWABLE, expired())), NOW_S, list[float]()
        for _ in range(10):
            assert todo(life, now) == Renew()
            life = after(life, failed(now))
            waiting = todo(life, now)
            assert isinstance(waiting, Wait)
            assert waiting.why == "its renewal failed: HTTP 502"
            waits.append(waiting.until - now)
            now = waiting.until
        assert waits == [2, 4, 8, 16, 32, 60, 60, 60, 60, 60]

    @pytest.mark.parametrize("failures", [1_023, 1_024, 100_000])
    def test_they_may_fail_for_days(self, failures: int) -> None:
        """The wait stays what it is."""
        life = lives.not_renewed(replace(RENEWABLE, failures=failures, failing_since=0.0), "HTTP 502", NOW_S)
        assert life.renew_at == NOW_S + 60

    def test_a_token_that_still_lives_is_used_meanwhile(self) -> None:
        """Until it ends by its own life, and while nobody says a word against it."""
        life = Life(pair=NEW, serial=1, renewable=True, equipped=True, proven=True)
        due = NOW_S + DAY_S - 1_800
        life = after(life, failed(due))
        assert todo(life, due + 1.9) == Use(NEW, 1, alone=False)
        assert todo(life, due + 2.0) == Renew()
        life = after(life, failed(NOW_S + DAY_S - 1))
        assert todo(life, NOW_S + DAY_S) == Wait(NOW_S + DAY_S + 3, "its renewal failed: HTTP 502")

    def test_a_refresh_token_that_ends_soon_holds_nothing_up(self) -> None:
        """The access token works whether that can be renewed or not."""
        pair = given_at(NOW_S, life_s=None, refresh_s=30 * DAY_S)
        life = after(Life(pair=pair, renewable=True, equipped=True, proven=True), failed(NOW_S + 23 * DAY_S))
        assert todo(life, NOW_S + 23 * DAY_S) == Use(pair, 0, alone=False)

    @pytest.mark.parametrize(
        ("patience_s", "lasted_s", "why"),
        [
            (1_800.0, 1_799.0, None),
            (1_800.0, 1_800.0, "it could not be renewed for 30 min: HTTP 503; the next run tries again"),
            (0.0, 0.0, "it could not be renewed for 0 s: HTTP 503; the next run tries again"),
            (inf, 1e9, None),
        ],
    )
    def test_patience_ends(self, patience_s: float, lasted_s: float, why: str | None) -> None:
        """It counts from the first failure in a row to the latest, under a token that does not work."""
        begun = replace(RENEWABLE, patience_s=patience_s)
        life = lives.looked(after(begun, expired()))
        if lasted_s:
            life = after(life, failed(NOW_S))
        life = after(life, failed(NOW_S + lasted_s, "HTTP 503"))
        assert todo(life, NOW_S + lasted_s) == (
            Dead(why) if why else Wait(life.renew_at, "its renewal failed: HTTP 503")
        )

    def test_patience_does_not_end_while_the_token_lives(self) -> None:
        """It is given up when it has ended."""
        life = Life(pair=NEW, serial=1, renewable=True, equipped=True, proven=True, patience_s=60.0)
        life = after(life, failed(NOW_S + DAY_S - 1_000), failed(NOW_S + DAY_S - 500))
        assert todo(life, NOW_S + DAY_S - 499) == Use(NEW, 1, alone=False)
        assert isinstance(todo(after(life, failed(NOW_S + DAY_S)), NOW_S + DAY_S), Dead)

    @pytest.mark.parametrize(
        ("said", "why"),
        [
            (
                expired(),
                f"{EXPIRED}, and its renewal was refused: code 11004; look whether the app's client_id",
            ),
            (
                invalid(),
                f"{INVALID}, and its renewal was refused: code 11004; look whether the app's client_id",
            ),
        ],
    )
    def test_one_that_is_refused_for_good_is_not_tried_again(self, said: Callable[[Life], Life], why: str) -> None:
        """While the access token works it is used; when it dies, a person has to authorise the app again."""
        life = after(Life(pair=NEW, renewable=True, equipped=True, proven=True), refused)
        assert todo(life, NOW_S + DAY_S + 1) == Use(NEW, 0, alone=False)
        life = after(life, said)
        assert todo(life, NOW_S) == Reread()
        dead = todo(lives.looked(life), NOW_S)
        assert isinstance(dead, Dead)
        assert dead.why.startswith(why)


class TestInVain:
    """Renewals that bring tokens which do not work."""

    def test_two_in_a_row_are_enough(self) -> None:
        """A person has to look; the message says what was said."""
        life = after(RENEWABLE, expired(), renewed(1), expired(1), renewed(2), expired(2))
        assert todo(life, NOW_S) == Reread()
        assert todo(lives.looked(life), NOW_S) == Dead(f"{EXPIRED}, as each of 2 new ones: authorise the app again")

    def test_one_that_works_begins_the_row_anew(self) -> None:
        """However briefly."""
        life = after(RENEWABLE, expired(), renewed(1), expired(1), renewed(2), worked(2), expired(2), renewed(3))
        assert life.in_vain == 0
        assert todo(lives.looked(after(life, expired(3))), NOW_S) == Renew()

    def test_the_configs_own_does_not_count(self) -> None:
        """No renewal brought it."""
        life = after(RENEWABLE, expired(), renewed(1), expired(1))
        assert todo(lives.looked(life), NOW_S) == Renew()

    def test_nor_does_one_of_an_earlier_run(self) -> None:
        """It may have died of age."""
        stored = Life(pair=NEW, serial=7, renewable=True, equipped=True)
        life = after(stored, expired(7), renewed(8), expired(8))
        assert todo(lives.looked(life), NOW_S) == Renew()

    def test_a_life_that_is_too_short_is_not_renewed_for_ever(self) -> None:
        """What is due again before it was ever tried counts as well; then it is used until the API speaks."""
        short = replace(NEW, since=NOW_S - 10, access_until=NOW_S - 9)
        life = RENEWABLE
        for serial in (1, 2):
            assert todo(lives.adopted(life, short, None, serial), NOW_S) in (Renew(), Use(short, 2, alone=True))
            life = lives.adopted(life, short, None, serial)
        assert todo(life, NOW_S) == Use(short, 2, alone=True)


class TestAdopted:
    """A newer pair, renewed by this process or found in the store."""

    @pytest.mark.parametrize(
        "life",
        [
            RENEWABLE,
            after(RENEWABLE, worked()),
            lives.looked(after(RENEWABLE, expired())),
            after(RENEWABLE, expired(), failed(), failed()),
            after(RENEWED, invalid(1), invalid(1)),
        ],
    )
    def test_everything_begins_anew(self, life: Life) -> None:
        """Whatever was known of the one before."""
        serial = life.serial + 1
        adopted = lives.adopted(life, NEW, None, serial)
        assert adopted == Life(
            pair=NEW, serial=serial, renewable=True, equipped=True, fresh=True, in_vain=adopted.in_vain
        )
        assert todo(adopted, NOW_S) == Use(NEW, serial, alone=True)

    def test_what_is_known_to_be_dead_does_not_come_back_as_the_former_one(self) -> None:
        """Another process that extends it could not know."""
        life = lives.adopted(after(RENEWABLE, worked(), expired()), NEW, CONFIG, 1)
        assert isinstance(todo(after(life, invalid(1)), NOW_S), Wait)

    @pytest.mark.parametrize(
        ("how", "life", "expected"),
        [
            (Renewal.EXTEND, RENEWABLE, CONFIG),
            (Renewal.EXTEND, Life(pair=NEW), NEW),
            (Renewal.ROTATE, RENEWABLE, None),
            (Renewal.EXTEND, after(RENEWABLE, expired()), None),
            (Renewal.EXTEND, after(RENEWED, invalid(1)), None),
            (Renewal.EXTEND, Life(pair=replace(NEW, access_until=NOW_S)), None),
            (Renewal.EXTEND, Life(pair=replace(NEW, access_until=NOW_S + 1)), replace(NEW, access_until=NOW_S + 1)),
        ],
    )
    def test_which_former_one_may_still_do(self, how: Renewal, life: Life, expected: Pair | None) -> None:
        """That of an extension, if it worked until then; a rotation kills it at once."""
        assert lives.renewed_by(how, life, NOW_S) == expected

    def test_looking_in_vain_is_remembered(self) -> None:
        """Until the token is refused again."""
        assert lives.looked(RENEWABLE) == replace(RENEWABLE, reread=True)
        assert after(lives.looked(RENEWABLE), expired()).reread is False


@dataclass
class Story:
    """A token among a process and others, seen from outside: what was sent, and what the API said to it."""

    life: Life
    rotates: bool
    now: float = NOW_S
    flying: list[Use] = field(default_factory=list)
    condemned: set[str] = field(default_factory=set)
    """Access tokens that the API has called expired or invalid, but for those that may not work yet."""
    refusals: dict[int, int] = field(default_factory=dict)
    """Of requests that went alone, by serial."""
    buried: bool = False
    tokens: int = 0

    def ask(self) -> None:
        """Sends a request, or does what is to be done first; as the fleet does."""
        match todo(self.life, self.now):
            case Use(alone=True) as use if any(one.alone and one.serial == use.serial for one in self.flying):
                pass
            case Use() as use:
                self.flying.append(use)
            case Dead(why):
                self.life, self.buried = lives.stopped(self.life, self.life.serial, why), True
            case Wait(until):
                self.now = until
            case Reread():
                self.life = lives.looked(self.life)
            case Renew():
                how = Renewal.ROTATE if self.rotates else Renewal.EXTEND
                self.adopt(lives.renewed_by(how, self.life, self.now), 1)

    def answer(self, how: str, which: int) -> None:
        """Ends a request under way."""
        if not self.flying:
            return
        use = self.flying.pop(which % len(self.flying))
        before = self.life
        match how:
            case "works":
                self.life = lives.worked(before, use.serial)
            case "expired":
                self.life = lives.expired(before, use.serial, EXPIRED)
            case "invalid":
                self.life = lives.invalid(before, use.serial, INVALID, self.now)
            case "stopped":
                self.life = lives.stopped(before, use.serial, "code 11004")
        if how == "works":
            return
        if not (self.life.gone is Gone.YOUNG and use.serial == self.life.serial):
            self.condemned.add(use.pair.access.reveal())
        if use.alone:
            self.refusals[use.serial] = self.refusals.get(use.serial, 0) + 1

    def adopt(self, former: Pair | None, step: int) -> None:
        """A newer pair, by this process or, some steps later, by others."""
        if self.life.dead:
            return
        self.tokens += 1
        self.life = lives.adopted(self.life, given_at(self.now, f"fake-{self.tokens}"), former, self.life.serial + step)

    def others(self) -> None:
        """Another process has extended the pair that this one holds, or renewed it twice."""
        self.adopt(self.life.pair, 1)

    def renewal_fails(self, for_good: bool) -> None:
        """A renewal that brings nothing."""
        if isinstance(todo(self.life, self.now), Renew):
            self.life = refused(self.life) if for_good else lives.not_renewed(self.life, "HTTP 502", self.now)

    def check(self) -> None:
        """What holds at any time."""
        what = todo(self.life, self.now)
        if self.buried:
            assert isinstance(what, Dead)
        match what:
            case Use(pair, serial):
                trial = self.life.gone is Gone.YOUNG and pair is self.life.pair
                assert trial or pair.access.reveal() not in self.condemned
                said_so = [
                    lives.expired(self.life, serial, EXPIRED),
                    lives.invalid(self.life, serial, INVALID, self.now),
                    lives.stopped(self.life, serial, "code 11004"),
                ]
                assert self.life not in said_so  # a refusal of what may be sent always changes something
            case Wait(until):
                assert self.now < until <= self.now + 605
        assert all(number <= 1 + len(KNOCKS_S) for number in self.refusals.values())


MOVES = ("ask", "ask", "works", "expired", "invalid", "stopped", "wait", "others", "fails", "refused")
stories = st.builds(
    Story,
    life=st.builds(
        Life,
        pair=st.sampled_from([CONFIG, NEW, given_at(NOW_S - 500, life_s=None), given_at(NOW_S, "fake-old", 300)]),
        serial=st.integers(0, 3),
        renewable=st.booleans(),
        patience_s=st.sampled_from([0.0, 60.0, inf]),
    ),
    rotates=st.booleans(),
)
moves = st.lists(
    st.tuples(st.sampled_from(MOVES), st.integers(0, 9), st.sampled_from([0.1, 2.0, 30.0, 100.0, 605.0, DAY_S])),
    max_size=60,
)


@settings(max_examples=600)
@given(stories, moves)
@example(Story(life=RENEWED, rotates=True), [("ask", 0, 0), ("stopped", 0, 0), ("ask", 0, 0), ("wait", 0, 605.0)])
def test_whatever_happens(story: Story, some: Sequence[tuple[str, int, float]]) -> None:
    """No request goes with a token that the API has refused, few with one that may not work, none with a dead one."""
    serial = story.life.serial
    for what, which, wait_s in some:
        match what:
            case "ask":
                story.ask()
            case "wait":
                story.now += wait_s
            case "others":
                story.others()
            case "fails" | "refused":
                story.renewal_fails(what == "refused")
            case _:
                story.answer(what, which)
        story.check()
        assert story.life.serial >= serial
        serial = story.life.serial


@given(
    stories,
    st.sampled_from(["expired", "invalid", "stopped"]),
    st.lists(st.sampled_from(["brings one", "fails", "is refused"]), max_size=20),
)
def test_a_token_of_which_nothing_good_is_heard_dies_after_a_few_requests(
    story: Story, said: str, renewals: list[str]
) -> None:
    """Whatever the API says against it, and whatever becomes of its renewals."""
    asked = renewed = 0
    for number in range(1_000):
        match todo(story.life, story.now):
            case Dead():
                break
            case Use():
                asked += 1
                story.ask()
                story.answer(said, 0)
            case Renew() if renewals[number % len(renewals) if renewals else 0 :][:1] == ["fails"]:
                story.renewal_fails(False)
            case Renew() if renewals[number % len(renewals) if renewals else 0 :][:1] == ["is refused"]:
                story.renewal_fails(True)
            case Renew():
                renewed += 1
                story.ask()
            case _:
                story.ask()
    assert asked <= 3 * (1 + len(KNOCKS_S)) + 2
    assert renewed <= 3


TEXTS = [
    todo(lives.looked(after(begun, said)), NOW_S)
    for begun in (FRESH, after(Life(pair=NEW, renewable=True, equipped=True, proven=True), refused))
    for said in (expired(), invalid())
]


@pytest.mark.parametrize("dead", TEXTS)
def test_the_net_has_nothing_to_mask_in_what_a_person_is_told(dead: Todo) -> None:
    """The words about tokens are no tokens, and have to arrive."""
    assert isinstance(dead, Dead)
    assert masked(dead.why) == dead.why


def test_a_life_does_not_show_a_token() -> None:
    """Neither its own nor the one before."""
    assert not [one for one in ("fake-config", "fake-new", "fake-refresh") if one in repr(KEPT)]
