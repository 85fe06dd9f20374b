"""What holds for all tests of exports."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before a test imports onnxruntime by itself
