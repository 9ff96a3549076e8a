"""How far judges can be trusted: labelled items, validation, drift, spot checks."""
