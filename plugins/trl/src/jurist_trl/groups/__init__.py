"""Trainers that compare the responses to a prompt with each other: GRPO and RLOO."""
