"""Dataset folders, their statistics, and what happens to an image before a network sees it."""
