"""Judges of judges: cascade, repeat, route, criteria, and the base for others."""

from jurist.judges.cascade import Cascade
from jurist.judges.criteria import Criteria
from jurist.judges.of_judges import JudgeOfJudges, JudgeReference
from jurist.judges.repeat import Repeat
from jurist.judges.route import Route

__all__ = ["Cascade", "Criteria", "JudgeOfJudges", "JudgeReference", "Repeat", "Route"]
