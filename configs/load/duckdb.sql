-- The landing zone as two views of DuckDB:  duckdb calls.duckdb < duckdb.sql   (in the folder that holds landing/)
-- complete_days: the days that are complete for every enabled account. calls: the calls of these days, no others.
-- ids are 64 bits wide and stay exact, since every column has its type here. The times are Beijing's.
-- calls.ndjson* also finds .gz and bare files, when [output] compression was changed.

CREATE OR REPLACE VIEW complete_days AS
SELECT "day", files, calls, run_id, "at"
FROM read_json('landing/dt=*/_COMPLETE.json', format = 'unstructured', columns = {
    "day": 'DATE', files: 'BIGINT', calls: 'BIGINT', run_id: 'VARCHAR', "at": 'TIMESTAMPTZ'
});

CREATE OR REPLACE VIEW calls AS
SELECT *
FROM read_json('landing/dt=*/account_id=*/calls.ndjson*', format = 'newline_delimited',
    hive_partitioning = true, hive_types = {dt: 'DATE', account_id: 'BIGINT'},
    columns = {
        call_id: 'VARCHAR', leads_id: 'BIGINT', caller: 'VARCHAR', callee: 'VARCHAR', call_direction: 'VARCHAR',
        duration: 'BIGINT', call_start_time: 'VARCHAR', call_end_time: 'VARCHAR', ring_time: 'VARCHAR',
        answer_time: 'VARCHAR', end_status: 'BIGINT', call_record_url: 'VARCHAR'
    })
WHERE dt IN (SELECT "day" FROM complete_days);

-- What the marks promise is what is there? Only accounts that are enabled now are counted in a mark.
SELECT d."day", d.calls AS promised, count(c.call_id) AS found
FROM complete_days d LEFT JOIN calls c ON c.dt = d."day"
GROUP BY ALL ORDER BY 1;
