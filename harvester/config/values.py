"""The small languages of the config: durations, days, base URLs, account ids. Pure."""

import datetime as dt
import ipaddress
import re
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlsplit

from harvester.config.show import did_you_mean, shown
from harvester.model import EARLIEST, ONE_DAY, AccountId

MAX_INT64 = 2**63 - 1

DAY_FORMS = '"YYYY-MM-DD", "today", "yesterday" or "today-N"'
DAY_PATTERN = r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|today|yesterday|today-[0-9]{1,4})"
DURATION_FORMS = 'a duration with its unit (ms, s, m, h or d), such as "30s"'
DURATION_PATTERN = r"(?:[0-9]{1,12}(?:\.[0-9]{1,3})?)(?:ms|s|m|h|d)"
SIZE_FORMS = 'a size with its unit (KiB, MiB or GiB), such as "8MiB"'
SIZE_PATTERN = r"(?:[0-9]{1,6})(?:KiB|MiB|GiB)"
URL_FORMS = '"https://HOST[:PORT]", or http on loopback, without path, query or user name'

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)")
_MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_SIZE = re.compile(r"([0-9]{1,6})(KiB|MiB|GiB)")
_BYTES = {"GiB": 2**30, "MiB": 2**20, "KiB": 2**10}
_NETLOC = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_SCIENTIFIC = re.compile(r"[0-9]+(?:[.,][0-9]+)?[eE][+]?[0-9]+")
_DECIMALS = re.compile(r"[0-9]+[.,]0+")
_GROUPED = re.compile(r"[0-9]{1,3}(?:[,.'\u2019\u00a0\u202f _][0-9]{3})+")


class UnfitError(ValueError):
    """A value is not what its place expects; the message names both and shows no secret."""

    def __init__(self, found: object, expected: str, hint: str = "") -> None:
        parts = (f"found {shown(found)}", f"expected {expected}", hint)
        super().__init__("; ".join(part for part in parts if part))


@dataclass(frozen=True, slots=True)
class DayExpr:
    """A Beijing day, fixed or counted from today.

    Attributes:
        fixed: The day itself; `None` for a day counted from today.
        days_ago: Days before today, from 0; without effect on a fixed day.
    """

    fixed: dt.date | None = None
    days_ago: int = 0

    def on(self, today: dt.date) -> dt.date:
        """The day that is meant when today is `today`, a Beijing day."""
        return self.fixed or today - ONE_DAY * self.days_ago

    def surely_before(self, other: "DayExpr") -> bool:
        """Whether this day lies before the other one on whatever day both are read."""
        if self.fixed and other.fixed:
            return self.fixed < other.fixed
        return not self.fixed and not other.fixed and self.days_ago > other.days_ago

    def __str__(self) -> str:
        if self.fixed:
            return self.fixed.isoformat()
        return {0: "today", 1: "yesterday"}.get(self.days_ago, f"today-{self.days_ago}")


def parse_day(text: str) -> DayExpr:
    """Reads `YYYY-MM-DD`, `today`, `yesterday` or `today-N` (N from 0 to 9999).

    Raises:
        ValueError: With what was found and what is expected.
    """
    if text in {"today", "yesterday"}:
        return DayExpr(days_ago=int(text == "yesterday"))
    if re.fullmatch(r"today-[0-9]{1,4}", text):
        return DayExpr(days_ago=int(text.removeprefix("today-")))
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise UnfitError(text, DAY_FORMS, did_you_mean(text, ("today", "yesterday")))
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        raise UnfitError(text, DAY_FORMS, "the calendar has no such day") from None
    if day < EARLIEST:
        raise UnfitError(text, f"a day from {EARLIEST} on")
    return DayExpr(fixed=day)


def parse_duration(text: str) -> float:
    """Reads a duration such as `500ms`, `30s`, `1.5m`, `4h` or `7d`.

    Args:
        text: One number, at most three decimals, and one unit; longer than zero, in whole milliseconds.

    Returns:
        Seconds.

    Raises:
        ValueError: With what was found and what is expected.
    """
    match = _DURATION.fullmatch(text)
    if not match:
        bare = re.fullmatch(r"[0-9]+", text)
        raise UnfitError(text, DURATION_FORMS, "a number alone has no unit" if bare else "")
    milliseconds = Decimal(match[1]) * _MILLISECONDS[match[2]]
    if milliseconds == 0:
        raise UnfitError(text, "a duration longer than zero", "0 turns nothing off")
    if milliseconds % 1:
        raise UnfitError(text, "whole milliseconds")
    return float(milliseconds / 1000)


def format_duration(seconds: float) -> str:
    """A duration as `parse_duration` reads it, in whole units as people say it: `500ms`, `60s`, `2m`, `24h`, `7d`.

    Args:
        seconds: Longer than zero, in whole milliseconds.
    """
    milliseconds = round(seconds * 1000)
    unit, size = next(
        (unit, size)
        for unit, size in _MILLISECONDS.items()
        if milliseconds % size == 0 and (milliseconds > size or size <= _MILLISECONDS["s"])
    )
    return f"{milliseconds // size}{unit}"


def parse_size(text: str) -> int:
    """Reads a size such as `512KiB` or `8MiB`.

    Returns:
        Bytes, more than none.

    Raises:
        ValueError: With what was found and what is expected.
    """
    match = _SIZE.fullmatch(text)
    if not match:
        bare = re.fullmatch(r"[0-9]+", text)
        raise UnfitError(text, SIZE_FORMS, "a number alone has no unit" if bare else "")
    if not int(match[1]):
        raise UnfitError(text, "a size of more than nothing", "0 turns nothing off")
    return int(match[1]) * _BYTES[match[2]]


def format_size(size_bytes: int) -> str:
    """A size as `parse_size` reads it, in its largest whole unit; whole KiB."""
    unit, factor = next((unit, factor) for unit, factor in _BYTES.items() if size_bytes % factor == 0)
    return f"{size_bytes // factor}{unit}"


def parse_base_url(text: str) -> str:
    """Reads the API's base URL: https, or http on this machine's loopback only; nothing after the port but a slash.

    Returns:
        Scheme, host and port in lower case, without a slash at the end.

    Raises:
        ValueError: With what was found and what is expected; never with a password the URL may hold.
    """
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError:
        raise UnfitError(text, URL_FORMS) from None
    if (
        not re.fullmatch(r"[!-~]+", text)
        or url.scheme not in {"http", "https"}
        or not _NETLOC.fullmatch(url.netloc)
        or port == 0
    ):
        raise UnfitError(text, URL_FORMS)
    if url.path.strip("/") or url.query or url.fragment:
        raise UnfitError(text, URL_FORMS, "the API's own paths are added to it")
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        raise UnfitError(text, URL_FORMS, "http would send tokens to another machine in clear text")
    return f"{url.scheme}://{url.netloc.lower()}"


def is_loopback(host: str) -> bool:
    """Whether the host is this machine's loopback: `localhost`, 127.0.0.0/8 or ::1."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse_account_id(raw: object) -> AccountId:
    """Reads an account id from a TOML integer or the text of a CSV cell.

    Raises:
        ValueError: With what was found, what is expected, and what a spreadsheet did to the number if it did.
    """
    expected = f"an account id, a whole number from 1 to {MAX_INT64}"
    if isinstance(raw, str) and re.fullmatch(r"[1-9][0-9]{0,18}", raw):
        number = int(raw)
    elif isinstance(raw, int) and not isinstance(raw, bool):
        number = raw
    else:
        raise UnfitError(raw, expected, _spreadsheet_damage(raw) if isinstance(raw, str) else "")
    if not 1 <= number <= MAX_INT64:
        raise UnfitError(raw, expected)
    return AccountId(number)


def _spreadsheet_damage(cell: str) -> str:
    """What a spreadsheet did to an id, if this looks like one of its ways; empty if not."""
    if _SCIENTIFIC.fullmatch(cell):
        return (
            "a spreadsheet rounded the number: its last digits are lost; format the column as text, paste the ids anew"
        )
    if _DECIMALS.fullmatch(cell):
        return "a spreadsheet added decimals; format the column as text"
    if _GROUPED.fullmatch(cell):
        return "a spreadsheet added thousands separators; format the column as text"
    return ""
