"""Anthropic's models for Jurist, with prompt caching and half-price batches."""
