"""Hooks of jurist-hf."""
