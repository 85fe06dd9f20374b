"""A demonstration that needs no data: drawn scenes, a small network, and pictures of what it labels."""
