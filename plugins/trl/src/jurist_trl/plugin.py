"""Hooks of jurist-trl."""
