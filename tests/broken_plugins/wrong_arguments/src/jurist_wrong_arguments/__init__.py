"""A plugin whose hook takes an argument that its specification lacks."""
