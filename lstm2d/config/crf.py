"""Settings of the fully connected CRF: named sets and overrides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from lstm2d.config.load import override
from lstm2d.config.problems import raise_for, section_problems, unknown_keys
from lstm2d.config.schema import CRFSection
from lstm2d.errors import ConfigError

DEFAULT_SET = "krahenbuehl"

# name -> keys of [crf]; missing keys have their default
CRF_SETS: dict[str, dict[str, Any]] = {
    # kernels of dense_inference, the example program of Kraehenbuehl and Koltun (NIPS 2011), which runs
    # 5 iterations; 2 iterations as in H-ReNet (Yan et al. 2016, Table 4)
    "krahenbuehl": {
        "iterations": 2,
        "bilateral_weight": 10.0,
        "theta_alpha": 80.0,
        "theta_beta": 13.0,
        "spatial_weight": 3.0,
        "theta_gamma": 3.0,
    },
    # run_densecrf.sh as released with DeepLab-LargeFOV (Chen et al., ICLR 2015), for PASCAL VOC 2012
    "deeplab-voc": {
        "iterations": 10,
        "bilateral_weight": 4.0,
        "theta_alpha": 49.0,
        "theta_beta": 5.0,
        "spatial_weight": 3.0,
        "theta_gamma": 3.0,
    },
    # as released with the VGG-16 model of DeepLab v2 (Chen et al., TPAMI 2018), for PASCAL VOC 2012
    "deeplab-v2-vgg-voc": {
        "iterations": 10,
        "bilateral_weight": 4.0,
        "theta_alpha": 65.0,
        "theta_beta": 3.0,
        "spatial_weight": 2.0,
        "theta_gamma": 2.0,
    },
    # as released with the ResNet-101 model of DeepLab v2, for PASCAL VOC 2012
    "deeplab-v2-resnet-voc": {
        "iterations": 10,
        "bilateral_weight": 4.0,
        "theta_alpha": 67.0,
        "theta_beta": 3.0,
        "spatial_weight": 3.0,
        "theta_gamma": 1.0,
    },
    # as in the released code of H-ReNet (Yan et al. 2016), whose paper states only 2 iterations
    "h-renet": {
        "iterations": 5,
        "bilateral_weight": 5.0,
        "theta_alpha": 80.0,
        "theta_beta": 3.0,
        "spatial_weight": 3.0,
        "theta_gamma": 3.0,
    },
    # ours, for the bundled model of this name: tuned on the 29 Stanford training images held out from its
    # training (benchmarks/results/crf.md)
    "outdoor": {
        "iterations": 5,
        "bilateral_weight": 4.0,
        "theta_alpha": 100.0,
        "theta_beta": 4.0,
        "spatial_weight": 3.0,
        "theta_gamma": 3.0,
    },
}


def crf_settings(
    base: str | Mapping[str, Any] = DEFAULT_SET,
    overrides: Iterable[str | tuple[str, str]] = (),
    *,
    source: str = "",
) -> CRFSection:
    """Return the checked CRF settings of a named set or table.

    Parameters
    ----------
    base : str or mapping
        Name of a set, or keys of ``[crf]``; missing keys have their default.
    overrides : iterable of str or (str, str)
        "crf.KEY=VALUE", optionally with its origin for messages; applied in order.
    source : str
        Origin of a mapping, for messages.

    Returns
    -------
    CRFSection
        Complete and checked settings.

    Raises
    ------
    ConfigError
        If the set or a key is unknown, or a value is out of range; the message lists all wrong keys.
    """
    table: dict[str, Any] = {"crf": _named(base) if isinstance(base, str) else dict(base)}
    places = {"crf": source} if source else {}
    pairs = [(item, "overrides") if isinstance(item, str) else item for item in overrides]
    found = override(table, places, pairs)
    valid = [f"crf.{name}" for name in CRFSection.model_fields]
    found += unknown_keys([key for key in places if not key.startswith("crf")], valid, places)
    section = None
    try:
        section = CRFSection.model_validate(table["crf"])
    except ValidationError as error:
        found += section_problems(error, CRFSection, "crf.", valid, places)
    raise_for(found)
    assert section is not None  # otherwise there was a problem
    return section


def _named(name: str) -> dict[str, Any]:
    if name not in CRF_SETS:
        close = get_close_matches(name, CRF_SETS, n=1)
        raise ConfigError(
            "no such set of CRF settings",
            where=name,
            expected=", ".join(CRF_SETS),
            hint=f"did you mean {close[0]}?" if close else None,
        )
    return dict(CRF_SETS[name])
