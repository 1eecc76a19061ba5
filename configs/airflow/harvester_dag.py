"""A DAG of Airflow 3 that runs `harvester run` every night; put it into the DAGs folder.

harvester has a virtual environment of its own: nothing of Airflow's has to fit to it. Secrets come by the worker's
environment.
"""

import subprocess
from datetime import timedelta

import pendulum
from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

COMMAND = ["/srv/harvester/.venv/bin/harvester", "run", "/srv/harvester/nightly.toml", "--no-progress"]
GOES_ON = {3: "partial", 8: "a budget ended first", 130: "interrupted", 143: "terminated"}
"""Exit codes after which another try goes on from where this one ended."""
NEEDS_A_PERSON = {1: "a bug", 2: "config", 4: "storage", 5: "no token works", 11: "another run holds the lock"}
"""Exit codes after which another try does not help."""
GRACE_S = 60
"""After SIGTERM: open slices are saved, then webhooks are told."""


@dag(
    schedule="30 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Asia/Shanghai"),
    catchup=False,  # a run reads the last days by itself
    max_active_runs=1,
    tags=["calls"],
)
def harvest_calls() -> None:
    """Every phone call of every account, each night."""

    @task(retries=3, retry_delay=timedelta(minutes=30), execution_timeout=timedelta(hours=8))
    def run() -> None:
        """One run; its log is the task's."""
        with subprocess.Popen(COMMAND) as process:
            try:
                code = process.wait()
            except BaseException:  # the task is stopped: so is the run, softly
                process.terminate()
                process.wait(GRACE_S)
                raise
        if code in GOES_ON:
            raise AirflowException(f"exit code {code}: {GOES_ON[code]}; it goes on")
        if code:
            raise AirflowFailException(f"exit code {code}: {NEEDS_A_PERSON.get(code, 'killed')}; see the log")

    run()


harvest_calls()
