"""SFT, reward-model and PPO trainers for Jurist, on TRL."""
