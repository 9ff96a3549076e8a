"""What all trainings do alike: arguments, checks, progress, checkpoints, the card and the hub."""
