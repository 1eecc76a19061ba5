"""`[[notify]]`: what a config may say of webhooks, and what it must not show of them."""

from pathlib import Path

import pytest

from harvester.config import explain, load_aftermath
from tests.config.helpers import NOTIFY, SMALLEST, problems_of, settings_of

URL = "https://hooks.example.com/services/T0/B0/of-a-webhook"


def webhook(**keys: str) -> str:
    """A table, as TOML, with some keys other than usual; an empty text leaves one out."""
    if "signed" in keys:  # a `secret=` would look like one
        keys["secret"] = keys.pop("signed")
    known = {"service": '"slack"', "url": f'"{URL}"'} | keys
    return "[[notify]]\n" + "".join(f"{key} = {value}\n" for key, value in known.items() if value)


def test_a_webhook_has_its_defaults(tmp_path: Path) -> None:
    """Service and address are enough: it is told of what a person has to know."""
    (one,) = settings_of(tmp_path, SMALLEST + NOTIFY).notify
    assert (one.service, one.url.get_secret_value(), one.secret) == ("slack", URL, None)
    assert one.on == ("failure", "partial", "recovered")
    values = {"event": "partial", "config": "a.toml", "host": "h", "headline": "x", "details": "y"}
    assert one.text.fill(values) == "partial: harvester a.toml on h\nx\ny"


def test_its_address_and_secret_are_masked_and_have_an_origin(tmp_path: Path) -> None:
    """`config explain` shows where they come from, and nothing of them."""
    text = webhook(service='"dingtalk"', url='"${file:hook}"', signed='"${SIGN}"', text='"{calls} of ${TEAM}"')
    (tmp_path / "hook").write_text("https://oapi.example.com/robot/send?access_token=0123456789abcdef\n")
    said = explain(
        settings_of(tmp_path, SMALLEST + NOTIFY + text, {"SIGN": "SEC0123456789", "TEAM": "the-night-watch"})
    )
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert lines.count("[[notify]]") == 2
    assert 'url = "***" # file hook' in lines
    assert 'secret = "***" # environment variable SIGN' in lines
    assert 'text = "{calls} of ${TEAM}" # environment variable TEAM' in lines
    assert not [secret for secret in ("0123456789", "example", "of-a-webhook") if secret in said]


@pytest.mark.parametrize(
    ("table", "where", "message"),
    [
        (webhook(service=""), "notify[0].service", 'is missing; expected "json", "wecom"'),
        (webhook(service='"teams"'), "notify[0].service", 'found "teams"; expected "json"'),
        (webhook(url=""), "notify[0].url", "is missing; expected the webhook's address"),
        (webhook(url='"hooks.example.com"'), "notify[0].url", "(not shown); expected the webhook's address"),
        (webhook(url='"https://u:p@hooks.example.com/"'), "notify[0].url", "(not shown)"),
        (webhook(url='"ftp://hooks.example.com/"'), "notify[0].url", "(not shown)"),
        (webhook(url='"http://hooks.example.com/"'), "notify[0].url", "http would send its key in clear text"),
        (webhook(signed='"abc"'), "notify[0].secret", "slack knows no signing secret; only dingtalk and feishu do"),
        (webhook(on='"failure"'), "notify[0].on", "put it in brackets"),
        (webhook(on="[]"), "notify[0].on", "expected an array"),
        (webhook(on='["failed"]'), "notify[0].on", 'found "failed"'),
        (webhook(on='["recoverd"]'), "notify[0].on", "did you mean recovered?"),
        (webhook(text='"{cals}"'), "notify[0].text", 'unknown field "cals"; did you mean calls?'),
        (webhook(text='"{nonsense}"'), "notify[0].text", "expected one of event, config, host"),
        (webhook(text='"{calls:,}"'), "notify[0].text", 'unknown field "calls"'),
        (webhook(text='"{calls.__class__}"'), "notify[0].text", 'unknown field "calls"'),
        (webhook(text='"{calls[0]}"'), "notify[0].text", "unknown field"),
        (webhook(text='"{calls!r}"'), "notify[0].text", "unknown field"),
        (webhook(text='"{}"'), "notify[0].text", "unknown field"),
        (webhook(text='"{0}"'), "notify[0].text", "unknown field"),
        (webhook(text='"50 % } of"'), "notify[0].text", "a brace that is not closed or not opened"),
        (webhook(text='"{calls"'), "notify[0].text", "a brace that is not closed or not opened"),
        (webhook(text='" "'), "notify[0].text", "expected a text with fields"),
        (webhook(urll='"x"'), "notify[0].urll", "unknown key; did you mean url?"),
        ("[notify]\nservice = 'slack'\n", "notify", "expected an array of tables, [[notify]]"),
    ],
)
def test_mistakes_are_told_before_anything_runs(tmp_path: Path, table: str, where: str, message: str) -> None:
    """Each with its place, what was found and what is expected."""
    problems = problems_of(tmp_path, SMALLEST + table)
    assert list(problems) == [f"test.toml: {where}"]
    assert message in problems[f"test.toml: {where}"]


@pytest.mark.parametrize(
    ("line", "key", "message"),
    [
        ('textfile = "harvester.txt"', "textfile", 'found a name that ends in ".txt"; expected .prom'),
        ("textfile = 5", "textfile", "expected a path"),
        ('pushgateway = "pushgateway:9091"', "pushgateway", 'expected "http://HOST[:PORT]"'),
        ('pushgateway = "http://u:p@gateway"', "pushgateway", "found a URL with a user name"),
        ('pushgateway = "http://gateway/?a=b"', "pushgateway", "without a user name"),
        ('per_account = "true"', "per_account", "write it without quotes"),
        ("per_account = 1", "per_account", "expected true or false"),
        ("per_acount = true", "per_acount", "did you mean per_account?"),
    ],
)
def test_mistakes_in_metrics(tmp_path: Path, line: str, key: str, message: str) -> None:
    """Likewise."""
    problems = problems_of(tmp_path, f"[metrics]\n{line}\n{SMALLEST}")
    assert list(problems) == [f"test.toml: metrics.{key}"]
    assert message in problems[f"test.toml: metrics.{key}"]


def test_metrics_by_reference(tmp_path: Path) -> None:
    """A path is relative to the config; a flag may come from the environment."""
    table = '[metrics]\ntextfile = "${F}.prom"\npushgateway = "http://gateway:9091/"\nper_account = "${P}"\n'
    found = settings_of(tmp_path, table + SMALLEST, {"F": "h", "P": "true"}).metrics
    assert (found.textfile, found.pushgateway, found.per_account) == (
        tmp_path / "h.prom",
        "http://gateway:9091",
        True,
    )


def test_only_json_may_go_by_http_to_another_machine(tmp_path: Path) -> None:
    """Within a cluster there is often nothing else; the chat services are always asked by https."""
    (one,) = settings_of(tmp_path, SMALLEST + webhook(service='"json"', url='"http://alerts.monitoring:8080/x"')).notify
    assert one.service == "json"
    (one,) = settings_of(tmp_path, SMALLEST + webhook(url='"http://127.0.0.1:8080/x"')).notify
    assert one.service == "slack"


def test_the_example_in_nightly_toml_is_the_default(tmp_path: Path) -> None:
    """What stands there as a comment loads once it is uncommented, and says what would be so without it."""
    text = (Path(__file__).parents[2] / "configs" / "nightly.toml").read_text(encoding="utf-8")
    table = text[text.index("# [[notify]]") : text.index("# Accounts that find")]
    table = "".join(f"{line.removeprefix('# ')}\n" for line in table.splitlines())
    env = {"HARVESTER_WEBHOOK": "https://x.example/", "HARVESTER_WEBHOOK_SECRET": "s"}
    shown, usual = settings_of(tmp_path, SMALLEST + table + NOTIFY, env).notify
    assert (shown.on, shown.text) == (usual.on, usual.text)


class TestApartFromTheRest:
    """What follows a run is known though the run cannot use its config."""

    def test_of_a_config_that_is_wrong_elsewhere(self, tmp_path: Path) -> None:
        """A bad accounts file or a secret that is not set must not keep anybody from being told."""
        path = tmp_path / "bad.toml"
        path.write_text('[output]\ndir = "zone"\n[tokens.a]\naccess_token = "${NOWHERE}"\n[limits]\nx = 1\n' + NOTIFY)
        found = load_aftermath(path, {})
        assert [one.service for one in found.notify] == ["slack"]
        assert (found.output_dir, found.state_dir) == (tmp_path / "zone", tmp_path / "zone" / ".harvester")
        assert found.config == "bad.toml"

    def test_of_a_good_one_it_is_the_same(self, tmp_path: Path) -> None:
        """Both ways of reading agree."""
        settings = settings_of(tmp_path, SMALLEST + NOTIFY)
        found = load_aftermath(tmp_path / "test.toml", {})
        assert (found.notify, found.output_dir, found.state_dir) == (
            settings.notify,
            settings.output.dir,
            settings.state.dir,
        )

    def test_where_metrics_are_wrong(self, tmp_path: Path) -> None:
        """People are told all the same."""
        path = tmp_path / "bad.toml"
        for metrics in ('textfile = "x.txt"', "textfle = 5", 'pushgateway = "x"'):
            path.write_text(f"[metrics]\n{metrics}\n{NOTIFY}")
            found = load_aftermath(path, {})
            assert (len(found.notify), found.metrics.textfile, found.metrics.pushgateway) == (1, None, None)

    @pytest.mark.parametrize(
        "text",
        ["not TOML", "", SMALLEST, SMALLEST + webhook(service='"x"'), SMALLEST + webhook(url='"${NOWHERE}"'),
         "[output]\ndir = 5\n" + NOTIFY, "state = 5\n" + NOTIFY, "notify = 5\n",
         "notify = [5]\n", "state.dir = 5\n" + NOTIFY],
    )  # fmt: skip
    def test_nothing_follows_where_that_cannot_be_known(self, tmp_path: Path, text: str) -> None:
        """It is told by loading the config; here nothing fails."""
        path = tmp_path / "bad.toml"
        path.write_text(text)
        assert load_aftermath(path, {}).notify == ()

    def test_nothing_follows_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        """The run says so."""
        assert load_aftermath(tmp_path / "none.toml", {}).notify == ()
