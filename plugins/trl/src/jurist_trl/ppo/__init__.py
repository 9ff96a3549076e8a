"""Proximal policy optimisation of a policy against reward models, a Python function or scorers."""
