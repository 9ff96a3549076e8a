"""Chat models of 100+ providers for Jurist, through LiteLLM."""
