"""The way of an image through a model: preprocessing, and back to labels of its own size."""
