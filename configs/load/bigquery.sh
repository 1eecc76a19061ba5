#!/usr/bin/env bash
# The landing zone into BigQuery, day by day, only days that are complete for every enabled account; run it after harvester.
# Of compressed JSON BigQuery reads gzip only: set [output] compression = "gzip". Needs gcloud and bq, a bucket, a data set.
# A day replaces its partition whole, so loading it again is harmless: _PARTITIONDATE is dt. INT64 columns keep ids exact.
set -euo pipefail
landing=${1:?the landing zone}          # /srv/calls/landing
bucket=${2:?the bucket}                 # gs://my-bucket/calls
table=${3:?the table}                   # my_data_set.calls
schema="account_id:INT64,call_id:STRING,leads_id:INT64,caller:STRING,callee:STRING,call_direction:STRING,\
duration:INT64,call_start_time:STRING,call_end_time:STRING,ring_time:STRING,answer_time:STRING,end_status:INT64,\
call_record_url:STRING"

for mark in "$landing"/dt=*/_COMPLETE.json; do
    [ -e "$mark" ] || continue
    day=$(basename "$(dirname "$mark")")
    day=${day#dt=}
    if ! compgen -G "$landing/dt=$day/account_id=*/calls.ndjson.gz" > /dev/null; then
        continue                        # complete, and without a call
    fi
    gcloud storage rsync --recursive --delete-unmatched-destination-objects "$landing/dt=$day" "$bucket/dt=$day"
    bq load --replace --source_format=NEWLINE_DELIMITED_JSON --ignore_unknown_values \
        --time_partitioning_type=DAY "$table\$${day//-/}" "$bucket/dt=$day/account_id=*/calls.ndjson.gz" "$schema"
done
