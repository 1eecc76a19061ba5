"""The values of the sandbox's options, from what is written on the command line."""

import datetime as dt
import re
from typing import Final

import click

from harvester.model import AccountId
from harvester.sandbox import switches as switch
from harvester.sandbox.faults import Fault

_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def duration(text: str) -> float:
    """Seconds, from a number with a unit: `50ms`, `1.5s`, `30d`."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)", text)
    if match is None:
        raise click.BadParameter(f"{text!r} is not a number with a unit, such as 50ms or 1.5s")
    return float(match[1]) * _UNIT_S[match[2]]


def duration_or_none(text: str) -> float | None:
    """The same; `none` is none at all."""
    return None if text == "none" else duration(text)


def limit(text: str) -> int | None:
    """A whole number from 1; `none` is no limit at all."""
    if text == "none":
        return None
    if not text.isdecimal() or int(text) == 0:
        raise click.BadParameter(f"{text!r} is neither a whole number from 1 nor none")
    return int(text)


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


def poison(text: str) -> switch.Poison:
    """`20000562:2026-10-30=51001`: an account, a day, and the code or fault that windows with this day meet."""
    place, _, name = text.partition("=")
    account_id, _, day = place.partition(":")
    try:
        what = int(name) if name.isdecimal() else name
        Fault.of(what)
        return AccountId(int(account_id)), dt.date.fromisoformat(day), what
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not an account, a day and a return code or fault, such as 20000562:2026-10-30=51001"
        ) from None
