"""A labeler for Jurist, trained on a few thousand human preferences."""
