"""Metrics of segmentation quality."""
