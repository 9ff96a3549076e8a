"""Trainers on a fixed dataset: SFT, reward models, DPO."""
