"""Dataset folders, their statistics, and the transforms of images and labels."""
