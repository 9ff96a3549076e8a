"""Trainers in processes of their own."""
