"""OpenAI and OpenAI-compatible servers for Jurist: one fast HTTP session, and half-price batches."""
