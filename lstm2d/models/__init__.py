"""The networks: one file for each published system."""

from lstm2d.models.backbones.imported import import_weights, load_imported, restore_imported
from lstm2d.models.fcn import FCNConfig, FCNNetwork
from lstm2d.models.h_renet import HReNetConfig, HReNetNetwork
from lstm2d.models.lstm2d import LSTM2DConfig, LSTM2DNetwork
from lstm2d.models.n_renet import NReNetConfig, NReNetNetwork
from lstm2d.models.network import Network
from lstm2d.models.options import ModelConfig
from lstm2d.models.patch_cnn import PatchCNNConfig, PatchCNNNetwork
from lstm2d.models.rcnn import RCNNNetwork
from lstm2d.models.rcnn_config import RCNNConfig
from lstm2d.models.registry import MODELS, ModelKind, build, model_config, parameter_count
from lstm2d.models.reseg import ReSegConfig, ReSegNetwork
from lstm2d.models.step import PREDICTION, Step

__all__ = [
    "MODELS",
    "PREDICTION",
    "FCNConfig",
    "FCNNetwork",
    "HReNetConfig",
    "HReNetNetwork",
    "LSTM2DConfig",
    "LSTM2DNetwork",
    "ModelConfig",
    "ModelKind",
    "NReNetConfig",
    "NReNetNetwork",
    "Network",
    "PatchCNNConfig",
    "PatchCNNNetwork",
    "RCNNConfig",
    "RCNNNetwork",
    "ReSegConfig",
    "ReSegNetwork",
    "Step",
    "build",
    "import_weights",
    "load_imported",
    "model_config",
    "parameter_count",
    "restore_imported",
]
