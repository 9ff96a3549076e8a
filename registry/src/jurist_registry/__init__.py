"""Plugin discovery and the jurist command."""
