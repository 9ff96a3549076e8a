"""Hooks of jurist-review."""
