"""Synthetic outdoor scenes with exact labels, whose classes share colours and textures."""

from lstm2d.data.synth._dataset import split_sizes, write_dataset
from lstm2d.data.synth._scene import CLASSES, draw_scene

__all__ = ["CLASSES", "draw_scene", "split_sizes", "write_dataset"]
