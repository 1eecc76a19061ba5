"""What is complete, what is lacking, and who is sick since when. Pure."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from harvester.page.sections.parts import Section, Table, first
from harvester.page.selecting import ACCOUNTS_SHOWN, marks_by_day
from harvester.page.values import AccountDays, Findings, Mark
from harvester.page.words import MARKS, gaps, many, percent
from harvester.triage import ADVICE, State, in_words_of

_LACKING_SHOWN: Final = 50
_GAPS_SHOWN: Final = 3
_SICK_SHOWN: Final = 100


def verdict(found: Findings) -> str:
    """The first line: complete or not."""
    through = found.window.end
    if not found.there:
        return "NOTHING YET: there is no ledger; the first run makes it"
    if found.complete:
        whose = many(len(found.accounts), "account")
        return f"COMPLETE through {through}: {whose}, every day since {found.since}"
    told = []
    if found.unknown:
        told.append(f"the accounts of {', '.join(found.unknown)} are not known")
    if found.incomplete:
        told.append(f"{found.incomplete:,} of {many(len(found.accounts), 'account')} lack days")
    return f"NOT COMPLETE through {through}: {'; '.join(told) or 'no account is enabled'}"


def completeness(found: Findings) -> Section:
    """Accounts by days."""
    by_day = marks_by_day(found)
    there = [mark for mark in MARKS if any(counts[mark] for _, counts in by_day)]
    head = ["day", "accounts", *(MARKS[mark].split(":")[0] for mark in there), "share complete"]
    rows = [
        [
            str(day),
            f"{counts.total():,}",
            *(f"{counts[mark]:,}" for mark in there),
            percent(counts[Mark.COMPLETE], counts.total() - counts[Mark.BEFORE]),
        ]
        for day, counts in by_day
    ]
    lines = ["Complete is a day of which the files hold at least as many different calls as the API itself counts."]
    if found.others:
        lines.append(
            f"{many(found.others, 'more account')} in the ledger, not enabled in this config: not on this page."
        )
    if len(found.accounts) > ACCOUNTS_SHOWN:
        lines.append(
            f"Of {len(found.accounts):,} accounts the {ACCOUNTS_SHOWN} that lack most are shown one by one, then all "
            "in bands of accounts that lack about as much; `harvester status --all` lists every one."
        )
    tables = [Table(name="days-table", caption="Accounts by day", head=head, rows=rows, folded=True)]
    lacking = [_lacking(found, one) for one in found.accounts[:_LACKING_SHOWN] if one.lacking]
    if lacking and found.there:
        tables.insert(
            0,
            Table(
                name="lacking-table",
                caption="Accounts that lack days, those that lack most first",
                head=["account", "name", "complete", "what is lacking", "last failure"],
                rows=lacking,
                words=frozenset({0, 1, 3, 4}),
                more=max(0, found.incomplete - _LACKING_SHOWN),
            ),
        )
    return Section(
        name="completeness",
        title="Completeness",
        title_cn="完整性",
        lines=lines,
        pictures=("days", "bands"),
        tables=tables if found.there else (),
    )


def _lacking(found: Findings, one: AccountDays) -> list[str]:
    lacking = gaps(found.days, one.marks)
    told = [
        f"{begin} {MARKS[mark].split(':')[0]}" if begin == end else f"{begin} to {end} {MARKS[mark].split(':')[0]}"
        for mark, begin, end in islice(lacking, _GAPS_SHOWN)
    ]
    rest = sum(1 for _ in lacking)
    failure = one.failure
    return [
        str(one.account_id),
        one.name or "",
        f"{one.due - one.lacking:,} of {one.due:,}",
        "; ".join(told) + (f"; and {rest:,} more" if rest else ""),
        f"{failure.at[:16].replace('T', ' ')}, {failure.window} {failure.status}: {failure.reason}" if failure else "",
    ]


def sick(found: Findings) -> Section:
    """Accounts and tokens that do not work, and days that fail, since when."""
    by_since = sorted(_conditions(found), key=lambda row: row[3])
    poisoned = sorted(_poisoned(found), key=lambda row: row[3])
    last = found.runs.runs[-1] if found.runs.runs else None
    dead = [[name, why] for name, why in last.dead_tokens.items()] if last else []
    causes = [[one.status, f"{one.slices:,}", one.reason] for one in found.runs.causes]
    tables = []
    if by_since:
        rows, more = first(by_since, _SICK_SHOWN)
        head = ["account", "name", "state", "since", "asked last", "the API says", "what to do"]
        tables.append(
            Table(name="sick-table", caption="Accounts that are not well, the longest first", head=head, rows=rows,
                  words=frozenset(range(7)), more=more)
        )  # fmt: skip
    if poisoned:
        rows, more = first(poisoned, _SICK_SHOWN)
        head = ["account", "name", "day", "since", "asked last", "the API says"]
        tables.append(
            Table(name="poison-table", caption="Days on which the API fails", head=head, rows=rows,
                  words=frozenset(range(6)), more=more)
        )  # fmt: skip
    if dead:
        tables.append(
            Table(name="tokens-table", caption="Tokens that did not work in the last run", head=["token", "why"],
                  rows=dead, words=frozenset({0, 1}))
        )  # fmt: skip
    if causes:
        tables.append(
            Table(name="causes-table", caption="Why the last run is not complete", head=["status", "slices", "why"],
                  rows=causes, words=frozenset({0, 2}))
        )  # fmt: skip
    lines = [f"{many(len(by_since), 'account')} not well, {many(len(poisoned), 'day')} poisoned."]
    return Section(
        name="sick",
        title="What is sick, and since when",
        title_cn="异常及起始时间",
        lines=lines if tables else ["Nothing is sick, as far as the ledger and the last run know."],
        tables=tables,
    )


def _conditions(found: Findings) -> Iterator[list[str]]:
    for one in found.accounts:
        if one.condition and not one.condition.well:
            is_ill = one.condition
            days = [str(is_ill.since), str(is_ill.asked_on)]
            said = in_words_of(is_ill.complaint)
            yield [str(one.account_id), one.name or "", is_ill.state, *days, said, ADVICE[is_ill.state]]


def _poisoned(found: Findings) -> Iterator[list[str]]:
    for one in found.accounts:
        for day in one.poison:
            said = in_words_of(day.complaint)
            yield [str(one.account_id), one.name or "", str(day.day), str(day.since), str(day.asked_on), said]


def is_sick(one: AccountDays) -> bool:
    """Whether an account, or a day of it, is."""
    return bool(one.poison) or (one.condition is not None and one.condition.state is not State.OK)
