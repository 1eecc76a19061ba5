"""The house's first two rules, held by reading the imports of every module."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import harvester

ROOT = Path(harvester.__file__).parent
FLOORS = (
    {"harvester.calls"},
    {"harvester.model", "harvester.errors", "harvester.secret", "harvester.standing"},
    {"harvester.inspection", "harvester.usage", "harvester.disk", "harvester.tuning", "harvester.tracing"},
    {"harvester.events"},
    {"harvester.record", "harvester.triage", "harvester.roll", "harvester.health", "harvester.notice"},
    {"harvester.config", "harvester.plan", "harvester.foresight", "harvester.enrolment"},
    {"harvester.api"},
    {
        "harvester.harvest.sizes",
        "harvester.harvest.findings",
        "harvester.harvest.desk",
        "harvester.harvest.span",
        "harvester.harvest.mend",
        "harvester.harvest.far",
        "harvester.harvest.sharing",
        "harvester.harvest.saved",
        "harvester.harvest.walk",
        "harvester.harvest.checkup.evidence",
        "harvester.harvest.checkup.unknowns",
    },
    {"harvester.harvest.pace", "harvester.harvest.queue", "harvester.harvest.assignment", "harvester.harvest.division"},
    {"harvester.harvest.hints"},
    {
        "harvester.harvest.cases",
        "harvester.harvest.ward",
        "harvester.harvest.lane",
        "harvester.harvest.terms",
        "harvester.harvest.tour",
        "harvester.harvest.prospect",
    },
    {"harvester.harvest.schedule"},
    {"harvester.landing", "harvester.report"},
    {
        "harvester.harvest.resume",
        "harvester.harvest.casebook",
        "harvester.harvest.enrolment",
        "harvester.harvest.roll_call",
        "harvester.harvest.foresight",
        "harvester.harvest.planning",
        "harvester.harvest.stopping",
        "harvester.harvest.outside",
        "harvester.harvest.meter",
        "harvester.harvest.hintbook",
        "harvester.harvest.checkup",
        "harvester.harvest.books",
    },
    {
        "harvester.harvest.run",
        "harvester.harvest.closing",
        "harvester.harvest.progress",
        "harvester.harvest.preview",
        "harvester.harvest.inspect",
        "harvester.harvest.doctor",
    },
    {"harvester.show", "harvester.telling", "harvester.metrics"},
    {"harvester.page.counting"},
    {"harvester.page.values"},
    {"harvester.page.words", "harvester.page.selecting", "harvester.page.runs", "harvester.page.landed"},
    {"harvester.page.gather", "harvester.page.sections", "harvester.page.plots"},
    {"harvester.page"},
    {"harvester.assign", "harvester.webhooks"},
    {"harvester.library", "harvester.aftermath", "harvester.examples", "harvester.options"},
    {"harvester.sandbox"},
    {"harvester.demo"},
    {"harvester.endings"},
    {"harvester.accounts_command", "harvester.doctor_command", "harvester.notify_command", "harvester.report_command"},
    {"harvester.cli"},
    {"harvester.__main__"},
)
"""From the ground up: a room may import rooms of lower floors and its own, never of higher ones."""
FORBIDDEN = {
    ("harvester.landing", "harvester.api"),
    ("harvester.page.plots", "harvester.landing"),
    ("harvester.page.sections", "harvester.page.plots"),
    ("harvester.page.html", "harvester.page.gather"),
    ("harvester.landing", "harvester.harvest"),
    ("harvester.report", "harvester.api"),
    ("harvester.report", "harvester.landing"),
    ("harvester.harvest.walk", "harvester.api"),
    ("harvester.harvest.schedule", "harvester.api"),
    ("harvester.harvest", "harvester.config"),
    ("harvester.api", "harvester.config"),
    ("harvester.plan", "harvester.config"),
    ("harvester.sandbox", "harvester.api"),
    ("harvester.sandbox", "harvester.harvest"),
    ("harvester.sandbox", "harvester.landing"),
    ("harvester.metrics", "harvester.config"),
    ("harvester.metrics", "harvester.harvest"),
    ("harvester.metrics", "harvester.telling"),
    ("harvester.telling", "harvester.config"),
    ("harvester.telling", "harvester.harvest"),
    ("harvester.telling", "harvester.landing"),
    ("harvester.show", "harvester.api"),
    ("harvester.show", "harvester.harvest"),
    ("harvester.show", "harvester.landing"),
}
"""Rooms that must not know each other though their floors would allow it: (room, what it must not import)."""
PURE = (
    "calls", "examples", "model", "errors", "standing", "events",
    "inspection", "record", "plan", "foresight", "roll", "enrolment",
    "api.accounts", "api.codes", "api.protocol", "api.decisions", "api.clock", "api.quota.limits", "api.quota.day",
    "api.quota.pauses", "api.quota.own", "api.quota.figures", "api.quota.learning", "api.quota.steering",
    "api.traffic.budget", "api.traffic.circuit", "api.traffic.crowd", "api.traffic.retries", "harvest.desk",
    "harvest.span", "harvest.mend", "harvest.pace", "harvest.saved", "harvest.walk", "landing.encode",
    "landing.merge", "landing.runs", "landing.publication", "landing.ledger.schema", "report.summary",
    "report.forecast", "report.left", "report.troubles", "report.lateness", "report.soundness", "report.status",
    "report.table", "report.sick", "report.grown", "report.fold", "report.blocks", "report.screen", "report.quotas",
    "report.remaining", "report.position", "report.schema", "api.quota.reading",
    "triage", "harvest.division", "harvest.cases", "harvest.ward",
    "report.rolls", "report.health", "health", "health.values", "health.machine", "health.tokens", "health.quota",
    "notice", "telling.services", "telling.message", "tracing", "metrics.figures", "metrics.wanted",
    "health.accounts", "health.questions", "harvest.hints", "harvest.sizes", "harvest.findings",
    "harvest.checkup.evidence", "harvest.checkup.unknowns", "page.counting", "page.values", "page.words",
    "page.selecting", "page.sections", "page.sections.parts", "page.sections.completeness", "page.sections.traffic",
    "page.sections.calls", "usage",
)  # fmt: skip
EFFECTS = {
    "aiohttp", "anyio", "asyncio", "os", "pathlib", "random", "secrets", "socket", "sqlite3", "subprocess", "tempfile",
    "threading", "time", "logging",
}  # fmt: skip
"""Modules that a pure room must not import: I/O, clocks, chance, concurrency."""


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path) -> Iterator[str]:
    """The dotted names that a module imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def within(module: str, room: str) -> bool:
    """Whether a module is a room or stands in it."""
    return module == room or module.startswith(f"{room}.")


def floor_of(module: str) -> int | None:
    """The floor of a module's most closely named room."""
    rooms = [(len(room), floor) for floor, rooms in enumerate(FLOORS) for room in rooms if within(module, room)]
    return max(rooms)[1] if rooms else None


MODULES = modules()
ARROWS = sorted(
    (name, target)
    for name, path in MODULES.items()
    for target in imports(path)
    if within(target, "harvester") and target != "harvester.__version__" and name != "harvester"
)
"""But for the package's own door, which leads to the library's floor and is opened late."""


def test_every_module_has_its_floor() -> None:
    """A new room is given a floor before it is built."""
    folders = {"harvester", "harvester.harvest"}
    assert [name for name in MODULES if name not in folders and floor_of(name) is None] == []


@pytest.mark.parametrize(("module", "target"), ARROWS)
def test_no_arrow_runs_back(module: str, target: str) -> None:
    """A module imports only what stands on its own floor or below."""
    above, below = floor_of(module), floor_of(target)
    assert above is not None
    assert below is not None
    assert below <= above, f"{module} must not import {target}"


@pytest.mark.parametrize(("module", "target"), ARROWS)
def test_neighbours_do_not_know_each_other(module: str, target: str) -> None:
    """What must stay apart stays apart, whatever the floors allow."""
    composition = {"harvester.harvest.run", "harvester.harvest.preview", "harvester.harvest.inspect"}
    broken = [
        (room, other)
        for room, other in FORBIDDEN
        if within(module, room) and within(target, other) and module not in composition
    ]
    assert broken == []


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_have_no_effects(room: str) -> None:
    """Decisions import no clock, no chance, no I/O and no concurrency, and await nothing."""
    path = MODULES[f"harvester.{room}"]
    assert {name.split(".")[0] for name in imports(path)} & EFFECTS == set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    effects = (ast.AsyncFunctionDef, ast.Await, ast.AsyncWith, ast.AsyncFor)
    assert [node for node in ast.walk(tree) if isinstance(node, effects)] == []
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert calls & {"open", "print", "input"} == set()


def test_only_the_seams_and_the_sandbox_know_aiohttp() -> None:
    """There is one seam to the API, and one to the webhooks that are told of a run."""
    users = {name for name, path in MODULES.items() if "aiohttp" in {found.split(".")[0] for found in imports(path)}}
    assert {name for name in users if not within(name, "harvester.sandbox")} == {
        "harvester.api.transport",
        "harvester.telling.post",
    }


@pytest.mark.parametrize("name", sorted(MODULES))
def test_rooms_stay_small(name: str) -> None:
    """A module of more than 300 lines, or a function of more than 60, lacks a name for one of its parts."""
    text = MODULES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno <= 60, f"{name}.{node.name}"


def test_help_loads_nothing_heavy() -> None:
    """`harvester --help` answers without importing aiohttp, pydantic, sqlite3 or what draws."""
    heavy = {"aiohttp", "pydantic", "sqlite3", "anyio", "rich", "matplotlib", "jinja2", "numpy"}
    code = (
        "import sys, harvester.cli as c\n"
        "try: c.cli(['--help'], standalone_mode=False)\n"
        f"finally: print(sorted({heavy} & set(sys.modules)), file=sys.stderr)"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # coverage imports, too
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=plain)
    assert done.stderr.strip().splitlines()[-1] == "[]"
