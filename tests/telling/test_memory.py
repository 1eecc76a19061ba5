"""How the last run ended, remembered for the next one."""

from pathlib import Path

import pytest

from harvester.telling.memory import Memory


def test_nothing_is_known_at_first(tmp_path: Path) -> None:
    """A first night has recovered from nothing."""
    memory = Memory(tmp_path, "a.toml")
    assert (memory.was_unwell, memory.last_success_s) == (False, None)


def test_it_remembers(tmp_path: Path) -> None:
    """What did not end well, and when one did; by config, whatever its name."""
    assert Memory(tmp_path, "a.toml").remember(well=True, at_s=1000.5)
    assert Memory(tmp_path, "a.toml").remember(well=False, at_s=2000.0)
    memory = Memory(tmp_path, "a.toml")
    assert (memory.was_unwell, memory.last_success_s) == (True, 1000.5)
    assert memory.remember(well=True, at_s=3000.0)
    assert (memory.was_unwell, memory.last_success_s) == (False, 3000.0)
    assert Memory(tmp_path, "../b c.toml").remember(well=False, at_s=1.0)
    assert Memory(tmp_path, "../b c.toml").was_unwell
    assert not Memory(tmp_path, "a.toml").was_unwell
    assert sorted(path.name for path in (tmp_path / "last").iterdir()) == [".._b_c.toml.unwell", "a.toml.success"]


def test_nothing_is_made_where_nothing_is(tmp_path: Path) -> None:
    """A disk that is not mounted gets no folders."""
    memory = Memory(tmp_path / "gone" / "state", "a.toml")
    assert not memory.remember(well=False, at_s=1.0)
    assert (memory.was_unwell, memory.last_success_s) == (False, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "soon", "\0"])
def test_a_damaged_memory_is_none(tmp_path: Path, content: str) -> None:
    """It is forgotten, not believed."""
    memory = Memory(tmp_path, "a.toml")
    memory.remember(well=True, at_s=1.0)
    (tmp_path / "last" / "a.toml.success").write_text(content)
    assert memory.last_success_s is None
