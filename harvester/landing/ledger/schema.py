"""The ledger's tables, and how those of an older harvester become today's."""

from typing import Final

SCHEMA_VERSION: Final = 5


_WEIGHTS: Final = (31, 7, 3, 5, 11, 13, 17)


def seal_of(*values: str) -> str:
    """SQL for a check number over some values; a flipped bit in any of them changes it.

    `PRAGMA quick_check` looks at every row's.

    Args:
        values: Whole numbers or NULL, at most seven, each as a column, a parameter or an expression.
    """
    weighed = zip(values, _WEIGHTS[: len(values)], strict=True)
    terms = (f"ifnull({value}, -1) % 2147483647 * {weight}" for value, weight in weighed)
    return f"({' + '.join(terms)}) % 2147483629"


_SEAL: Final = seal_of("account_id", "day", "complete", "queued", "calls", "in_file", "read_on")
_TYPES: Final = "typeof(calls) = 'integer' AND typeof(in_file) IN ('integer', 'null')"
"""A flipped bit can make an empty blob of a 0, which counts like one."""
_SOUND_DAY: Final = f"seal = {_SEAL} AND {_TYPES}"
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
    seal INTEGER NOT NULL CHECK ({_SOUND_DAY}),
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


def seal_of_app(told_at: str, spacing_s: str, going: str, per_minute: str, learned_at: str) -> str:
    """SQL for a check number over what an app told of itself; times count to the millisecond, the spacing to 1 µs."""
    ms = (f"CAST({time} * 1000 AS INTEGER)" for time in (told_at, learned_at))
    return seal_of(*ms, f"CAST({spacing_s} * 1000000 AS INTEGER)", going, per_minute)


_APP_SEAL: Final = seal_of_app("told_at", "spacing_s", "going", "per_minute", "learned_at")
_APP_TYPES: Final = (
    "typeof(app) = 'text' AND typeof(told_at) IN ('real', 'null') AND typeof(learned_at) IN ('real', 'null')"
    " AND typeof(spacing_s) = 'real' AND typeof(going) = 'integer' AND typeof(per_minute) IN ('integer', 'null')"
)
_APP_BOUNDS: Final = (
    "abs(ifnull(told_at, 0)) < 1e12 AND (spacing_s = 0 OR spacing_s BETWEEN 1e-6 AND 1e6)"
    " AND ifnull(per_minute, 1) > 0 AND (per_minute IS NULL) = (learned_at IS NULL)"
)
_SOUND_APP: Final = f"seal = {_APP_SEAL} AND {_APP_TYPES} AND {_APP_BOUNDS}"
_SOUND_USAGE: Final = (
    f"seal = {seal_of('minute', 'requests')} AND typeof(minute) = 'integer' AND typeof(requests) = 'integer'"
    " AND requests > 0"
)
_USAGE: Final = f"""
CREATE TABLE apps (  -- what each app's last run told of itself, and what is known of its quota
    app TEXT PRIMARY KEY NOT NULL,
    told_at REAL,               -- Unix time of its last word: what it sent until then is counted; NULL before
    spacing_s REAL NOT NULL,    -- between two permits; 0 when there is no limit
    going INTEGER NOT NULL,     -- whether it went on after that; stays so when it is killed
    per_minute INTEGER,         -- its quota as the API's own figures showed it; NULL when that is not known
    learned_at REAL,            -- Unix time when they did
    seal INTEGER NOT NULL CHECK ({_SOUND_APP})
) WITHOUT ROWID;
CREATE TABLE usage (  -- requests sent, by app and minute (Unix time / 60)
    app TEXT NOT NULL REFERENCES apps,  -- no check of one row sees that a flipped bit made another name of it
    minute INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    seal INTEGER NOT NULL CHECK ({_SOUND_USAGE}),
    PRIMARY KEY (app, minute)
) WITHOUT ROWID;
"""
_ACCOUNTS: Final = """
CREATE TABLE conditions (  -- how an account was found when it was asked last; absent: it never refused
    account_id INTEGER PRIMARY KEY,
    state TEXT NOT NULL,        -- ok, denied, inactive, unknown, failing
    token TEXT NOT NULL,        -- the name of the token that it was asked with
    code INTEGER, message TEXT, message_cn TEXT, trace_id TEXT,  -- the API's own words
    since INTEGER NOT NULL,     -- the Beijing day on which it was found so first
    asked_on INTEGER NOT NULL,  -- the Beijing day on which it was asked last
    digest BLOB NOT NULL        -- of all of that
);
CREATE TABLE poison (  -- days that an account's requests fail on, while others go
    account_id INTEGER NOT NULL,
    day INTEGER NOT NULL,
    code INTEGER, message TEXT, message_cn TEXT, trace_id TEXT,
    since INTEGER NOT NULL,
    asked_on INTEGER NOT NULL,
    digest BLOB NOT NULL,       -- of all of that
    PRIMARY KEY (account_id, day)
) WITHOUT ROWID;
CREATE TABLE rolls (  -- when the accounts under a token were listed last, whole
    discover TEXT PRIMARY KEY NOT NULL,  -- the name of the [discover.NAME] table
    token TEXT NOT NULL,
    via TEXT NOT NULL,
    at REAL NOT NULL            -- Unix time
) WITHOUT ROWID;
CREATE TABLE listed (  -- the accounts on a roll, and those that were on it
    discover TEXT NOT NULL,
    account_id INTEGER NOT NULL,
    name TEXT,
    status TEXT,
    appeared_on INTEGER NOT NULL,  -- the Beijing day
    vanished_on INTEGER,        -- the Beijing day of the first roll without it; NULL while it is listed
    PRIMARY KEY (discover, account_id)
) WITHOUT ROWID;
CREATE TABLE hints (  -- what was found out about the API's open questions: never relied on
    question TEXT PRIMARY KEY NOT NULL,
    answer TEXT NOT NULL,
    evidence TEXT NOT NULL,     -- for a person
    at REAL NOT NULL            -- Unix time
) WITHOUT ROWID;
"""
_PAUSES: Final = """
CREATE TABLE pauses (  -- when nothing was sent, since the API had refused it or was down: only people read it
    app TEXT NOT NULL,          -- '' for all apps
    since REAL NOT NULL,        -- Unix time
    until REAL NOT NULL,        -- Unix time; it may have ended before, with its run
    why TEXT NOT NULL,
    PRIMARY KEY (app, since)
) WITHOUT ROWID;
"""
SOUND: Final = {
    "days": (_SOUND_DAY, "a day"),
    "apps": (_SOUND_APP, "what an app told of itself"),
    "usage": (_SOUND_USAGE, "what an app sent"),
}
"""Table → what holds of every row, and what such a row is; SQLite looks at it only where it may write."""
CREATE: Final = f"{_DAYS}{_RECEIPTS}{_NEW_TABLES}{_USAGE}{_ACCOUNTS}{_PAUSES} PRAGMA user_version = {SCHEMA_VERSION};"
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
_SOUND_HOUR: Final = (
    "typeof(app) = 'text' AND typeof(hour) = 'integer' AND typeof(requests) = 'integer'"
    " AND hour BETWEEN 0 AND 100000000 AND requests BETWEEN 1 AND 1000000000"
)
"""Hours carried no check number; one that cannot be is left out, rather than that no run begins."""
_LAST: Final = "(max(hour) * 3600 + 3600.0)"
_MINUTE: Final = "(hour * 60 + 59)"
_FROM_2: Final = f"""
ALTER TABLE usage RENAME TO usage_2;
{_USAGE}
INSERT INTO apps SELECT app, {_LAST}, 0, 0, NULL, NULL, {seal_of_app(_LAST, "0", "0", "NULL", "NULL")}
    FROM usage_2 WHERE {_SOUND_HOUR} GROUP BY app;
INSERT INTO usage SELECT app, {_MINUTE}, requests, {seal_of(_MINUTE, "requests")} FROM usage_2 WHERE {_SOUND_HOUR};
DROP TABLE usage_2;
PRAGMA user_version = 3;
"""  # noqa: S608 - our own words only
_FROM_3: Final = f"{_ACCOUNTS} PRAGMA user_version = 4;"
_FROM_4: Final = f"{_PAUSES} PRAGMA user_version = 5;"
MIGRATE: Final = {1: _FROM_1, 2: _FROM_2, 3: _FROM_3, 4: _FROM_4}
"""A ledger of that version → of the next."""
