"""How far judges and juries can be trusted: their verdicts measured against people's labels."""
