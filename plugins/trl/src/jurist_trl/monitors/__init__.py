"""Monitors of trainings on rewards, and the signs that they warn of."""
