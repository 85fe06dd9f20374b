"""Training: optimizer, schedule, checkpoints, records and the loop."""
