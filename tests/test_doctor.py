"""`doctor` against the sandbox: what is wrong is found, said with what to do, and told by the exit code."""

import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from harvester.api.envelope import Request, Response
from harvester.api.quota import Limits
from harvester.api.tokens import Credentials
from harvester.api.transport import AiohttpTransport, Transport
from harvester.enrolment import Discovery
from harvester.errors import AttemptError, ConfigError, ExitCode
from harvester.harvest.assignment import Assignment
from harvester.harvest.checkup.files import Papers
from harvester.harvest.doctor import Orders, examine
from harvester.health import Area, Check, Grade, Health, Hint, Question
from harvester.landing.ledger import Ledger
from harvester.landing.ledger.database import ledger_of
from harvester.landing.ledger.schema import SCHEMA_VERSION
from harvester.model import ONE_DAY, AccountId, TokenName, Window
from harvester.report.health import in_words, to_json
from harvester.roll import Table, Via
from harvester.sandbox.grants import CLIENT_ID, CLIENT_SECRET, REFRESH, Grant, Kind
from harvester.sandbox.server import serve
from harvester.sandbox.switches import ACCESS, EndDate, Order, Oversize, Switches
from harvester.sandbox.world import World
from harvester.secret import Secret
from tests.benchmarks.modes import MODES, same
from tests.credentials import credentials
from tests.flows import APP, NOW_S, TODAY, TOKEN, assign, clock, landed, last_days, run, sandbox, surroundings

pytestmark = pytest.mark.anyio

WORLD = World(today=TODAY, accounts=4, calls_per_day=60, tie_size=0)
RENEWABLE = Credentials(
    app=APP, access=Secret(ACCESS), refresh=Secret(REFRESH), client_id=CLIENT_ID, client_secret=Secret(CLIENT_SECRET)
)
BUSY = max(WORLD.sizes, key=lambda account: WORLD.sizes[account])


async def look(assignment: Assignment, papers: Papers | None = None, **orders: object) -> Health:
    """Examines at the test's time; nothing of it shows a secret."""
    papers = papers or Papers(config=assignment.output_dir / "x.toml")
    health = await examine(assignment, Orders(papers=papers, **orders), around=surroundings())  # type: ignore[arg-type]
    told = in_words(health) + str(to_json(health))
    assert not [secret for secret in (ACCESS, REFRESH, CLIENT_SECRET) if secret in told]
    return health


def bad(health: Health, area: Area | None = None) -> list[Check]:
    """What is not well."""
    found = [*health.graded(Grade.WARNING), *health.graded(Grade.FAILURE)]
    return [check for check in found if area in {None, check.area}]


def answers(health: Health) -> dict[Question, str | None]:
    """What is known of the open questions."""
    return {hint.question: hint.answer for hint in health.hints}


def with_tokens(assignment: Assignment, **tokens: Credentials) -> Assignment:
    """The same accounts, in turn, under these tokens."""
    names = [TokenName(name) for name in tokens]
    accounts = [replace(one, token=names[number % len(names)]) for number, one in enumerate(assignment.accounts)]
    return replace(assignment, accounts=accounts, tokens=dict(zip(names, tokens.values(), strict=True)))


async def test_all_is_well(tmp_path: Path) -> None:
    """Healthy, the open questions answered and kept, every request counted in the ledger."""
    async with sandbox(WORLD) as served:
        assignment = replace(assign(served, tmp_path), limits={APP: Limits(per_minute=600)})
        health = await look(assignment)
    assert (bad(health), health.exit_code) == ([], 0)
    assert in_words(health).splitlines()[-1] == "healthy"
    assert health.requests == served.stats.requests <= 16
    known = answers(health)
    assert (known[Question.ORDER], known[Question.CURSOR], known[Question.END_DATE]) == (
        "descending", "exclusive", "inclusive",
    )  # fmt: skip
    assert (known[Question.PAGE_SIZE], known[Question.REFUSED_SIZE]) == ("200", "500")
    with Ledger.open(assignment.state_dir) as ledger:
        sent = sum(ledger.sending(APP, NOW_S + 3600).by_minute.values())
        assert sent == health.requests
        assert {hint.question for hint in ledger.hints()} == {one for one, answer in known.items() if answer}


@pytest.mark.parametrize("mode", [mode for mode, (tie_size, _) in MODES.items() if not tie_size])
async def test_the_open_questions_are_answered_in_every_mode(mode: str, tmp_path: Path) -> None:
    """Whatever the sandbox does, what is said of it is true."""
    switches = MODES[mode][1]
    async with sandbox(WORLD, switches) as served:
        known = answers(await look(assign(served, tmp_path)))
    assert known[Question.ORDER] == ("ascending" if switches.order is Order.ASC else "descending")
    assert known[Question.CURSOR] == switches.cursor.value
    assert known[Question.END_DATE] == switches.end_date.value
    assert known[Question.TOTAL] == f"the {switches.total.value}"
    most = switches.max_page_size
    refused = switches.oversize is Oversize.REFUSE
    assert known[Question.PAGE_SIZE] == str(max(size for size in (200, 50) if size <= most) if refused else most)
    assert (Question.REFUSED_SIZE in known) is refused


async def test_the_account_can_be_chosen(tmp_path: Path) -> None:
    """The chosen one's calls are looked at, else those of whoever has most; one that is not enrolled is a mistake."""
    quiet, days = min(WORLD.sizes, key=lambda account: WORLD.sizes[account]), last_days(31)
    window = Window(days.start, days.end - ONE_DAY)
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path)
        await run(assignment)
        for chosen, account in ((quiet, quiet), (None, BUSY)):
            health = await look(assignment, account=chosen)
            (total,) = (hint.evidence for hint in health.hints if hint.question is Question.PAGE_TOTAL)
            assert total.startswith(f"{WORLD.count(account, window):,} on page 1")
        with pytest.raises(ConfigError, match="no enabled account"):
            await look(assignment, account=AccountId(7))


# ── tokens ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_expired_token_is_renewed(tmp_path: Path) -> None:
    """With all that a renewal takes it is renewed on the spot, which is said, and all is well."""
    grants = (Grant(refresh=REFRESH, expires_at=NOW_S - 10),)
    async with sandbox(WORLD, Switches(grants=grants)) as served:
        health = await look(with_tokens(assign(served, tmp_path), agency=RENEWABLE))
    assert bad(health) == []
    told = [check.what for check in health.checks if check.area is Area.TOKENS]
    assert any("was renewed just now" in what for what in told)
    assert any("renewed by harvester: access until" in what and "(30 days)" in what for what in told)


async def test_an_expired_token_that_nothing_renews(tmp_path: Path) -> None:
    """No token works: exit code 5, after a single request under it, with what to do."""
    async with sandbox(WORLD, Switches(grants=(Grant(expires_at=NOW_S - 10),))) as served:
        health = await look(assign(served, tmp_path))
    assert health.exit_code is ExitCode.NO_TOKEN
    assert served.stats.requests == health.requests == 1
    dead, none = bad(health, Area.TOKENS)
    assert 'does not work: code 11000, "Access token is expired."' in dead.what
    assert "authorise the app again" in dead.advice
    assert none.what == "no token works"
    assert in_words(health).splitlines()[-1] == "not fit: no token works"


async def test_one_dead_token_of_two(tmp_path: Path) -> None:
    """A part of the night would be lost: exit code 3; the other token is seen to work."""
    async with sandbox(WORLD) as served:
        tokens = {"agency": credentials(ACCESS), "b": credentials("a-token-of-nobody")}
        health = await look(with_tokens(assign(served, tmp_path), **tokens))
    assert health.exit_code is ExitCode.PARTIAL
    (dead,) = bad(health, Area.TOKENS)
    assert dead.what.startswith("token b does not work: code 11002")
    assert "a-token-of-nobody" not in in_words(health)
    assert any(check.what.startswith("token agency works") for check in health.checks)


async def test_a_missing_scope(tmp_path: Path) -> None:
    """What was granted does not cover calls: the permission to ask for is named."""
    async with sandbox(WORLD, Switches(grants=(Grant(scopes=("targeting",)),))) as served:
        health = await look(assign(served, tmp_path))
    assert health.exit_code is ExitCode.NO_TOKEN
    assert "code 11014" in bad(health)[0].what
    assert "get the permission for leads_call_records/get granted" in bad(health)[0].advice


async def test_a_refused_renewal(tmp_path: Path) -> None:
    """A refresh token that is dead is named as the cause, and a wrong secret of the app as another."""
    grants = (Grant(refresh=REFRESH, expires_at=NOW_S - 10),)
    async with sandbox(WORLD, Switches(grants=grants)) as served:
        lost = replace(RENEWABLE, refresh=Secret("a-refresh-token-of-nobody"))
        (dead, _) = bad(await look(with_tokens(assign(served, tmp_path / "a"), agency=lost)))
        wrong = replace(RENEWABLE, client_secret=Secret("not-the-secret"))
        (odd, _) = bad(await look(with_tokens(assign(served, tmp_path / "b"), agency=wrong)))
    assert "renewing it: code 11012" in dead.what
    assert "authorise" in dead.advice
    assert "renewing it: code 11007" in odd.what
    assert "client_secret" in odd.advice


async def test_a_refused_renewal_of_a_pair_that_was_stored(tmp_path: Path) -> None:
    """The secret is named as the cause, too, when the API says of the stored token that it has expired."""
    grants = (Grant(refresh=REFRESH, expires_at=NOW_S - 10, access_life_s=60),)
    async with sandbox(WORLD, Switches(grants=grants)) as served:
        assignment = with_tokens(assign(served, tmp_path), agency=RENEWABLE)
        await look(assignment)
        await anyio.sleep(60)
        wrong = replace(RENEWABLE, client_secret=Secret("not-the-secret"))
        health = await look(with_tokens(assignment, agency=wrong))
    dead, none = bad(health)
    assert "renewing it: code 11007" in dead.what
    assert dead.advice.startswith("look at the client_id and client_secret")
    assert none.exit_code is health.exit_code is ExitCode.NO_TOKEN


async def test_an_expired_token_whose_app_has_no_secret(tmp_path: Path) -> None:
    """The secret is all that is missing: nobody has to authorise anything."""
    grants = (Grant(refresh=REFRESH, expires_at=NOW_S - 10),)
    async with sandbox(WORLD, Switches(grants=grants)) as served:
        bare = replace(RENEWABLE, client_secret=None)
        (dead, _) = bad(await look(with_tokens(assign(served, tmp_path), agency=bare)))
    assert "code 11000" in dead.what
    assert dead.advice.startswith("give the app of [tokens.agency] its client_secret")
    assert "authorise" not in dead.advice


@pytest.mark.parametrize("answered", [True, False])
async def test_a_renewal_that_may_pass(answered: bool, tmp_path: Path) -> None:
    """An API that is too busy to renew, or does not answer, is the API's trouble, and not waited for long."""

    class Busy:
        def __init__(self, real: Transport) -> None:
            self._real = real

        async def send(self, request: Request) -> Response:
            if not request.path.startswith("/oauth/"):
                return await self._real.send(request)
            if not answered:
                raise AttemptError("no answer in time")
            return Response(status=200, headers={}, body=b'{"code": 51001, "message": "busy"}')

    grants = (Grant(refresh=REFRESH, expires_at=NOW_S - 10),)
    async with sandbox(WORLD, Switches(grants=grants)) as served:
        assignment = with_tokens(assign(served, tmp_path), agency=RENEWABLE)
        began = anyio.current_time()
        async with AiohttpTransport(served.base_url, timeout_s=30) as real:
            health = await examine(
                assignment,
                Orders(papers=Papers(config=tmp_path / "x.toml")),
                around=surroundings(),
                transport=Busy(real),
            )
        assert anyio.current_time() - began < 10
    (busy,) = bad(health)
    assert (busy.area, busy.exit_code) == (Area.API, health.exit_code) == (Area.API, ExitCode.BUDGET)
    assert ("51001" if answered else "no answer in time") in busy.what
    assert busy.advice.startswith("run doctor again later")
    assert "authorise" not in in_words(health)


async def test_a_new_token_that_does_not_work_yet(tmp_path: Path) -> None:
    """It is not waited for, and not called dead."""
    grants = (Grant(refresh=REFRESH, expires_at=NOW_S - 10),)
    async with sandbox(WORLD, Switches(grants=grants, new_token_after_s=600)) as served:
        health = await look(with_tokens(assign(served, tmp_path), agency=RENEWABLE))
    (waits,) = bad(health)
    assert waits.grade is Grade.WARNING
    assert "does not work yet" in waits.what


async def test_accounts_that_are_refused(tmp_path: Path) -> None:
    """The token is seen to work, three accounts are tried, and the refusal is told with the account."""
    codes = dict.fromkeys(WORLD.account_ids, 12201)
    async with sandbox(WORLD, Switches(account_codes=codes)) as served:
        health = await look(assign(served, tmp_path))
        assert served.stats.requests == 3
    (refused,) = bad(health)
    assert (refused.area, refused.grade) == (Area.ACCOUNTS, Grade.WARNING)
    assert "works, but account" in refused.what
    assert health.exit_code is ExitCode.COMPLETE


async def test_a_token_without_accounts(tmp_path: Path) -> None:
    """It is not asked, and named."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path)
        tokens = {**assignment.tokens, TokenName("idle"): credentials("unused-token")}
        health = await look(replace(assignment, tokens=tokens))
    assert [check.what for check in bad(health)] == ["token idle has no account"]


async def test_accounts_that_find_themselves(tmp_path: Path) -> None:
    """Before the first list, the list is asked for, and an account on it."""
    async with sandbox(WORLD) as served:
        table = Table(name="all", token=TOKEN, app=APP, via=Via.ADVERTISER)
        assignment = replace(assign(served, tmp_path), accounts=[], fleet=[], discovery=Discovery(tables=(table,)))
        health = await look(assignment)
    assert bad(health) == []
    assert any(check.what.startswith("token agency works: account ") for check in health.checks)
    assert "the accounts of discover.all were never listed" in in_words(health)


async def test_a_list_by_the_wrong_endpoint(tmp_path: Path) -> None:
    """The setting to change is named, and the request was none for calls."""
    async with sandbox(WORLD, Switches(grants=(Grant(kind=Kind.ADVERTISER),))) as served:
        table = Table(name="all", token=TOKEN, app=APP, via=Via.ORGANIZATION)
        assignment = replace(assign(served, tmp_path), accounts=[], fleet=[], discovery=Discovery(tables=(table,)))
        health = await look(assignment)
    (wrong,) = bad(health)
    assert wrong.area is Area.ACCOUNTS
    assert "cannot list discover.all: " in wrong.what
    assert "71003" in wrong.what
    assert wrong.advice.startswith("change `via` of [discover.all]")
    assert "1 request sent for lists of accounts\n" in in_words(health)


async def test_what_was_not_tried_is_not_called_good(tmp_path: Path) -> None:
    """Without probes nobody knows whether a token works, or whether it can be renewed."""
    async with sandbox(WORLD) as served:
        health = await look(with_tokens(assign(served, tmp_path), agency=RENEWABLE), probe=False)
    (life,) = [check for check in health.checks if check.area is Area.TOKENS]
    assert (life.grade, life.what.endswith("; not tried")) == (Grade.NOTE, True)


# ── the API, the clock, the quota ─────────────────────────────────────────────────────────────────────────────────────


async def test_nobody_answers(tmp_path: Path) -> None:
    """Exit code 8 with the setting to look at; one token is tried, others are not."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path)
    tokens = {"agency": credentials(ACCESS), "b": credentials("another-token")}
    health = await look(with_tokens(assignment, **tokens))
    assert health.exit_code is ExitCode.BUDGET
    (silent,) = bad(health)
    assert "no connection" in silent.what
    assert "[api] base_url" in silent.advice
    assert health.requests <= 2


async def test_a_gateway_answers(tmp_path: Path) -> None:
    """An API that is down gives up a minute's patience, not half an hour's."""
    async with sandbox(WORLD, Switches(outages=((0.0, 1e9, "unavailable"),))) as served:
        health = await look(assign(served, tmp_path))
    assert health.exit_code is ExitCode.BUDGET
    assert "503" in bad(health)[0].what
    assert health.requests <= 8


@pytest.mark.parametrize(
    ("off_s", "grade"), [(100.0, Grade.WARNING), (-400.0, Grade.FAILURE), (86_400.0, Grade.FAILURE)]
)
async def test_a_wrong_clock(off_s: float, grade: Grade, tmp_path: Path) -> None:
    """It is measured by the API's answers, also by the one that refuses the timestamp."""
    true = clock()
    async with serve(WORLD, Switches(), clock=lambda: true() + off_s) as served:
        health = await look(assign(served, tmp_path))
    (wrong,) = bad(health)
    assert (wrong.area, wrong.grade) == (Area.CLOCK, grade)
    assert "behind" in wrong.what if off_s > 0 else "ahead of" in wrong.what


async def test_a_day_that_is_used_up(tmp_path: Path) -> None:
    """By our own count nothing is asked; by the API's it says so; exit code 8 either way."""
    async with sandbox(WORLD, Switches(requests_per_day=1)) as served:
        assignment = replace(assign(served, tmp_path), limits={APP: Limits(per_minute=600, per_day=1)})
        await look(assignment)
        asked = served.stats.requests
        health = await look(assignment)
        assert served.stats.requests == asked == 1
        told = await look(replace(assignment, limits={APP: Limits(per_minute=600)}))
    assert health.exit_code is told.exit_code is ExitCode.BUDGET
    assert "0 of its 1 requests a day are left" in in_words(health)
    assert "code 11018" in in_words(told)


# ── files, disk, ledger ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_nothing_is_asked_while_a_run_is_going(tmp_path: Path) -> None:
    """What can be seen without asking is seen; who holds the lock is said; that alone is no fault."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path)
        with Ledger.open(assignment.state_dir):
            health = await look(assignment)
        assert served.stats.requests == 0
    assert health.exit_code is ExitCode.COMPLETE
    assert "a run is going: another run holds" in in_words(health)
    assert "token agency, the config's" in in_words(health)


async def test_nothing_is_asked_or_made_without_probes(tmp_path: Path) -> None:
    """`--no-probe` leaves no trace, anywhere."""
    async with sandbox(WORLD) as served:
        health = await look(assign(served, tmp_path), probe=False)
        assert served.stats.requests == 0
    assert (health.exit_code, list(tmp_path.iterdir())) == (0, [])
    assert "no run has been made yet" in in_words(health)


async def test_hints_are_shown_without_probes(tmp_path: Path) -> None:
    """What an earlier doctor found out is told again."""
    async with sandbox(WORLD) as served:
        before = await look(assign(served, tmp_path))
        after = await look(assign(served, tmp_path), probe=False)
    assert answers(after) == {question: answer for question, answer in answers(before).items() if answer}


async def test_a_nearly_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 4, and everything else is looked at all the same."""
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil has it
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 10**6))
    async with sandbox(WORLD) as served:
        health = await look(assign(served, tmp_path))
    assert health.exit_code is ExitCode.STORAGE
    assert [check.area for check in bad(health)] == [Area.DISK]
    assert any(check.what.startswith("token agency works") for check in health.checks)


async def test_the_last_nights_are_weighed(tmp_path: Path) -> None:
    """After a run the disk's room is said in days such as the last."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path)
        assert (await run(assignment)).complete
        health = await look(assignment)
    assert "days such as the last 3" in in_words(health)
    assert f"is sound, of schema {SCHEMA_VERSION}: 4 accounts, 28 days of accounts complete" in in_words(health)


async def test_files_that_others_can_read(tmp_path: Path) -> None:
    """The config's secrets and the stored tokens: each is named with its mode and the command that closes it."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o644)
    async with sandbox(WORLD, Switches(grants=(Grant(refresh=REFRESH, expires_at=NOW_S - 10),))) as served:
        assignment = with_tokens(assign(served, tmp_path / "zone"), agency=RENEWABLE)
        await look(assignment)
        stored = assignment.state_dir / "tokens" / "agency.json"
        stored.chmod(0o644)
        stored.parent.chmod(0o755)
        health = await look(assignment, Papers(config=tmp_path / "x.toml", secrets=[secret]))
    told = {check.what.split(" is open to")[0]: check.advice for check in bad(health, Area.FILES)}
    assert told.keys() == {str(secret), str(stored.parent), str(stored)}
    assert told[str(secret)].startswith(f"chmod o= {secret};")
    assert told[str(stored)].startswith(f"chmod 600 {stored}")
    assert (health.exit_code, stored.stat().st_mode & 0o777) == (0, 0o600)


async def test_a_file_in_the_way(tmp_path: Path) -> None:
    """A landing zone that cannot be made: exit code 4, and nothing is asked."""
    (tmp_path / "zone").write_text("")
    async with sandbox(WORLD) as served:
        health = await look(assign(served, tmp_path / "zone"))
        assert served.stats.requests == 0
    assert health.exit_code is ExitCode.STORAGE
    assert "is no folder" in bad(health)[0].what


def _damage(state_dir: Path) -> None:
    ledger_of(state_dir).write_bytes(b"")


def _lose(state_dir: Path) -> None:
    ledger_of(state_dir).unlink()


def _lose_files(state_dir: Path) -> None:
    for day in state_dir.parent.glob("dt=*"):
        shutil.rmtree(day)


@pytest.mark.parametrize(
    ("harm", "says"), [(_damage, "is damaged"), (_lose, "there is no ledger"), (_lose_files, "holds no day at all")]
)
async def test_a_ledger_that_cannot_be_used(harm: Callable[[Path], None], says: str, tmp_path: Path) -> None:
    """Exit code 4 with what mends it; nothing is asked, nothing is made in its place."""
    async with sandbox(WORLD) as served:
        assignment = assign(served, tmp_path)
        await run(assignment)
        harm(assignment.state_dir)
        before, asked = ledger_of(assignment.state_dir).exists(), served.stats.requests
        health = await look(assignment)
        assert served.stats.requests == asked
    assert health.exit_code is ExitCode.STORAGE
    assert says in bad(health, Area.LEDGER)[0].what
    assert ledger_of(assignment.state_dir).exists() is before


async def test_sick_accounts_are_named(tmp_path: Path) -> None:
    """What runs found of accounts that cannot be read is told, and such an account is not asked first."""
    async with sandbox(WORLD, Switches(account_codes={BUSY: 32211})) as served:
        assignment = assign(served, tmp_path)
        await run(assignment)
        health = await look(assignment)
    (found,) = bad(health)
    assert found.what.startswith(f"1 account inactive: {BUSY}: code 32211")
    assert "enabled = false" in found.advice


# ── hints and runs ────────────────────────────────────────────────────────────────────────────────────────────────────

WRONG = {
    "an exclusive end": {Question.END_DATE: "exclusive"},
    "an inclusive end": {Question.END_DATE: "inclusive"},
    "large pages": {Question.PAGE_SIZE: "1000"},
    "small pages": {Question.PAGE_SIZE: "25", Question.REFUSED_SIZE: "26"},
    "tiny pages": {Question.PAGE_SIZE: "1", Question.REFUSED_SIZE: "2"},
    "sizes upside down": {Question.PAGE_SIZE: "300", Question.REFUSED_SIZE: "30"},
    "another order": {Question.ORDER: "none", Question.CURSOR: "ignored", Question.TOTAL: "the rest"},
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("mode", MODES)
async def test_a_wrong_hint_loses_nothing(mode: str, wrong: str, tmp_path: Path) -> None:
    """Every hint, right or wrong, in every mode: each file holds what the sandbox holds, and that is proven."""
    tie_size, switches = MODES[mode]
    world = World(today=TODAY, accounts=2, calls_per_day=25, tie_size=tie_size)
    async with sandbox(world, switches) as served:
        assignment = assign(served, tmp_path)
        with Ledger.open(assignment.state_dir) as ledger:
            hints = [
                Hint(question=one, answer=answer, evidence="x", at=NOW_S - 5) for one, answer in WRONG[wrong].items()
            ]
            ledger.keep_hints(hints)
        report = await run(assignment)
    assert report.complete
    for account in world.account_ids:
        true = list(world.calls(account, assignment.scope.window))
        assert same(landed(assignment, account), true, indented=switches.pretty)


async def test_runs_keep_what_they_find_and_use_it(tmp_path: Path) -> None:
    """A run that was refused its page size leaves that for the next one, which asks in vain no more."""
    async with sandbox(WORLD, Switches(max_page_size=30)) as served:
        assignment = assign(served, tmp_path)
        assert (await run(assignment)).complete
        refused = served.stats.codes[60013]
        with Ledger.open(assignment.state_dir) as ledger:
            kept = {hint.question: hint.answer for hint in ledger.hints()}
        assert (await run(assignment)).complete
        assert served.stats.codes[60013] == refused > 0
    assert kept[Question.END_DATE] == "inclusive"
    assert kept[Question.REFUSED_SIZE] == "31"
    assert kept[Question.PAGE_SIZE] == "30"


async def test_a_right_hint_spares_requests(tmp_path: Path) -> None:
    """Where calls of the end date do not come, a run that knows reads its slices once."""
    requests = {}
    for known in (False, True):
        async with sandbox(WORLD, Switches(end_date=EndDate.EXCLUSIVE)) as served:
            assignment = assign(served, tmp_path / str(known))
            if known:
                await look(assignment)
            before = served.stats.requests
            assert (await run(assignment)).complete
            requests[known] = served.stats.requests - before
    assert requests[True] < requests[False]
