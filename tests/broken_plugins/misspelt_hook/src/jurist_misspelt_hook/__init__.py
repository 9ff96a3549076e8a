"""A plugin whose hook has a misspelt name."""
