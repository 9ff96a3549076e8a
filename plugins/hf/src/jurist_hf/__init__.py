"""Local transformers models for Jurist: generation, and judging by one forward pass."""
