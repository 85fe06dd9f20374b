"""Preprocessing of images, and conversion of network outputs to labels at image size."""
