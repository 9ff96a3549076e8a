"""Ends the program, as a script imported by mistake would."""

raise SystemExit("usage: jurist-system-exit FILE")
