"""Reports of Jurist runs as one self-contained HTML file."""
