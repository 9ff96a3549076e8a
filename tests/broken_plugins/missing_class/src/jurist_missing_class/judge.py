"""A module without the class that the plugin names."""
