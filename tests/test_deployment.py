"""What is under configs/ to be copied says of the program what is so."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from harvester.cli import cli
from harvester.errors import ExitCode
from harvester.landing.marks import NAME
from harvester.metrics.figures import METRICS
from harvester.notice import MEANINGS, Occasion, occasion
from tests.test_docs import README, ROOT, commands, flags

CONFIGS = ROOT / "configs"
FILES = sorted(
    path.relative_to(ROOT).as_posix() for path in CONFIGS.rglob("*") if path.is_file() and "__" not in str(path)
)
AGAIN = {int(code) for code in ExitCode if occasion(code, was_unwell=False) is Occasion.PARTIAL}
"""After these another try goes on from there."""
STOPPED = {130, 143}
PERSON = {int(code) for code in ExitCode if occasion(code, was_unwell=False) is Occasion.FAILURE}
"""After these it does not help."""


def text_of(name: str) -> str:
    """A file's text."""
    return (CONFIGS / name).read_text(encoding="utf-8")


def test_every_file_is_in_the_readme_and_no_other() -> None:
    """Whoever looks for an example finds it."""
    table = README.split("## Into production")[1].split("\n## ")[0]
    assert sorted(re.findall(r"`(configs/[^`]+)`", table)) == FILES


@pytest.mark.parametrize("name", FILES)
def test_no_host_of_a_registry_and_no_token_stands_in_a_file(name: str) -> None:
    """What is pulled comes from wherever the reader's tools pull; secrets come by environment."""
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(r"(docker|ghcr|quay|gcr|pypi|npmjs)\.(io|com|org)", text)
    assert not re.search(r"access_token\s*=\s*\"(?!\$\{)", text)


def invocations() -> Iterator[tuple[str, list[str]]]:
    """Every call of the program in a file: the file, and the words after the program's name."""
    shapes = (
        r"harvester(?= (?:run|plan|doctor|status|verify|notify|accounts|config)\b)([^`\n|<\"]*)",
        r"bin/harvester\"((?:, \"[^\"]*\")+)",
        r"args: \[([^\]]*)\]",
    )
    for name in FILES:
        text = (ROOT / name).read_text(encoding="utf-8")
        for shape in shapes:
            for found in re.finditer(shape, text):
                yield name, re.findall(r"[^\s,\"]+", found[1])


def test_every_command_and_flag_in_a_file_exists() -> None:
    """An example that is copied runs."""
    known = commands()
    seen = set()
    for name, words in invocations():
        full = next(one for one in (f"harvester {' '.join(words[:2])}", f"harvester {words[0]}") if one in known)
        used = {word for word in words if re.fullmatch(r"--[a-z-]+", word)}
        assert used <= flags(known[full]), f"{name}: {full}"
        if full == "harvester run":
            seen.add(name)
    scripts = {
        name
        for name in FILES
        if re.search(r"/(cron|systemd/harvester\.service|docker|kubernetes|airflow|dagster)", name)
    }
    assert {name for name in scripts if not name.endswith((".timer", "@.service"))} <= seen


def test_flags_that_are_checked_could_be_wrong() -> None:
    """The hunt above finds flags at all."""
    used = {word for _, words in invocations() for word in words if word.startswith("--")}
    assert {"--no-progress", "--quiet", "--log-format", "--max-duration"} <= used


class TestSystemd:
    """The units."""

    def setting(self, key: str) -> set[int]:
        """Exit codes of a key."""
        (line,) = re.findall(rf"^{key}=(.*)$", text_of("systemd/harvester.service"), re.MULTILINE)
        return {int(code) for code in line.split()}

    def test_exit_codes(self) -> None:
        """What a person has to mend is not tried again, what was stopped is no failure, the rest is tried again."""
        assert self.setting("RestartPreventExitStatus") == PERSON
        assert self.setting("SuccessExitStatus") == STOPPED
        assert {3, 8} == AGAIN - STOPPED

    @pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here")
    def test_systemd_takes_them(self, tmp_path: Path) -> None:
        """No key is unknown, no value is odd; the program itself need not be there."""
        for unit in (CONFIGS / "systemd").iterdir():
            content = unit.read_text().replace("/srv/harvester/.venv/bin/harvester", "/bin/true")
            (tmp_path / unit.name).write_text(content)
        units = [tmp_path / "harvester.service", tmp_path / "harvester.timer"]
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False, timeout=60  # noqa: S607
        )  # fmt: skip
        own = [line for line in done.stderr.splitlines() if "harvester" in line]
        assert (done.returncode, own) == (0, [])


class TestKubernetes:
    """The CronJob."""

    def spec(self) -> Any:
        """Of its jobs."""
        volume, job = yaml.safe_load_all(text_of("kubernetes/cronjob.yaml"))
        assert (volume["kind"], job["apiVersion"], job["kind"]) == ("PersistentVolumeClaim", "batch/v1", "CronJob")
        assert (job["spec"]["timeZone"], job["spec"]["concurrencyPolicy"]) == ("Asia/Shanghai", "Forbid")
        return job["spec"]["jobTemplate"]["spec"]

    def test_exit_codes(self) -> None:
        """As a person has to mend something, as it was stopped, and the rest counts as a try."""
        rules = self.spec()["podFailurePolicy"]["rules"]
        codes = {rule["action"]: rule["onExitCodes"]["values"] for rule in rules if "onExitCodes" in rule}
        assert codes == {"FailJob": sorted(PERSON), "Ignore": sorted(STOPPED)}

    def test_what_the_policy_needs(self) -> None:
        """`podFailurePolicy` wants pods that are not restarted, and the container's name as it is."""
        spec = self.spec()
        pod = spec["template"]["spec"]
        assert pod["restartPolicy"] == "Never"
        (container,) = pod["containers"]
        named = {
            rule["onExitCodes"]["containerName"] for rule in spec["podFailurePolicy"]["rules"] if "onExitCodes" in rule
        }
        assert named == {container["name"]}
        assert {one["name"] for one in container["volumeMounts"]} == {one["name"] for one in pod["volumes"]}
        assert pod["terminationGracePeriodSeconds"] >= 30


def test_the_image() -> None:
    """It installs extras that exist, has no root, and starts the program."""
    text = text_of("docker/Dockerfile")
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"python:3.12-slim"}
    (extras,) = re.findall(r"/source\[([a-z,]+)\]", text)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    copied = " ".join(re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE)).split()
    assert all((ROOT / name).exists() for name in copied)
    assert "USER 10001" in text
    assert 'ENTRYPOINT ["harvester"]' in text


@pytest.mark.parametrize("name", ["airflow/harvester_dag.py", "dagster/harvester_job.py"])
class TestOrchestrators:
    """The examples in Python; their own packages are not here."""

    def constants(self, name: str) -> dict[str, Any]:
        """Values of the names in capitals."""
        return {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in ast.parse(text_of(name)).body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper()
        }

    def test_exit_codes(self, name: str) -> None:
        """Every one but 0 is either tried again or not."""
        constants = self.constants(name)
        assert set(constants["GOES_ON"]) == AGAIN
        assert set(constants["NEEDS_A_PERSON"]) == PERSON
        assert AGAIN | PERSON | {0} == {int(code) for code in ExitCode}

    def test_the_command(self, name: str) -> None:
        """It is the program, with a config."""
        program, command, config, *rest = self.constants(name)["COMMAND"]
        assert (Path(program).name, command, Path(config).suffix) == ("harvester", "run", ".toml")
        assert set(rest) <= flags(commands()["harvester run"])


class TestAlerts:
    """The Prometheus rules."""

    def rules(self) -> list[dict[str, Any]]:
        """All of them."""
        return [rule for group in yaml.safe_load(text_of("alerts.yml"))["groups"] for rule in group["rules"]]

    def test_they_ask_for_figures_that_exist(self) -> None:
        """And for exit codes that exist; every ending but a good one and a held lock is in one of them."""
        asked = {name for rule in self.rules() for name in re.findall(r"harvester_[a-z_]+", rule["expr"])}
        assert asked
        assert asked <= set(METRICS)
        codes = {int(code) for rule in self.rules() for code in re.findall(r"exit_code == (\d+)", rule["expr"])}
        assert codes == {int(code) for code in ExitCode} - {ExitCode.COMPLETE, ExitCode.LOCKED}

    def test_each_says_what_to_do(self) -> None:
        """To the person whom it wakes."""
        assert len({rule["alert"] for rule in self.rules()}) == len(self.rules())
        for rule in self.rules():
            assert rule["labels"]["severity"] in {"warning", "critical"}
            assert rule["annotations"].keys() == {"summary", "description"}

    @pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not here")
    def test_promtool_takes_them(self) -> None:
        """Expressions and templates."""
        check = ["promtool", "check", "rules", str(CONFIGS / "alerts.yml")]
        subprocess.run(check, check=True, capture_output=True, timeout=60)


LARGE = 2**63 - 25


@pytest.fixture
def zone(tmp_path: Path) -> Path:
    """A folder with a landing zone: a complete day, one that is not, one that is complete and empty."""
    import zstandard  # noqa: PLC0415 - here only

    def land(day: str, account: int, ids: range) -> None:
        lines = [
            json.dumps(
                {
                    "call_id": f"c{number}", "account_id": account, "leads_id": LARGE + number, "caller": "x",
                    "duration": 5, "call_start_time": f"{day} 00:00:0{number}", "answer_time": None, "new_field": {},
                }
            )
            for number in ids
        ]  # fmt: skip
        folder = tmp_path / "landing" / f"dt={day}" / f"account_id={account}"
        folder.mkdir(parents=True)
        (folder / "calls.ndjson.zst").write_bytes(zstandard.compress("".join(f"{line}\n" for line in lines).encode()))

    def mark(day: str, calls: int) -> None:
        folder = tmp_path / "landing" / f"dt={day}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NAME).write_text(
            json.dumps(
                {
                    "day": day,
                    "accounts": [5, 6],
                    "files": 2,
                    "calls": calls,
                    "run_id": "r",
                    "at": "2026-11-01T02:30:00+08:00",
                }
            )
        )

    land("2026-10-29", 5, range(3))
    land("2026-10-29", LARGE, range(3, 5))
    mark("2026-10-29", 5)
    land("2026-10-30", 5, range(7))
    mark("2026-10-31", 0)
    return tmp_path


READER = """
import duckdb, json, sys
base = duckdb.connect()
for statement in duckdb.extract_statements(sys.stdin.read()):
    base.execute(statement)
told = base.fetchall()
calls = base.execute("SELECT call_id, account_id, leads_id, duration, answer_time FROM calls ORDER BY 1").fetchall()
print(json.dumps([told, calls], default=str))
"""
"""In a process of its own: its library complains of whatever pytest still holds when it ends."""


def test_duckdb_reads_complete_days_and_exact_ids(zone: Path) -> None:
    """By the file as it stands, where the landing zone is."""
    done = subprocess.run(
        [sys.executable, "-c", READER], input=text_of("load/duckdb.sql"), cwd=zone, capture_output=True, text=True,
        check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told, calls = json.loads(done.stdout)
    assert told == [["2026-10-29", 5, 5], ["2026-10-31", 0, 0]]
    assert calls == [[f"c{one}", 5 if one < 3 else LARGE, LARGE + one, 5, None] for one in range(5)]


def test_bigquery_loads_complete_days_only(zone: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """By the script as it stands; gcloud and bq are stand-ins that write down what they are told."""
    tools = tmp_path_factory.mktemp("tools")
    for name in ("gcloud", "bq"):
        (tools / name).write_text(f'#!/bin/sh\necho {name} "$@" >> "{tools}/told"\n')
        (tools / name).chmod(0o755)
    for packed in zone.rglob("calls.ndjson.zst"):
        packed.rename(packed.with_suffix(".gz"))
    script = CONFIGS / "load" / "bigquery.sh"
    env = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
    subprocess.run(["bash", script, zone / "landing", "gs://b/calls", "d.calls"], check=True, env=env, timeout=60)  # noqa: S607
    first, second = (tools / "told").read_text().splitlines()
    assert first.startswith("gcloud storage rsync")
    assert first.endswith(f"{zone}/landing/dt=2026-10-29 gs://b/calls/dt=2026-10-29")
    assert second.startswith("bq load --replace")
    assert (
        " d.calls$20261029 gs://b/calls/dt=2026-10-29/account_id=*/calls.ndjson.gz account_id:INT64,call_id:STRING,"
        in second
    )


@pytest.mark.parametrize("name", ["load/duckdb.sql", "load/clickhouse.sql", "load/bigquery.sh"])
def test_every_field_of_a_call_is_loaded(name: str) -> None:
    """The 13 fields of the API's page; a wide integer where the page says integer."""
    fields = (
        "call_id", "account_id", "leads_id", "caller", "callee", "call_direction", "duration", "call_start_time",
        "call_end_time", "ring_time", "answer_time", "end_status", "call_record_url",
    )  # fmt: skip
    text = text_of(name)
    assert [field for field in fields if field not in text] == []
    assert re.search(r"leads_id:? ?(Nullable\()?['\"]?(BIGINT|Int64|INT64)", text)
    assert NAME in text


def test_what_needs_a_person_says_so() -> None:
    """The words of exit codes are the program's."""
    assert {int(code) for code in MEANINGS} == AGAIN | PERSON | {0}
    assert isinstance(cli, click.Group)
