"""Hooks of jurist-demo."""
