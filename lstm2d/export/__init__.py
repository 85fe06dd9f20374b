"""Trained models as ONNX files, for programs that do not run Python."""

from lstm2d.export.onnx_file import Exported, export_onnx

__all__ = ["Exported", "export_onnx"]
