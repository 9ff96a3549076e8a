"""A plugin that names a class it does not have."""
