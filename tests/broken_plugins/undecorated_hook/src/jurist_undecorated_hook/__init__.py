"""A plugin whose hook is not decorated."""
