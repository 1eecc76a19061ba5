"""The ledger's tables, and how those of an older harvester become today's."""

from typing import Final

SCHEMA_VERSION: Final = 2


_WEIGHTS: Final = (31, 7, 3, 5, 11, 13, 17)


def seal_of(*values: str) -> str:
    """SQL for a check number over one day's values; a flipped bit in any of them changes it.

    `PRAGMA quick_check` looks at every row's.

    Args:
        values: Account, day, complete, queued, calls, in_file and read_on, each as a column or parameter.
    """
    terms = (f"ifnull({value}, -1) % 2147483647 * {weight}" for value, weight in zip(values, _WEIGHTS, strict=True))
    return f"({' + '.join(terms)}) % 2147483629"


_SEAL: Final = seal_of("account_id", "day", "complete", "queued", "calls", "in_file", "read_on")
_TYPES: Final = "typeof(calls) = 'integer' AND typeof(in_file) IN ('integer', 'null')"
"""A flipped bit can make an empty blob of a 0, which counts like one."""
SOUND_DAY: Final = f"seal = {_SEAL} AND {_TYPES}"
"""What holds of every row of `days`; SQLite looks at it only where it may write."""
_DAYS: Final = f"""
CREATE TABLE days (  -- each account's Beijing day that a finished walk covered, or that has to be read again
    account_id INTEGER NOT NULL,
    day INTEGER NOT NULL,       -- days since 0001-01-01 (proleptic Gregorian ordinal), as read_on
    complete INTEGER NOT NULL,
    queued INTEGER NOT NULL,    -- whether the next run reads it, whatever its window
    calls INTEGER NOT NULL,     -- different calls in the last reading
    in_file INTEGER,            -- calls in its file; NULL when that is not known
    digest BLOB,                -- of the file; NULL when there is none, or when it is not known
    read_on INTEGER NOT NULL,   -- the Beijing day on which it was read last
    seal INTEGER NOT NULL CHECK ({SOUND_DAY}),
    PRIMARY KEY (account_id, day)
) WITHOUT ROWID;
"""
_RECEIPTS: Final = """
CREATE TABLE receipts (  -- how each slice of each run ended
    run_id TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    first_day TEXT NOT NULL,
    last_day TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    requests INTEGER, read INTEGER, distinct_calls INTEGER, counted INTEGER,
    landed INTEGER NOT NULL, new INTEGER NOT NULL, changed INTEGER NOT NULL, missing INTEGER NOT NULL,
    dropped INTEGER NOT NULL, quarantined INTEGER NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (account_id, first_day, last_day, run_id)
) WITHOUT ROWID;
"""
_NEW_TABLES: Final = """
CREATE TABLE failures (  -- the last slice of each account that did not end complete
    account_id INTEGER PRIMARY KEY,
    first_day TEXT NOT NULL,
    last_day TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    at TEXT NOT NULL
);
CREATE TABLE checkpoints (  -- slices that are being walked: go on from here
    account_id INTEGER NOT NULL,
    first_day TEXT NOT NULL,
    last_day TEXT NOT NULL,
    part TEXT NOT NULL,         -- the file's name
    size_bytes INTEGER NOT NULL, -- so much of it is good
    calls INTEGER NOT NULL,     -- that it holds, for a person
    state BLOB NOT NULL,        -- the walk's own
    read_on INTEGER NOT NULL,
    at TEXT NOT NULL,
    digest BLOB NOT NULL,       -- of all of that
    PRIMARY KEY (account_id, first_day, last_day)
) WITHOUT ROWID;
CREATE TABLE night (  -- the runs since one of the same scope last came to its end
    scope TEXT NOT NULL,
    run_id TEXT NOT NULL,
    began_on INTEGER NOT NULL,  -- the Beijing day
    PRIMARY KEY (scope, run_id)
) WITHOUT ROWID;
CREATE TABLE publications (  -- slices that are being published: if the run died, the next one finishes it
    account_id INTEGER NOT NULL,
    first_day TEXT NOT NULL,
    last_day TEXT NOT NULL,
    publication BLOB NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (account_id, first_day, last_day)
) WITHOUT ROWID;
CREATE TABLE arrivals (  -- what was read of days that were over, by when and how old they were
    read_on INTEGER NOT NULL,
    age INTEGER NOT NULL,       -- read_on - day, from 1
    again INTEGER NOT NULL,     -- whether the day had been read before, when it was over
    days INTEGER NOT NULL,
    calls INTEGER NOT NULL, new INTEGER NOT NULL, changed INTEGER NOT NULL, missing INTEGER NOT NULL,
    PRIMARY KEY (read_on, age, again)
) WITHOUT ROWID;
"""
_USAGE: Final = """
CREATE TABLE usage (  -- requests sent, by app and hour (Unix time / 3600)
    app TEXT NOT NULL,
    hour INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    PRIMARY KEY (app, hour)
) WITHOUT ROWID;
"""
CREATE: Final = f"{_DAYS}{_RECEIPTS}{_NEW_TABLES}{_USAGE} PRAGMA user_version = {SCHEMA_VERSION};"
"""A new ledger."""
_OLD_SEAL: Final = seal_of("account_id", "day", "complete", "0", "calls", "NULL", "day + 1")
_FROM_1: Final = f"""
ALTER TABLE days RENAME TO days_1;
DROP INDEX days_by_day;
{_DAYS}
INSERT INTO days SELECT account_id, day, complete, 0, calls, NULL, NULL, day + 1, {_OLD_SEAL} FROM days_1;
DROP TABLE days_1;
ALTER TABLE receipts RENAME TO receipts_1;
{_RECEIPTS}
INSERT INTO receipts SELECT run_id, account_id, first_day, last_day, status, reason, requests, read, distinct_calls,
    counted, landed, new, changed, missing, 0, quarantined, at FROM receipts_1;
DROP TABLE receipts_1;
{_NEW_TABLES}
PRAGMA user_version = 2;
"""  # noqa: S608 - our own words only
MIGRATE: Final = {1: _FROM_1}
"""A ledger of that version → of the next."""
