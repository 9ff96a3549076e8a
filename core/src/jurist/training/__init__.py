"""Trainers in processes of their own, and the log of what they measure."""
