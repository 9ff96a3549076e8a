"""Hooks of jurist-litellm."""
