import pytest

from harvester.landing import steps
from harvester.landing.steps import Step


def test_passing_a_step_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Outside of crash tests a step is passed without anything happening."""
    for step in Step:
        steps.passed(step)
    assert capsys.readouterr() == ("", "")


def test_names_of_steps() -> None:
    """Each step has a name of its own that can be given on a command line."""
    assert len({str(step) for step in Step}) == len(Step) == 15
    assert all(Step(str(step)) is step and ":" not in step for step in Step)
