"""A judge for Jurist that answers from a file of recorded verdicts."""
