"""A plugin written for another version of Jurist."""
