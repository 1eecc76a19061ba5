"""What was sent, what runs did, and which accounts take most. Pure."""

from collections.abc import Iterator
from typing import Final

from harvester.page.sections.parts import Section, Table, first
from harvester.page.selecting import clock, largest_accounts, paused_s, sendings, slowest_accounts
from harvester.page.values import Findings, Run
from harvester.page.words import lasting, many, moment, percent

_PAUSES_SHOWN: Final = 50
_RUNS_SHOWN: Final = 15


def requests(found: Findings) -> Section:
    """Requests by minute, against the quota; pauses."""
    rows = list(_sendings(found))
    pauses = [
        [moment(one.since), moment(one.until), one.app or "all apps", lasting(one.until - one.since), one.why]
        for one in reversed(found.pauses)
    ]
    shown, more = first(pauses, _PAUSES_SHOWN)
    tables = []
    if rows:
        head = ["from", "to", "app", "requests", "most in a minute", "quota a minute", "paused"]
        tables.append(
            Table(name="requests-table", caption="Requests of the last two days, each time of sending", head=head,
                  rows=rows, words=frozenset({0, 1, 2}))
        )  # fmt: skip
    if pauses:
        head = ["since", "until", "app", "how long", "why"]
        tables.append(
            Table(name="pauses-table", caption="Pauses of the last two days, the latest first", head=head, rows=shown,
                  words=frozenset({0, 1, 2, 4}), more=more)
        )  # fmt: skip
    known = "The picture is of the last time of sending; the line is the quota, and pauses are shaded."
    nothing = "No request of the last two days is known of."
    return Section(
        name="requests",
        title="Requests against the quota",
        title_cn="请求量与配额",
        lines=[known if rows else nothing],
        pictures=("requests",),
        tables=tables,
    )


def _sendings(found: Findings) -> Iterator[list[str]]:
    apps = {one.app: one for one in found.traffic}
    for sending in reversed(sendings(found)):
        for app, by_minute in sending.by_app.items():
            quota = next(one for name, one in apps.items() if name == app).per_minute
            yield [
                moment(sending.first * 60),
                clock(sending.last + 1),
                app,
                f"{sum(by_minute.values()):,}",
                f"{max(by_minute.values()):,}",
                f"{quota:,}" if quota else "not known",
                lasting(paused_s(sending.pauses(found.pauses), app)),
            ]


def runs(found: Findings) -> Section:
    """The latest runs."""
    ones = found.runs.runs
    rows, more = first([_run(one) for one in reversed(ones)], _RUNS_SHOWN)
    head = ["started", "outcome", "took", "accounts", "calls", "new", "changed", "missing", "requests", "failed", "run"]
    tables = [
        Table(name="runs-table", caption="The latest runs, the last one first", head=head, rows=rows,
              words=frozenset({0, 1, 10}), more=more + found.runs.older)
    ] if rows else []  # fmt: skip
    if found.runs.damaged:
        tables.append(
            Table(name="damaged-runs-table", caption="Files under runs/ that cannot be read", head=["file", "why"],
                  rows=found.runs.damaged, words=frozenset({0, 1}))
        )  # fmt: skip
    lines = []
    if not ones:
        lines = ["No run has ended yet that left a file."]
    elif not ones[-1].complete:
        lines = [f"The last run is not complete: {many(ones[-1].lacking, 'slice')} missing or short."]
    return Section(name="runs", title="Runs", title_cn="运行记录", lines=lines, pictures=("runs",), tables=tables)


def _run(one: Run) -> list[str]:
    outcome = (
        "complete" if one.complete else f"not complete (exit {one.exit_code}): {many(one.lacking, 'slice')} lacking"
    )
    return [
        moment(one.started),
        f"{outcome}; ended by {one.ended_by}" if one.ended_by else outcome,
        lasting(one.seconds),
        f"{one.accounts:,}",
        f"{one.calls:,}",
        f"{one.new:,}",
        f"{one.changed:,}",
        f"{one.missing:,}",
        f"{one.requests:,}",
        f"{one.failed_attempts:,}",
        one.run_id,
    ]


def accounts(found: Findings) -> Section:
    """The largest and the slowest accounts."""
    largest, slowest = largest_accounts(found), slowest_accounts(found)
    total, sent = sum(one.calls for one in found.accounts), sum(one.requests for one in found.accounts)
    tables = []
    if largest:
        tables.append(
            Table(
                name="largest-table",
                caption=f"Largest accounts, {found.window}",
                head=["account", "name", "calls", "of all"],
                rows=[
                    [str(one.account_id), one.name or "", f"{one.calls:,}", percent(one.calls, total)]
                    for one in largest
                ],
                words=frozenset({0, 1}),
            )
        )
    if slowest:
        tables.append(
            Table(
                name="slowest-table",
                caption=f"Accounts that took most requests since {found.window.start}",
                head=["account", "name", "requests", "of all", "calls they brought", "calls a request"],
                rows=[
                    [
                        str(one.account_id),
                        one.name or "",
                        f"{one.requests:,}",
                        percent(one.requests, sent),
                        f"{one.read:,}",
                        f"{one.read / one.requests:,.1f}",
                    ]
                    for one in slowest
                ],
                words=frozenset({0, 1}),
            )
        )
    why = "What makes an account slow is its requests: all of a run's go out at the quota's pace."
    return Section(
        name="accounts",
        title="Largest and slowest accounts",
        title_cn="最大与最慢的账号",
        lines=[why] if tables else ["Nothing is known of any account yet."],
        pictures=("largest", "slowest"),
        tables=tables,
    )
