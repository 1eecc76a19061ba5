"""How well a harvester is: what was measured, judged. Pure.

Every judgement that is not plainly good says what to do.
"""

from harvester.health.values import Area, Check, Grade, Health, Hint, Question, failure, note, ok, warning

__all__ = ["Area", "Check", "Grade", "Health", "Hint", "Question", "failure", "note", "ok", "warning"]
