"""Figures that say how good a labeling is."""
