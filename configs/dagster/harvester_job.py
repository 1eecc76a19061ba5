"""A Dagster job that runs `harvester run` every night: `dagster dev -f harvester_job.py`, or in a code location.

harvester has its own virtual environment: nothing of Dagster's has to fit to it. Secrets come by the environment.
"""

import subprocess

import dagster as dg

COMMAND = ["/srv/harvester/.venv/bin/harvester", "run", "/srv/harvester/nightly.toml", "--no-progress"]
GOES_ON = {3: "partial", 8: "a budget ended first", 130: "interrupted", 143: "terminated"}
"""Exit codes after which another try goes on from where this one ended."""
NEEDS_A_PERSON = {1: "a bug", 2: "config", 4: "storage", 5: "no token works", 11: "another run holds the lock"}
"""Exit codes after which another try does not help."""
GRACE_S = 60
"""After SIGTERM: open slices are saved, then webhooks are told."""


@dg.asset(retry_policy=dg.RetryPolicy(max_retries=3, delay=1800))
def calls() -> None:
    """The landing zone: every phone call of every account."""
    with subprocess.Popen(COMMAND) as process:
        try:
            code = process.wait()
        except BaseException:  # the step is stopped: so is the run, softly
            process.terminate()
            process.wait(GRACE_S)
            raise
    if code:
        why = GOES_ON.get(code) or NEEDS_A_PERSON.get(code, "killed")
        raise dg.Failure(f"exit code {code}: {why}; see the log", allow_retries=code in GOES_ON)


harvest_calls = dg.define_asset_job("harvest_calls", selection=[calls], tags={"dagster/concurrency_key": "harvester"})
every_night = dg.ScheduleDefinition(job=harvest_calls, cron_schedule="30 2 * * *", execution_timezone="Asia/Shanghai")
defs = dg.Definitions(assets=[calls], jobs=[harvest_calls], schedules=[every_night])
