"""A plugin whose hook gives a name where a component belongs."""
