"""The tables of a ledger as harvester 0.4.0 made them."""

DDL = """
CREATE TABLE days (  -- each account's Beijing day that a finished walk covered, or that has to be read again
    account_id INTEGER NOT NULL,
    day INTEGER NOT NULL,       -- days since 0001-01-01 (proleptic Gregorian ordinal), as read_on
    complete INTEGER NOT NULL,
    queued INTEGER NOT NULL,    -- whether the next run reads it, whatever its window
    calls INTEGER NOT NULL,     -- different calls in the last reading
    in_file INTEGER,            -- calls in its file; NULL when that is not known
    digest BLOB,                -- of the file; NULL when there is none, or when it is not known
    read_on INTEGER NOT NULL,   -- the Beijing day on which it was read last
    seal INTEGER NOT NULL CHECK (seal = (ifnull(account_id, -1) % 2147483647 * 31 + ifnull(day, -1) % 2147483647 * 7 + ifnull(complete, -1) % 2147483647 * 3 + ifnull(queued, -1) % 2147483647 * 5 + ifnull(calls, -1) % 2147483647 * 11 + ifnull(in_file, -1) % 2147483647 * 13 + ifnull(read_on, -1) % 2147483647 * 17) % 2147483629 AND typeof(calls) = 'integer' AND typeof(in_file) IN ('integer', 'null')),
    PRIMARY KEY (account_id, day)
) WITHOUT ROWID;

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

CREATE TABLE apps (  -- what each app's last run told of itself, and what is known of its quota
    app TEXT PRIMARY KEY NOT NULL,
    told_at REAL,               -- Unix time of its last word: what it sent until then is counted; NULL before
    spacing_s REAL NOT NULL,    -- between two permits; 0 when there is no limit
    going INTEGER NOT NULL,     -- whether it went on after that; stays so when it is killed
    per_minute INTEGER,         -- its quota as the API's own figures showed it; NULL when that is not known
    learned_at REAL,            -- Unix time when they did
    seal INTEGER NOT NULL CHECK (seal = (ifnull(CAST(told_at * 1000 AS INTEGER), -1) % 2147483647 * 31 + ifnull(CAST(learned_at * 1000 AS INTEGER), -1) % 2147483647 * 7 + ifnull(CAST(spacing_s * 1000000 AS INTEGER), -1) % 2147483647 * 3 + ifnull(going, -1) % 2147483647 * 5 + ifnull(per_minute, -1) % 2147483647 * 11) % 2147483629 AND typeof(app) = 'text' AND typeof(told_at) IN ('real', 'null') AND typeof(learned_at) IN ('real', 'null') AND typeof(spacing_s) = 'real' AND typeof(going) = 'integer' AND typeof(per_minute) IN ('integer', 'null') AND abs(ifnull(told_at, 0)) < 1e12 AND (spacing_s = 0 OR spacing_s BETWEEN 1e-6 AND 1e6) AND ifnull(per_minute, 1) > 0 AND (per_minute IS NULL) = (learned_at IS NULL))
) WITHOUT ROWID;
CREATE TABLE usage (  -- requests sent, by app and minute (Unix time / 60)
    app TEXT NOT NULL REFERENCES apps,  -- no check of one row sees that a flipped bit made another name of it
    minute INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    seal INTEGER NOT NULL CHECK (seal = (ifnull(minute, -1) % 2147483647 * 31 + ifnull(requests, -1) % 2147483647 * 7) % 2147483629 AND typeof(minute) = 'integer' AND typeof(requests) = 'integer' AND requests > 0),
    PRIMARY KEY (app, minute)
) WITHOUT ROWID;

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
 PRAGMA user_version = 4;
"""  # noqa: E501 - as it was
