"""The embedded default of Jurist: a tiny world with its model, critic and judges."""
