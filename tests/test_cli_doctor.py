"""`harvester doctor` as a shell sees it."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from harvester.landing.ledger import Ledger
from harvester.sandbox.grants import CLIENT_SECRET, REFRESH
from harvester.sandbox.switches import ACCESS
from tests.test_cli import Served, harvester, sandbox

QUOTA = ("--requests-per-minute", "6000")


def close(served: Served) -> Served:
    """The config holds secrets: only its owner may read it."""
    served.config.chmod(0o600)
    return served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A well-behaved sandbox, and a config that is as it should be."""
    with sandbox(tmp_path, *QUOTA) as a_sandbox:
        yield close(a_sandbox)


def test_healthy(served: Served) -> None:
    """Exit code 0, `healthy` in the last line, no secret anywhere; programs are told the same, and that it was so."""
    done = harvester("doctor", served.config)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert (lines[0], lines[-1]) == ("config", "healthy")
    areas = [line for line in lines if not line.startswith(" ")]
    told = ["config", "files", "ledger", "disk", "API", "clock", "tokens", "quota", "accounts", "open questions"]
    assert areas[:-2] == told
    as_json = harvester("doctor", served.config, "--json")
    assert as_json.returncode == 0
    found = orjson.loads(as_json.stdout)
    assert (found["healthy"], found["exit_code"], found["verdict"]) == (True, 0, "healthy")
    assert {"question", "answer", "evidence", "odd", "at"} == set(found["open_questions"][0])
    for secret in (ACCESS, REFRESH, CLIENT_SECRET):
        assert secret not in done.stdout + as_json.stdout
    assert harvester("run", served.config).returncode == 0
    assert harvester("doctor", served.config).stdout.splitlines()[-1] == "healthy"


def test_nothing_is_asked_without_probes(served: Served) -> None:
    """`--no-probe` makes nothing and says what it left out; the exit code is 0."""
    done = harvester("doctor", served.config, "--no-probe")
    assert done.returncode == 0
    assert "note  nothing was asked of it" in done.stdout
    assert not served.landing.exists()


def test_mistakes_exit_2(served: Served) -> None:
    """A config that cannot be used, and an account that it does not have."""
    unknown = harvester("doctor", served.config, "--account", "5")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "--account 5: no enabled account of this id" in unknown.stderr
    served.edit("page_size = 100", "page_size = 0")
    assert harvester("doctor", served.config).returncode == 2


def test_a_token_is_renewed(tmp_path: Path) -> None:
    """An expired one that can be renewed is, and doctor says so."""
    with sandbox(tmp_path, *QUOTA, "--access-life", "1h") as served:
        close(served).edit(ACCESS, "an-old-access-token")
        done = harvester("doctor", served.config)
    assert done.returncode == 0
    assert "token sandbox: was renewed just now" in done.stdout
    assert "an-old-access-token" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("options", "drop_refresh", "says", "advises"),
    [
        (("--access-life", "1ms"), True, "code 11000", "authorise the app again"),
        (("--scope", "targeting"), False, "code 11014", "get the permission for leads_call_records/get granted"),
        (
            ("--access-life", "1ms", "--refresh-life", "1ms"),
            False,
            "renewing it: code 11012",
            "authorise the app again",
        ),
    ],
)
def test_no_token_works(options: tuple[str, ...], drop_refresh: bool, says: str, advises: str, tmp_path: Path) -> None:
    """Exit code 5: expired and not renewable, without the scope, with a dead refresh token."""
    with sandbox(tmp_path, *QUOTA, *options) as served:
        close(served)
        if drop_refresh:
            served.edit(f'refresh_token = "{REFRESH}"\n', "")
        done = harvester("doctor", served.config)
    assert (done.returncode, done.stderr) == (5, "")
    assert "FAIL  token sandbox does not work: " in done.stdout
    assert says in done.stdout
    assert advises in done.stdout
    assert done.stdout.splitlines()[-1] == "not fit: no token works"


def test_one_of_two_tokens_is_dead(served: Served) -> None:
    """Exit code 3: a part of the night would be lost."""
    accounts = served.config.with_suffix(".accounts.csv")
    first, *others = accounts.read_text().splitlines()[1:]
    lines = ["account_id,token", f"{first},second", *(f"{one},sandbox" for one in others)]
    accounts.write_text("".join(f"{line}\n" for line in lines))
    served.edit("[accounts]", '[tokens.second]\napp = "sandbox"\naccess_token = "of-nobody-at-all"\n\n[accounts]')
    done = harvester("doctor", served.config)
    assert done.returncode == 3
    assert done.stdout.splitlines()[-1].startswith("not fit: token second does not work: code 11002")
    assert "of-nobody-at-all" not in done.stdout


def test_an_api_that_is_not_there(tmp_path: Path) -> None:
    """Exit code 8 within seconds, with the setting to look at."""
    with sandbox(tmp_path, *QUOTA) as served:
        close(served)
    done = harvester("doctor", served.config)
    assert done.returncode == 8
    assert "gives no usable answer" in done.stdout
    assert "look at [api] base_url" in done.stdout


def test_while_a_run_is_going(served: Served) -> None:
    """What can be seen without asking is said, with exit code 0; the run is named."""
    with Ledger.open(served.landing / ".harvester"):
        done = harvester("doctor", served.config)
    assert done.returncode == 0
    assert "a run is going: another run holds" in done.stdout
    assert "works" not in done.stdout


def test_modes_and_storage(served: Served) -> None:
    """Secrets that others can read are a warning, exit code 0; a landing zone that cannot be made fails with 4."""
    served.config.chmod(0o644)
    done = harvester("doctor", served.config)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "1 thing to look at")
    assert f"chmod o= {served.config}" in done.stdout
    served.edit('dir = "landing"', 'dir = "nightly.accounts.csv/zone"')
    storage = harvester("doctor", served.config)
    assert storage.returncode == 4
    assert "is no folder" in storage.stdout


def test_a_secret_in_a_file_is_looked_at(served: Served) -> None:
    """A `${file:…}` that others can read is named, a config without secrets is not."""
    secret = served.config.parent / "token"
    secret.write_text(ACCESS)
    secret.chmod(0o604)
    served.edit(f'access_token = "{ACCESS}"', 'access_token = "${file:token}"')
    done = harvester("doctor", served.config, "--no-probe")
    assert f"{secret} is open to everybody on this machine (mode 0604) and holds a secret" in done.stdout
    assert f"chmod o= {served.config};" not in done.stdout


def test_help_tells_the_exit_codes() -> None:
    """The command is listed, and its help names every exit code."""
    assert "doctor" in harvester("--help").stdout
    text = " ".join(harvester("doctor", "--help").stdout.split())
    for code in ("0 healthy", "3 a run would lose", "4 storage", "5 no token", "8 the API", "2 usage"):
        assert code in text
