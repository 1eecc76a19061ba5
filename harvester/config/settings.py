"""The settings: one frozen pydantic model a table of the TOML file, and the whole they make.

A field whose name carries a unit has the TOML key as its alias; every message, schema and explanation uses the key.
A field's docstring is its description for editors.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic.fields import FieldInfo

from harvester.config.aftermath import MetricsSection, NotifySection
from harvester.config.leaves import Day, Duration, Size, Whole
from harvester.config.patterns import Patterns
from harvester.config.section import Section
from harvester.config.texts import Array, BaseUrl, Choice, FilePath, Secret, Text
from harvester.config.values import MAX_INT64, DayExpr
from harvester.errors import ConfigError, Problem
from harvester.model import LARGEST, Account, AppName, PageSize, TokenName, Window
from harvester.roll import Pattern

Compression = Literal["zstd", "gzip", "none"]
OnMissing = Literal["keep", "drop"]
Renewal = Literal["extend", "rotate"]
Via = Literal["advertiser", "organization"]
Name = Text(r"[A-Za-z0-9_-]{1,64}", "a name of letters, digits, - and _, at most 64")
AppReference = Text(r"[A-Za-z0-9_-]{1,64}", "the name of an [apps.NAME] table")
TokenReference = Text(r"[A-Za-z0-9_-]{1,64}", "the name of a [tokens.NAME] table")
ClientId = Text(r"[0-9]{1,20}", 'digits in quotes, such as "1100000"')


class ApiSection(Section):
    """How the API is asked."""

    base_url: Annotated[str, BaseUrl()] = "https://api.e.qq.com"
    """Where the API lives: https, or http on loopback."""
    page_size: Annotated[PageSize, Whole(1, 10_000, word=LARGEST)] = 100
    """Calls asked for at a time; the API's own maximum is not documented: "largest" finds it, and remembers."""
    timeout_s: Annotated[float, Duration("10ms", "10m")] = Field(default=30.0, alias="timeout")
    """How long one attempt may take, from connecting to the answer's last byte."""


class WindowSection(Section):
    """Which Beijing days are harvested, both ends included."""

    start: Annotated[DayExpr, Day()] = DayExpr(days_ago=7)
    """First day."""
    end: Annotated[DayExpr, Day()] = Field(default=DayExpr(days_ago=1), validate_default=True)
    """Last day."""
    reread_days: Annotated[int | None, Whole(1, 3660, off="none")] = 7
    """Days younger than this are read again every run; "none" reads a complete day never again."""

    @field_validator("end")
    @classmethod
    def _is_not_before_start(cls, end: DayExpr, info: ValidationInfo) -> DayExpr:
        start = info.data.get("start")
        if start is not None and end.surely_before(start):
            raise ValueError(f"the window ends ({end}) before it starts ({start})")
        return end

    def between(self, start: DayExpr | None, end: DayExpr | None) -> "WindowSection":
        """This section with one or both ends replaced; `None` keeps the config's own."""
        return self.model_copy(update={"start": start or self.start, "end": end or self.end})

    def on(self, today: dt.date) -> Window:
        """The days that are meant when today is `today`, a Beijing day.

        Raises:
            ConfigError: The window would end before it starts, or after today.
        """
        start, end = self.start.on(today), self.end.on(today)
        if end < start:
            message = f"the window ends ({_read_as(self.end, end)}) before it starts ({_read_as(self.start, start)})"
            raise ConfigError([Problem(where="window.end", message=message)])
        if end > today:
            message = f"the window ends on {end}, in the future; today is {today} in Beijing"
            raise ConfigError([Problem(where="window.end", message=message)])
        return Window(start, end)


class LimitsSection(Section):
    """What a run may use at once."""

    in_flight: Annotated[int, Whole(1, 1000)] = 32
    """Requests awaiting an answer, all apps together."""


class RetrySection(Section):
    """How often a failed call is tried again, and for how long an API that is silent."""

    attempts: Annotated[int, Whole(1, 100)] = 6
    """Attempts of one call, the first included; 1 never tries again."""
    max_backoff_s: Annotated[float, Duration("1ms", "1h")] = Field(default=60.0, alias="max_backoff")
    """Longest wait between two attempts."""
    give_up_after_s: Annotated[float | None, Duration("1s", "24h", off=True)] = Field(
        default=1800.0, alias="give_up_after"
    )
    """How long the API may give no answer at all before the run ends, resumable (exit code 8); "none": for ever."""


class OutputSection(Section):
    """Where calls land."""

    dir: Annotated[Path, FilePath()] = Path("landing")
    """The landing zone's folder; a relative path is relative to the config file."""
    compression: Annotated[Compression, Choice(get_args(Compression))] = "zstd"
    """How files are compressed."""
    on_missing: Annotated[OnMissing, Choice(get_args(OnMissing))] = "keep"
    """What becomes of a call that landed and that a later, complete reading of its day does not bring any more."""


class StateSection(Section):
    """Where harvester remembers."""

    dir: Annotated[Path, FilePath()] = Field(examples=["landing/.harvester"])
    """Ledger and refreshed tokens; `.harvester` in the output directory if left out."""
    tokens_dir: Annotated[Path, FilePath()] = Field(examples=["landing/.harvester/tokens"])
    """Refreshed tokens, for all configs that share them; `tokens` in the state directory if left out."""
    checkpoint_every_s: Annotated[float | None, Duration("1s", "1h", off=True)] = Field(
        default=30.0, alias="checkpoint_every"
    )
    """How long after its last checkpoint an open slice is saved; "none" leaves that to `checkpoint_size`."""
    checkpoint_size_bytes: Annotated[int | None, Size("64KiB", "64GiB", off=True)] = Field(
        default=32 * 2**20, alias="checkpoint_size"
    )
    """After how many bytes of calls an open slice is saved; "none" leaves that to `checkpoint_every`."""
    resume_within_s: Annotated[float | None, Duration("1d", "366d", off=True)] = Field(
        default=7 * 86_400.0, alias="resume_within"
    )
    """How long ago a slice may have been begun to go on with it; recording links die after 7 days."""


class AppSection(Section):
    """One app of the developer's console; quotas are per app."""

    client_id: Annotated[str, ClientId] = Field(examples=["1100000"])
    """The app's id in the developer's console."""
    client_secret: Annotated[SecretStr | None, Secret()] = Field(
        default=None, examples=["${HARVESTER_CLIENT_SECRET}", "${file:/run/secrets/client_secret}"]
    )
    """The app's secret; only needed to refresh tokens."""
    requests_per_second: Annotated[int | None, Whole(1, 10_000, off="absent")] = Field(default=None, examples=[16])
    """Most requests in any second; no such limit if left out."""
    requests_per_minute: Annotated[int | None, Whole(1, 1_000_000, off="absent")] = Field(default=None, examples=[1000])
    """Most requests in any minute; no limit of ours if left out: the API's own answers are all that slows a run."""
    requests_per_day: Annotated[int | None, Whole(1, 10**9, off="absent")] = Field(default=None, examples=[20_000])
    """Most requests in any 24 hours; no such limit if left out."""


class TokenSection(Section):
    """One access token; it belongs to an app and reads many accounts."""

    app: Annotated[AppName, AppReference] = Field(examples=["main"])
    """The app it belongs to; may be left out if there is only one."""
    access_token: Annotated[SecretStr, Secret()] = Field(examples=["${HARVESTER_TOKEN_A}"])
    """The access token; it lives 24 hours. One that harvester renewed since counts, until this value changes."""
    refresh_token: Annotated[SecretStr | None, Secret()] = Field(default=None, examples=["${HARVESTER_REFRESH_A}"])
    """Renews the access token, together with the app's client_secret; without it the token is used until it dies."""
    renewal: Annotated[Renewal, Choice(get_args(Renewal))] = "extend"
    """How it is renewed: "extend" (oauth/token) keeps the refresh token, "rotate" (oauth/refresh_token) replaces it."""


class AccountsSection(Section):
    """Whose calls are harvested: `ids`, `file`, or both; neither where `[discover.NAME]` finds them."""

    ids: Annotated[tuple[object, ...], Array()] = Field(default=(), examples=[[2045867]])
    """Account ids; only with a single token, which reads them."""
    file: Annotated[Path | None, FilePath()] = Field(default=None, examples=["accounts.csv"])
    """CSV with the header `account_id[,token][,name][,enabled]`; relative to the config file."""


class DiscoverSection(Section):
    """Accounts that find themselves: those that the API lists under a token."""

    token: Annotated[TokenName, TokenReference] = Field(examples=["agency-a"])
    """The token that lists the accounts and reads them; may be left out if there is only one."""
    via: Annotated[Via, Choice(get_args(Via))] = Field(examples=["advertiser"])
    """What lists them: "advertiser" (advertiser/get) for an agency's token, "organization" for an organisation's."""
    agency_id: Annotated[int | None, Whole(1, MAX_INT64, off="absent")] = Field(default=None, examples=[25610])
    """The agency's own account id, for a token that stands for several agencies; the API asks for it there only."""
    include: Annotated[tuple[Pattern, ...], Patterns()] = Field(
        default=(), examples=[["name:*上海*", "status:CUSTOMER_STATUS_NORMAL"]]
    )
    """Of each field that is named here one pattern has to fit; everything is taken if left out."""
    exclude: Annotated[tuple[Pattern, ...], Patterns()] = Field(default=(), examples=[["id:2045*", "name:*test*"]])
    """An account that fits any of these is not harvested."""
    every_s: Annotated[float, Duration("1m", "30d")] = Field(default=20 * 3600.0, alias="every")
    """How old the list of accounts may be before a run asks for a new one."""

    @field_validator("include", "exclude")
    @classmethod
    def _knows_its_fields(cls, patterns: tuple[Pattern, ...], info: ValidationInfo) -> tuple[Pattern, ...]:
        if info.data.get("via") == "organization" and any(one.field == "status" for one in patterns):
            raise ValueError('via "organization" tells no status; expected patterns of id and name')
        return patterns


class Document(Section):
    """A harvester config."""

    api: ApiSection = ApiSection()
    window: WindowSection = WindowSection()
    limits: LimitsSection = LimitsSection()
    retry: RetrySection = RetrySection()
    output: OutputSection = OutputSection()
    state: StateSection
    apps: dict[Annotated[str, Name], AppSection]
    tokens: dict[Annotated[str, Name], TokenSection]
    accounts: AccountsSection = AccountsSection()
    discover: dict[Annotated[str, Name], DiscoverSection] = Field(default_factory=dict)
    metrics: MetricsSection = MetricsSection()
    notify: tuple[NotifySection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """A config that can be used: every reference resolved, every path absolute.

    Attributes:
        apps: By name, at least one.
        tokens: By name, at least one; the app of each exists.
        accounts: The enabled ones, each id once, in the order they were written; at least one, unless some find
            themselves.
        disabled: Those that the file turns off.
        discover: Where accounts find themselves, by name, in the order it was written; the token of each exists.
        metrics: What monitoring reads of a run.
        notify: Who is told how a run ended, in the order it was written.
        notes: Remarks for a person that stop nothing.
        source: The config file.
        origins: Where a key's value came from, by its full name; a key without an entry has its default.
    """

    api: ApiSection
    window: WindowSection
    limits: LimitsSection
    retry: RetrySection
    output: OutputSection
    state: StateSection
    apps: Mapping[str, AppSection]
    tokens: Mapping[str, TokenSection]
    accounts: tuple[Account, ...]
    disabled: tuple[Account, ...] = ()
    discover: Mapping[str, DiscoverSection] = field(default_factory=dict)
    metrics: MetricsSection = field(default_factory=MetricsSection)
    notify: tuple[NotifySection, ...] = ()
    notes: tuple[str, ...] = ()
    source: Path
    origins: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Settings({self.source.name}, {len(self.accounts)} accounts)"


def _read_as(expression: DayExpr, day: dt.date) -> str:
    return f"{day}" if expression.fixed else f'{day}, "{expression}"'


def keys(section: type[Section]) -> dict[str, FieldInfo]:
    """The fields of a table by the key that the TOML file uses."""
    return {field.alias or name: field for name, field in section.model_fields.items()}


def tables() -> dict[str, type[Section]]:
    """Every table of a config by its heading: `api`, `apps.NAME`, `[notify]` for one of many `[[notify]]`."""
    found: dict[str, type[Section]] = {}
    for name, info in Document.model_fields.items():
        inner = get_args(info.annotation)
        if inner[1:] == (...,):
            found[f"[{name}]"] = inner[0]
        elif inner:
            found[f"{name}.NAME"] = inner[1]
        elif isinstance(info.annotation, type):
            found[name] = info.annotation
    return found
