"""The sandbox's switches as options of its command."""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeVar

import click

from harvester.model import AccountId
from harvester.sandbox import switches as switch
from harvester.sandbox.faults import Fault, FaultKind
from harvester.sandbox.switches import Switches

Decorated = TypeVar("Decorated", bound=Callable[..., object])
Number = click.IntRange | click.FloatRange | Callable[[str], float | None]
_DEFAULTS: Final = Switches()
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0}
_FAULTS: Final = ", ".join("code:N" if kind is FaultKind.CODE else str(kind) for kind in FaultKind)


def duration(text: str) -> float:
    """Seconds, from a number with a unit: `50ms`, `1.5s`."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)", text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not a number with a unit, such as 50ms or 1.5s")
    return float(match[1]) * _UNIT_S[match[2]]


def duration_or_none(text: str) -> float | None:
    """The same; `none` is none at all."""
    return None if text == "none" else duration(text)


def outage(text: str) -> switch.Outage:
    """`30s-90s=unavailable`: from when, until when, counted from the beginning, and the fault that everybody meets."""
    times, _, name = text.partition("=")
    start, _, end = times.partition("-")
    try:
        kind = str(Fault.parse(name))
    except ValueError:
        kind = ""
    if not kind or not end:
        raise click.BadParameter(f"{text!r} is not a time and a fault, such as 30s-90s=unavailable")
    from_s, until_s = duration(start), duration(end)
    if until_s < from_s:
        raise click.BadParameter(f"{text!r} ends before it begins")
    return from_s, until_s, kind


def limit(text: str) -> int | None:
    """A whole number from 1; `none` is no limit at all."""
    if text == "none":
        return None
    if not text.isdecimal() or int(text) == 0:
        raise click.BadParameter(f"{text!r} is neither a whole number from 1 nor none")
    return int(text)


def fault(text: str) -> tuple[Fault, float]:
    """`reset=0.01`: a fault and its probability."""
    name, _, share = text.partition("=")
    try:
        parsed, probability = Fault.parse(name), float(share)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a fault and its probability, such as reset=0.01") from None
    if not 0 <= probability <= 1:
        raise click.BadParameter(f"{text!r}: a probability lies between 0 and 1")
    return parsed, probability


def account_code(text: str) -> tuple[AccountId, int]:
    """`20000562=12201`: an account and the code that it answers with."""
    account_id, _, code = text.partition("=")
    if not account_id.isdecimal() or not code.isdecimal():
        raise click.BadParameter(f"{text!r} is not an account and a return code, such as 20000562=12201")
    return AccountId(int(account_id)), int(code)


def _enum(field: str, kind: type[StrEnum], text: str) -> Callable[[Decorated], Decorated]:
    """An option for a switch with named positions."""
    return click.option(
        _flag(field),
        type=click.Choice([str(position) for position in kind]),
        default=str(getattr(_DEFAULTS, field)),
        show_default=True,
        callback=lambda _context, _option, value: kind(value),
        help=text,
    )


def _number(field: str, kind: Number, text: str) -> Callable[[Decorated], Decorated]:
    """An option for a switch with a number."""
    default = getattr(_DEFAULTS, field)
    if kind is duration:
        default = f"{default:g}s"
    elif kind in {limit, duration_or_none}:
        default = "none" if default is None else f"{default:g}s" if kind is duration_or_none else str(default)
    return click.option(_flag(field), field, type=kind, default=default, show_default=True, help=text)


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
        "--fault",
        "faults",
        multiple=True,
        type=fault,
        metavar="FAULT=PROBABILITY",
        callback=lambda _context, _option, value: dict(value),
        help=f"How likely a request meets a fault, such as reset=0.01; repeatable. Faults: {_FAULTS}.",
    ),
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
)


def switch_options(function: Decorated) -> Decorated:
    """Every switch as an option; the command gets them by the names they have in `Switches`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function
