-- The landing zone into ClickHouse:  clickhouse-local --queries-file clickhouse.sql   (in the folder that holds landing/)
-- On a server put landing/ under user_files, or read it by s3(…) in place of file(…).
-- Only days with a mark are read: complete for every enabled account. ids are 64 bits wide and stay exact.
-- A day that was read again replaces its calls: the newer version of a call_id wins, with FINAL at once.

CREATE TABLE IF NOT EXISTS calls (
    dt Date, account_id Int64, call_id String, leads_id Nullable(Int64),
    caller Nullable(String), callee Nullable(String), call_direction Nullable(String), duration Nullable(Int64),
    call_start_time String, call_end_time Nullable(String), ring_time Nullable(String), answer_time Nullable(String),
    end_status Nullable(Int64), call_record_url Nullable(String), loaded_at DateTime DEFAULT now()
) ENGINE = ReplacingMergeTree(loaded_at) PARTITION BY toYYYYMM(dt) ORDER BY (account_id, dt, call_id);

INSERT INTO calls (dt, account_id, call_id, leads_id, caller, callee, call_direction, duration, call_start_time,
    call_end_time, ring_time, answer_time, end_status, call_record_url)
SELECT toDate(extract(_path, 'dt=([0-9-]+)')), toInt64(extract(_path, 'account_id=([0-9]+)')), call_id, leads_id,
    caller, callee, call_direction, duration, call_start_time, call_end_time, ring_time, answer_time, end_status,
    call_record_url
FROM file('landing/dt=*/account_id=*/calls.ndjson.zst', JSONEachRow,
    'call_id String, leads_id Nullable(Int64), caller Nullable(String), callee Nullable(String),
     call_direction Nullable(String), duration Nullable(Int64), call_start_time String,
     call_end_time Nullable(String), ring_time Nullable(String), answer_time Nullable(String),
     end_status Nullable(Int64), call_record_url Nullable(String)')
WHERE extract(_path, 'dt=([0-9-]+)') IN (
    SELECT extract(_path, 'dt=([0-9-]+)') FROM file('landing/dt=*/_COMPLETE.json', JSONEachRow, 'day String'))
SETTINGS input_format_skip_unknown_fields = 1, use_hive_partitioning = 0;

SELECT dt, count() AS calls FROM calls FINAL GROUP BY dt ORDER BY dt;
