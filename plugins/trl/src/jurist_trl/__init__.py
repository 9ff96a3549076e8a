"""Trainers for Jurist on TRL: SFT, reward models, DPO, PPO, GRPO, RLOO; reward models as scorer and judge."""
