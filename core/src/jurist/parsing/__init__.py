"""Parsers: read what a model answered, and never guess.

Each returns None where there is no explicit answer, or where the text contradicts itself.
"""

from jurist.parsing.findings import parse_findings
from jurist.parsing.score import parse_score
from jurist.parsing.verdict import PREFERENCE, Verdict, parse_verdict

__all__ = ["PREFERENCE", "Verdict", "parse_findings", "parse_score", "parse_verdict"]
