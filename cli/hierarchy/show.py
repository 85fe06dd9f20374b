"""`lstm2d hierarchy show`."""
