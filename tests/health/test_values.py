import pytest

from harvester.errors import ExitCode
from harvester.health import Area, Check, Grade, Health, failure, note, ok, warning


@pytest.mark.parametrize("grade", [Grade.NOTE, Grade.WARNING, Grade.FAILURE])
def test_nothing_is_wrong_without_advice(grade: Grade) -> None:
    """A finding that is not good says what to do, or cannot be made."""
    code = ExitCode.PARTIAL if grade is Grade.FAILURE else ExitCode.COMPLETE
    with pytest.raises(ValueError, match="nothing says what to do"):
        Check(Area.DISK, grade, "full", exit_code=code)


def test_only_failures_have_an_exit_code() -> None:
    """A failure has one, nothing else does."""
    with pytest.raises(ValueError, match="exit code"):
        Check(Area.DISK, Grade.WARNING, "full", "free some", ExitCode.STORAGE)
    with pytest.raises(ValueError, match="exit code"):
        Check(Area.DISK, Grade.FAILURE, "full", "free some")


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], 0),
        ([ExitCode.PARTIAL], 3),
        ([ExitCode.PARTIAL, ExitCode.BUDGET], 8),
        ([ExitCode.BUDGET, ExitCode.NO_TOKEN, ExitCode.PARTIAL], 5),
        ([ExitCode.NO_TOKEN, ExitCode.STORAGE], 4),
    ],
)
def test_the_worst_decides(codes: list[ExitCode], expected: int) -> None:
    """4 before 5 before 8 before 3; notes and warnings leave it at 0."""
    harmless = [ok(Area.CLOCK, "x"), note(Area.CLOCK, "x", "y"), warning(Area.CLOCK, "x", "y")]
    checks = [*harmless, *(failure(Area.API, "x", "y", code) for code in codes)]
    assert Health(checks=checks).exit_code == expected
