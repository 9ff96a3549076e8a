"""Reports of Jurist runs as one self-contained HTML file, and a local web page to review them."""
