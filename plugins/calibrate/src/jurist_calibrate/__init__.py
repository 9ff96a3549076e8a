"""Juries that are learnt from labelled items, and rankings of what was compared."""
