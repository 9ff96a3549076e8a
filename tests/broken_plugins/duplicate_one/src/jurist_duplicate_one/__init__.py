"""One of two distributions that offer the same judge."""
