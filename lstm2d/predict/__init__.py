"""Label images with a trained model."""

from lstm2d.predict.loading import load
from lstm2d.predict.predictor import Predictor
from lstm2d.predict.zoo import bundled_models, find_model

__all__ = ["Predictor", "bundled_models", "find_model", "load"]
