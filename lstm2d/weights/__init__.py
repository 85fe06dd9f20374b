"""Pretrained weights: readers of published files, and the user's store."""
