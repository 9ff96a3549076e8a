"""What trainings on sampled responses share: options, prompts, sampling, rewards, held-out prompts."""
