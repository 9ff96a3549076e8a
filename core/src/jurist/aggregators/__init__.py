"""Aggregators: make one decision of a jury's outcomes, without ever inventing a vote."""

from jurist.aggregators.chain import Chain
from jurist.aggregators.confidence import ConfidenceThreshold
from jurist.aggregators.constitution_filter import ConstitutionFilter
from jurist.aggregators.majority import MajorityVote
from jurist.aggregators.weighted import WeightedMean

__all__ = ["Chain", "ConfidenceThreshold", "ConstitutionFilter", "MajorityVote", "WeightedMean"]
