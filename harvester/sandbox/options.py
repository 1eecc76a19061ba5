"""The sandbox's switches as options of its command."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final, TypeVar

import click

from harvester.sandbox import switches as switch
from harvester.sandbox.faults import FaultKind
from harvester.sandbox.grants import Grant
from harvester.sandbox.switches import Switches
from harvester.sandbox.values import account_code, duration, duration_or_none, fault, limit, outage, poison

Decorated = TypeVar("Decorated", bound=Callable[..., object])
Number = click.IntRange | click.FloatRange | Callable[[str], float | None]
_DEFAULTS: Final = Switches()
_GRANT: Final = Grant()
_FAULTS: Final = ", ".join("code:N" if kind is FaultKind.CODE else str(kind) for kind in FaultKind)


def _enum(field: str, kind: type[StrEnum], text: str) -> Callable[[Decorated], Decorated]:
    """An option for a switch with named positions."""
    return click.option(
        _flag(field),
        type=click.Choice([str(position) for position in kind]),
        default=str(_default(field)),
        show_default=True,
        callback=lambda _context, _option, value: kind(value),
        help=text,
    )


def _number(field: str, kind: Number, text: str) -> Callable[[Decorated], Decorated]:
    """An option for a switch with a number."""
    default = _default(field)
    if kind is duration:
        default = _in_words(default)
    elif kind in {limit, duration_or_none}:
        default = "none" if default is None else _in_words(default) if kind is duration_or_none else str(default)
    return click.option(_flag(field), field, type=kind, default=default, show_default=True, help=text)


def _chances(field: str, flag: str, text: str) -> Callable[[Decorated], Decorated]:
    """An option for the faults of one kind of request."""
    return click.option(
        flag,
        field,
        multiple=True,
        type=fault,
        metavar="FAULT=PROBABILITY",
        callback=lambda _context, _option, value: dict(value),
        help=text,
    )


def _default(field: str) -> Any:
    """What a switch, or the one grant, has unless told otherwise."""
    return getattr(_DEFAULTS, field) if hasattr(_DEFAULTS, field) else getattr(_GRANT, field)


def _in_words(seconds: float) -> str:
    """A duration as it is typed; hours and days where they come out even."""
    for unit_s, unit in ((86_400, "d"), (3_600, "h")):
        if seconds and seconds % unit_s == 0 and seconds > unit_s:
            return f"{seconds / unit_s:g}{unit}"
    return f"{seconds:g}s"


def _flag(field: str) -> str:
    return "--" + field.removesuffix("_s").replace("_", "-")


_OPTIONS: Final = (
    _enum("order", switch.Order, "Order of calls by start."),
    _enum("cursor", switch.CursorRule, "Whether search_after includes its own second."),
    _enum("ties", switch.Ties, "Order of calls within one second."),
    _number("max_page_size", click.IntRange(min=1), "Largest page, in calls."),
    _enum("oversize", switch.Oversize, "What a larger page_size leads to."),
    _number("max_depth", limit, "Deepest call that page numbers reach; beyond it 60022."),
    _enum("total", switch.Total, "What total_number counts."),
    _number("total_cap", click.IntRange(min=0), "The cap of --total capped."),
    _enum("end_date", switch.EndDate, "Whether the window's last day belongs to it."),
    _enum("empty", switch.Empty, "What entities is when there are none."),
    _enum("numbers", switch.Numbers, "How page_info writes numbers."),
    click.option("--gzip", is_flag=True, help="Compress for clients that accept it."),
    click.option("--pretty", is_flag=True, help="Indent the JSON, inside of calls too."),
    click.option("--extra-field", is_flag=True, help="Add fields that no document knows."),
    _number("late_calls", click.IntRange(min=0), "Last calls of each day that are not there at first."),
    _number("late_after", click.IntRange(min=0), "Pages of an account until its late calls are there."),
    _number("vanish_calls", click.IntRange(min=0), "Last calls of each day that vanish."),
    _number("vanish_after", click.IntRange(min=0), "Pages of an account until they do."),
    _number("latency_s", duration, "Before each answer, half to one and a half of it."),
    _number("slow_latency_s", duration_or_none, "The same during slow times; none: there are none."),
    _number("slow_from_s", duration_or_none, "When slow times begin, counted from the beginning."),
    _number("slow_until_s", duration_or_none, "When they end; none: never."),
    _number("requests_per_second", limit, "Quota of the app: beyond it 11016."),
    _number("requests_per_minute", limit, "Quota of the app: beyond it 11017."),
    _number("requests_per_day", limit, "Quota of the app: beyond it 11018."),
    _enum("alignment", switch.Alignment, "Which seconds and minutes these hold in: any, or the clock's own."),
    click.option("--quota-header/--no-quota-header", default=True, show_default=True, help="X-RateLimit-Remaining."),
    _number("penalty_s", duration, "How long 11017 lasts."),
    _number("next_penalty_s", duration_or_none, "How long when it comes again within 15 minutes; none: as long."),
    _number("neighbour_per_minute", click.IntRange(min=0), "Requests that another program sends under each app."),
    _number("neighbour_from_s", duration_or_none, "When it begins to, counted from the beginning."),
    _number("neighbour_until_s", duration_or_none, "When it ends; none: never."),
    _number("dead_account_share", click.FloatRange(0, 1), "Share of accounts that answer with an error."),
    click.option(
        "--account-code",
        "account_codes",
        multiple=True,
        type=account_code,
        metavar="ACCOUNT=CODE",
        callback=lambda _context, _option, value: dict(value),
        help="Let an account answer with this code; repeatable.",
    ),
    click.option(
        "--poison",
        multiple=True,
        type=poison,
        metavar="ACCOUNT:DAY=CODE",
        help="Let windows with this day of an account meet a code or fault; repeatable.",
    ),
    _chances("faults", "--fault", f"How likely a request for calls meets a fault; repeatable. Faults: {_FAULTS}."),
    click.option(
        "--outage",
        "outages",
        multiple=True,
        type=outage,
        metavar="FROM-UNTIL=FAULT",
        help="Let everybody meet a fault for a while, such as 30s-90s=unavailable; repeatable.",
    ),
    _number("fault_bytes", click.IntRange(min=0), "Size of a body that is far too large."),
    _number("drip_s", duration, "Between the sixteen pieces of a dripping body."),
    _number("access_life_s", duration, "How long an access token lives, the first one too."),
    _number("refresh_life_s", duration, "How long a refresh token lives; an extension starts it again."),
    click.option("--scope", "scopes", multiple=True, help="What was granted; repeatable.  [default: all there is]"),
    _enum("kind", switch.Kind, "Which endpoint lists the accounts of the token."),
    _enum("former_token", switch.FormerToken, "Whether an extension ends the access token before."),
    click.option("--repeat-refresh", is_flag=True, help="Repeat the refresh token in an extension's answer."),
    click.option(
        "--authorizer-info/--no-authorizer-info", default=True, show_default=True, help="In an extension's answer."
    ),
    _number("new_token_after_s", duration, "Until a new access token works; before that 11002."),
    _enum("lives", switch.Numbers, "How ..._expires_in is written."),
    _number("dead_access_code", click.IntRange(min=1), "Of an access token that was ended before its time."),
    _number("dead_refresh_code", click.IntRange(min=1), "Of a refresh token that is unknown, ended or expired."),
    _number("wrong_secret_code", click.IntRange(min=1), "Of a client_secret that is not the app's."),
    _chances("oauth_faults", "--oauth-fault", "How likely a request for tokens meets a fault; repeatable."),
    _enum("listing", switch.Listing, "How lists of accounts end that are read by cursor."),
    _chances("listing_faults", "--listing-fault", "How likely a request for accounts meets a fault; repeatable."),
)


def switch_options(function: Decorated) -> Decorated:
    """Every switch as an option; the command gets them by the names they have in `Switches` and `Grant`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
