"""The published JSON Schema of a run's report, `runs/<run_id>.json`. Pure.

Names stay; more may come. So whoever reads reports may rely on what is required here, and should skip what it does not
know.
"""

from typing import Any, Final

from harvester.errors import ExitCode
from harvester.model import Status
from harvester.triage import State

ID: Final = "https://harvester.invalid/run-report.schema.json"
_Schema = dict[str, Any]


def _of(kind: str | list[str], description: str, **more: Any) -> _Schema:
    return {"type": kind, "description": description, **more}


def _count(description: str) -> _Schema:
    return _of("integer", description, minimum=0)


def _text(description: str) -> _Schema:
    return _of("string", description)


def _maybe(kind: str, description: str) -> _Schema:
    return _of([kind, "null"], description)


def _list(items: _Schema, description: str) -> _Schema:
    return _of("array", description, items=items)


def _object(properties: dict[str, _Schema], description: str) -> _Schema:
    """Every property is there, and no other."""
    required = sorted(properties)
    return _of("object", description, properties=properties, required=required, additionalProperties=False)


def _by_name(values: _Schema, description: str) -> _Schema:
    return _of("object", description, additionalProperties=values)


_DAY: Final[_Schema] = {"type": "string", "format": "date"}
_MOMENT: Final[_Schema] = {"type": "string", "format": "date-time"}
_WINDOW: Final = _of("string", "first..last day, both inclusive", pattern=r"^\d{4}-\d\d-\d\d\.\.\d{4}-\d\d-\d\d$")
_ACCOUNT: Final = _of("integer", "the account")
_NAME: Final = _maybe("string", "as the config or the API calls it")
_SINCE: Final = {**_DAY, "description": "the Beijing day on which it was found so first"}
_SAID: Final = {
    "code": _maybe("integer", "the API's return code; null when there was none"),
    "message": _text("the API's own words"),
    "message_cn": _text("the same in Chinese"),
    "trace_id": _maybe("string", "what Tencent's support asks for"),
}
_ASKED_ON: Final = {**_DAY, "description": "the Beijing day on which it was asked last"}
_ADVICE: Final = _text("what a person can do")
_OF_ACCOUNT: Final = {"account_id": _ACCOUNT, "account_name": _NAME}

_LEFT: Final = {
    "left": _list(
        _object({**_OF_ACCOUNT, "window": _WINDOW}, "a slice"), "the first thousand that the next run will have"
    ),
    "left_slices": _count("slices that were not begun or not finished"),
    "left_by_app": _by_name(_count("slices"), "the same by app"),
    "left_requests": _count("requests that are expected to finish them, about"),
    "left_only_to_be_read_again": _count("of them, slices of which every day was complete before"),
}
_SICK: Final = {
    "accounts_not_ok": _list(
        _object(
            {
                **_OF_ACCOUNT,
                **_SAID,
                "state": _of("string", "how it is", enum=[str(one) for one in State]),
                "token": _text("the name of the token that it was asked with"),
                "since": _SINCE,
                "asked_on": _ASKED_ON,
                "advice": _ADVICE,
            },
            "an account",
        ),
        "accounts that are not well",
    ),
    "poisoned_days": _list(
        _object(
            {**_OF_ACCOUNT, **_SAID, "day": _DAY, "since": _SINCE, "asked_on": _ASKED_ON, "advice": _ADVICE}, "a day"
        ),
        "days on which the API fails, while it answers for others of the account",
    ),
    "well_again": _list(
        _object({**_OF_ACCOUNT, "was": _text("how it was"), "since": _SINCE}, "an account"), "who came back"
    ),
    "cured_days": _list(
        _object({"account_id": _ACCOUNT, "day": _DAY, "since": _SINCE}, "a day"), "days that are poisoned no more"
    ),
}
_CALLS: Final = {
    "calls": _count("different calls read by this run that are in the files now"),
    "new": _count("of these, not there before"),
    "changed": _count("of these, different from what was there"),
    "late": _count("of the new ones, those of days that were over, and read, before"),
    "missing": _count("calls that were there before and that the API no longer returned"),
    "dropped": _count("how many of these are not in the files any more ([output] on_missing)"),
    "missing_on": _list(
        _object({"account_id": _ACCOUNT, "day": _DAY, "calls": _count("calls")}, "a day of an account"),
        "where they are missing: the first few hundred",
    ),
    "quarantined": _count("records that cannot be placed"),
}
_REQUESTS: Final = {
    "requests": _by_name(_count("requests"), "sent, by app"),
    "failed_attempts": _count("requests that brought no page"),
    "predicted": _count("requests that were predicted for the slices whose walks came to their end, if any were"),
    "walked": _count("requests that these walks took; resends are not counted"),
    "predicted_s": _maybe(
        "number", "seconds at the quota that were predicted for all; null if unknown, or not all was read"
    ),
    "took_s": _of("number", "seconds from start to end"),
    "quotas": _list(
        _object(
            {
                "app": _text("its name"),
                "requests": _count("sent by this run"),
                "per_minute": _maybe("integer", "the quota, configured or learned; null when none is known"),
                "share": _maybe("number", "of what it allowed in that time, 0 to 1; null when none is known"),
                "others": _of("number", "the share that others were seen to use at last, 0 to 1"),
            },
            "an app",
        ),
        "what each app used of its quota",
    ),
}
_SLICES: Final = {
    "slices": _object(
        {str(status): _count(f"slices that ended {status}") for status in Status if status is not Status.DIVIDED},
        "slices that ended, by status",
    ),
    "divided": _count("slices that failed as a whole: their parts are slices instead"),
    "not_begun": _count("slices of the plan that were never opened"),
    "resumed": _count("slices that went on from an earlier run's checkpoint"),
    "completed_before": _count("slices that an interrupted run of the same night had completed"),
    "troubles": _list(
        _object(
            {
                "account_id": _maybe("integer", "the account; null for a [discover] table whose accounts are unknown"),
                "account_name": _NAME,
                "window": _WINDOW,
                "status": _of("string", "how it ended", enum=["short", "failed", "skipped", "unfinished"]),
                "reason": _text("why, for a person"),
            },
            "a slice",
        ),
        "every slice that ended without being complete",
    ),
}
_TOKENS: Final = {
    "dead_tokens": _by_name(_text("why"), "tokens that work no more, by name"),
    "no_token_works": _of("boolean", "whether every token that was needed is dead, one of them at least for good"),
    "renewals_failed": _of("boolean", "whether all were given up since no renewal was answered"),
}


def schema() -> _Schema:
    """JSON Schema, draft 2020-12."""
    properties = {
        "run_id": _text("names the run, and this file"),
        "complete": _of("boolean", "whether every slice of the plan is complete"),
        "exit_code": _of("integer", "what the shell was told", enum=[int(code) for code in ExitCode]),
        "ended_by": _maybe("string", "what ended the run early, for a person; null when it came to its end"),
        "window": _object({"start": _DAY, "end": _DAY}, "the days it was to cover, both inclusive"),
        "accounts": _count("accounts that it was to cover"),
        "started": {**_MOMENT, "description": "when, Beijing time"},
        "ended": {"anyOf": [_MOMENT, {"type": "null"}], "description": "when"},
        "notes": _list(_text("a note"), "what a person should know of besides"),
        **_SLICES,
        **_CALLS,
        **_REQUESTS,
        **_TOKENS,
        **_LEFT,
        **_SICK,
    }
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": ID, "title": "a run of harvester"}
    return head | _object(properties, "what a run did")
