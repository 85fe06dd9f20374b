"""Pretrained weights: readers of published files, and the store that keeps them for every model."""
