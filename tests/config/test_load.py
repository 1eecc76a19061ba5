import datetime as dt
from pathlib import Path

import pytest

from harvester.config import DayExpr, load
from harvester.config.explain import explain
from harvester.errors import ConfigError
from harvester.model import Account, AccountId, AppName, TokenName, Window
from tests.config.helpers import (
    ACCOUNTS,
    APPS,
    SMALLEST,
    TOKENS,
    TWO_APPS,
    TWO_TOKENS,
    settings_of,
)

TODAY = dt.date(2026, 11, 3)


def test_the_least_config_has_every_default(tmp_path: Path) -> None:
    """An app, a token and an account are enough; everything else is as documented."""
    settings = settings_of(tmp_path, SMALLEST)
    assert settings.api.base_url == "https://api.e.qq.com"
    assert (settings.api.page_size, settings.api.timeout_s) == (100, 30)
    assert settings.window.on(TODAY) == Window(dt.date(2026, 10, 27), dt.date(2026, 11, 2))
    assert settings.window.reread_days == 7
    assert settings.limits.in_flight == 32
    assert (settings.retry.attempts, settings.retry.max_backoff_s, settings.retry.give_up_after_s) == (6, 60, 1800)
    assert (settings.output.dir, settings.output.compression) == (tmp_path / "landing", "zstd")
    assert settings.state.dir == tmp_path / "landing" / ".harvester"
    app = settings.apps["main"]
    assert (app.client_id, app.client_secret) == ("1100000", None)
    assert app.requests_per_second is app.requests_per_minute is app.requests_per_day is None
    token = settings.tokens["agency-a"]
    assert (token.app, token.access_token.get_secret_value(), token.refresh_token) == ("main", "token-of-a", None)
    account = Account(id=AccountId(2045867), token=TokenName("agency-a"), app=AppName("main"))
    assert (settings.accounts, settings.disabled, settings.notes) == ((account,), (), ())
    assert settings.source == tmp_path / "test.toml"


def test_a_full_config_is_read_to_the_last_key(tmp_path: Path) -> None:
    """Every key of the contract arrives, typed, with its unit."""
    (tmp_path / "list.csv").write_text("account_id,token,name,enabled\n7,t,Cars,yes\n8,t,,no\n")
    text = """
        [api]
        base_url = "http://127.0.0.1:${PORT}/"
        page_size = 50
        timeout = "500ms"
        [window]
        start = 2026-10-01
        end = "today"
        reread_days = "none"
        [limits]
        in_flight = 4
        [retry]
        attempts = 1
        max_backoff = "5m"
        give_up_after = "none"
        [output]
        dir = "/srv/calls"
        compression = "none"
        [state]
        dir = "state"
        [apps.a]
        client_id = "1"
        client_secret = "${file:secret}"
        requests_per_second = 16
        requests_per_minute = "${RATE:-1000}"
        requests_per_day = 20_000
        [tokens.t]
        app = "a"
        access_token = "x"
        refresh_token = "y"
        [accounts]
        ids = [9, "${ID}"]
        file = "list.csv"
    """
    (tmp_path / "secret").write_text("shh\n")
    settings = settings_of(tmp_path, text, {"PORT": "8080", "ID": "10"})
    assert (settings.api.base_url, settings.api.page_size, settings.api.timeout_s) == ("http://127.0.0.1:8080", 50, 0.5)
    assert settings.window.start == DayExpr(fixed=dt.date(2026, 10, 1))
    assert settings.window.reread_days is None
    assert (settings.limits.in_flight, settings.retry.attempts, settings.retry.max_backoff_s) == (4, 1, 300)
    assert settings.retry.give_up_after_s is None
    assert (settings.output.dir, settings.output.compression) == (Path("/srv/calls"), "none")
    assert settings.state.dir == tmp_path / "state"
    app = settings.apps["a"]
    assert app.client_secret is not None
    assert app.client_secret.get_secret_value() == "shh"
    assert type(app.client_secret.get_secret_value()) is str
    assert (app.requests_per_second, app.requests_per_minute, app.requests_per_day) == (16, 1000, 20_000)
    assert [(account.id, account.name) for account in settings.accounts] == [(9, None), (10, None), (7, "Cars")]
    assert [account.id for account in settings.disabled] == [8]


def test_a_byte_order_mark_does_not_matter(tmp_path: Path) -> None:
    """A config saved by a Windows editor loads."""
    assert settings_of(tmp_path, "\ufeff" + SMALLEST.replace("\n", "\r\n")).apps


def test_the_environment_is_the_process_environment_unless_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an explicit environment the process's own is used."""
    monkeypatch.setenv("HARVESTER_TEST_TOKEN", "from-outside")
    path = tmp_path / "c.toml"
    path.write_text(SMALLEST.replace("token-of-a", "${HARVESTER_TEST_TOKEN}"))
    assert load(path).tokens["agency-a"].access_token.get_secret_value() == "from-outside"


def test_paths_do_not_depend_on_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A config named by a relative path gives absolute paths beside itself."""
    settings_of(tmp_path, SMALLEST)
    monkeypatch.chdir(tmp_path.parent)
    settings = load(Path(tmp_path.name) / "test.toml", {})
    assert settings.output.dir == tmp_path / "landing"


def test_several_tokens_share_a_file(tmp_path: Path) -> None:
    """Each account gets the token its line names, and that token's app."""
    (tmp_path / "a.csv").write_text("account_id,token\n1,agency-b\n2,agency-a\n")
    tokens = TWO_TOKENS.replace("[tokens.agency-a]", '[tokens.agency-a]\napp = "main"').replace(
        "[tokens.agency-b]", '[tokens.agency-b]\napp = "other"'
    )
    settings = settings_of(tmp_path, TWO_APPS + tokens + '[accounts]\nfile = "a.csv"\n')
    assert [(account.id, account.token, account.app) for account in settings.accounts] == [
        (1, "agency-b", "other"),
        (2, "agency-a", "main"),
    ]


def test_an_account_that_is_written_twice_counts_once(tmp_path: Path) -> None:
    """Duplicates that agree are one account and a note; the first place wins."""
    (tmp_path / "a.csv").write_text("account_id,name\n2045867,Cars\n5,\n5,\n")
    settings = settings_of(tmp_path, SMALLEST + 'file = "a.csv"\n')
    assert [account.id for account in settings.accounts] == [2045867, 5]
    assert settings.notes == (
        "a.csv: line 2: account 2045867 is already at test.toml: accounts.ids[0]; counted once",
        "a.csv: line 4: account 5 is already at a.csv: line 3; counted once",
    )


def test_a_refresh_token_without_a_secret_is_noted(tmp_path: Path) -> None:
    """A refresh token that cannot be used stops nothing but is said."""
    settings = settings_of(tmp_path, APPS + TOKENS + 'refresh_token = "r"\n' + ACCOUNTS)
    assert settings.notes == ("test.toml: tokens.agency-a.refresh_token: has no use without apps.main.client_secret",)


def test_the_window_is_checked_against_today(tmp_path: Path) -> None:
    """A window in the future, or one that ends before it starts, is refused on the day it is asked for."""
    settings = settings_of(tmp_path, "[window]\nstart = 2026-11-03\nend = 'today'\n" + SMALLEST)
    assert settings.window.on(TODAY) == Window(TODAY, TODAY)
    with pytest.raises(ConfigError, match=r'ends \(2026-11-02, "today"\) before it starts \(2026-11-03\)'):
        settings.window.on(TODAY - dt.timedelta(days=1))
    later = settings.window.between(None, DayExpr(fixed=dt.date(2026, 11, 4)))
    with pytest.raises(ConfigError, match="in the future; today is 2026-11-03 in Beijing"):
        later.on(TODAY)


def test_the_ends_of_the_window_can_be_replaced(tmp_path: Path) -> None:
    """A command line's days take the place of the config's, one or both."""
    window = settings_of(tmp_path, SMALLEST).window
    assert window.between(None, None) == window
    assert window.between(DayExpr(days_ago=3), None).on(TODAY) == Window(dt.date(2026, 10, 31), dt.date(2026, 11, 2))


def test_settings_do_not_change(tmp_path: Path) -> None:
    """Assigning to a setting is an error."""
    settings = settings_of(tmp_path, SMALLEST)
    with pytest.raises(ValueError, match="frozen"):
        settings.api.page_size = 5  # type: ignore[misc]  # the point of the test


def test_the_largest_page_may_be_asked_for(tmp_path: Path) -> None:
    """A word in place of a number, also out of the environment."""
    for written in ('"largest"', '"${SIZE}"', '"${SIZE:-largest}"'):
        settings = settings_of(tmp_path, f"[api]\npage_size = {written}\n" + SMALLEST, {"SIZE": "largest"})
        assert settings.api.page_size == "largest"
        assert 'page_size = "largest"' in explain(settings)
