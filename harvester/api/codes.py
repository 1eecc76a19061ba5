"""What each return code means and what a client does about it: one table. Pure.

Codes, meanings and advice: the return-code pages of the official v3.0 documentation, the official clients, and, where
they are silent, the cautious choice. A code that is not in the table is judged by its `code_type`.
"""

from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple, Self

from harvester.errors import Complaint


class Verdict(Enum):
    """What to do with a call after one attempt went wrong."""

    RETRY = "repeat with backoff"
    RETRY_NOW = "repeat at once, with a new nonce"
    FIX_CLOCK = "measure the clock's skew, correct, repeat"
    RENEW_TOKEN = "refresh the access token, repeat"
    REREAD_TOKEN = "read the stored token again, repeat once"
    STOP_TOKEN = "send nothing more under this token"
    SKIP_ACCOUNT = "skip the account, report it"
    FAIL_SLICE = "fail this slice"
    SMALLER_PAGE = "ask for fewer calls a page"
    LESS_DEEP = "ask less deep: smaller pages, or by cursor"
    WAIT_A_SECOND = "the app waits a second"
    PAUSE_APP = "the app pauses: 60 s, then 300 s"
    SLOW_APP = "the app backs off"
    END_APP_DAY = "the app stops until the next day"


class Meaning(NamedTuple):
    """A row of the table."""

    text: str
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What one attempt brought instead of a page.

    Attributes:
        text: For a person: cleaned, short, without secrets, URL or phone number; so are the next two.
        message: The API's own `message`.
        message_cn: Its `message_cn`.
        code: The API's return code; `None` when there was no envelope.
        status: The HTTP status; `None` when there was no answer.
        system: Whether the API calls it a `SysException`.
        trace_id: What Tencent's support asks for.
        retry_after_s: The server's own wish, in seconds.
        date: The server's clock, Unix seconds, from the `Date` header.
        unreachable: Whether no connection came about, so that nothing was sent.
    """

    text: str
    message: str = ""
    message_cn: str = ""
    code: int | None = None
    status: int | None = None
    system: bool = False
    trace_id: str | None = None
    retry_after_s: float | None = None
    date: float | None = None
    unreachable: bool = False

    def without(self, secret: str) -> Self:
        """The fault, with a secret that the server echoed struck out."""
        texts = {name: getattr(self, name) for name in ("text", "message", "message_cn", "trace_id")}
        return replace(self, **{name: text and text.replace(secret, "***") for name, text in texts.items()})

    @property
    def complaint(self) -> Complaint | None:
        """The API's own words; `None` when no answer came."""
        if self.status is None:
            return None
        return Complaint(code=self.code, message=self.message, message_cn=self.message_cn, trace_id=self.trace_id)

    def __str__(self) -> str:
        trace = f" (trace {self.trace_id})" if self.trace_id else ""
        if self.code is None:
            return f"{self.text}{trace}"
        known = TABLE.get(self.code)
        said = f", the API says: {self.text}" if self.text else ""
        return f"code {self.code}, {known.text if known else 'an unknown code'}{said}{trace}"


_NO_SCOPE: Final = (
    "the authorisation lacks the scope for leads_call_records/get (one of ads_management, ads_insights, "
    "account_management, audience_management, user_actions): get it granted to the app, then authorise again, since "
    "tokens given before do not have it"
)
"""The scopes are those of the endpoint's official page."""


def _rows() -> dict[int, Meaning]:
    table: dict[int, Meaning] = {}

    def add(verdict: Verdict, text: str, *codes: int) -> None:
        table.update(dict.fromkeys(codes, Meaning(text, verdict)))

    add(Verdict.RENEW_TOKEN, "the access token has expired", 11000)
    add(Verdict.REREAD_TOKEN, "the access token is invalid", 11002)
    add(
        Verdict.STOP_TOKEN,
        "the token or the app is unusable, a person must re-authorise it",
        11004,
        11005,
        11007,
        11011,
    )
    add(Verdict.STOP_TOKEN, "the token or the app is unusable, a person must re-authorise it", 11010, 11012, 11030)
    add(Verdict.STOP_TOKEN, _NO_SCOPE, 11014, 60001)
    add(Verdict.STOP_TOKEN, f"the app may not read calls; {_NO_SCOPE}", 60081)
    add(Verdict.RETRY_NOW, "the nonce was used before", 12100)
    add(Verdict.FIX_CLOCK, "the timestamp is too far off", 12101)
    add(Verdict.SKIP_ACCOUNT, "the token may not read this account", 12201, 12203)
    add(Verdict.SKIP_ACCOUNT, "the account is inactive", 32211, 64015)
    add(Verdict.SKIP_ACCOUNT, "the account is unknown, of the wrong role, or barred", 60002, 60003, 80008)
    add(Verdict.FAIL_SLICE, "a wrong request", 12000, 12003, 12007, 12008, 12009, *range(18001, 18015))
    add(Verdict.FAIL_SLICE, "a wrong request", *range(60008, 60012), 60014, 60015, *range(60069, 60074), 31002, 31057)
    add(Verdict.FAIL_SLICE, "the token is no organisation's", 71003, 71004)  # said of lists, not of calls
    add(Verdict.LESS_DEEP, "the page number or depth is too large", 60012, 60022)
    add(Verdict.SMALLER_PAGE, "the page size is too large", 60013)
    add(Verdict.WAIT_A_SECOND, "the limit per second is reached", 11016)
    add(Verdict.PAUSE_APP, "the app's limit per minute is reached", 11017)
    add(Verdict.END_APP_DAY, "the app's limit per day is reached", 11018)
    add(Verdict.SLOW_APP, "a limit is reached", 11008, 11019, 60005, 64016, 30104, 1000003, 1000284)
    add(Verdict.RETRY, "the API is busy", 10000, 10001, *range(30000, 30100), 51001, 60000, 60007, 62000)
    add(Verdict.RETRY, "the API is busy", 1000000, 1000002, 12700)
    return table


TABLE = MappingProxyType(_rows())
"""Return code → meaning and verdict."""


def judge(fault: Fault) -> Verdict:
    """What to do about a fault; unknown codes never do more harm than to their slice."""
    if fault.code is not None:
        known = TABLE.get(fault.code)
        if known:
            return known.verdict
        return Verdict.RETRY if fault.system or (fault.status or 0) >= 500 else Verdict.FAIL_SLICE
    # no answer, no envelope, a redirect (never followed), a gateway that gave up or bars this machine
    return Verdict.SLOW_APP if fault.status == 429 else Verdict.RETRY
