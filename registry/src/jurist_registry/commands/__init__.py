"""The bodies of the ``jurist`` commands, one module each."""
