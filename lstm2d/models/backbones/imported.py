"""Set the layers of a backbone to imported weights."""

from __future__ import annotations

from collections.abc import Mapping

from lstm2d import kernels
from lstm2d.errors import DataError
from lstm2d.io.model_description import Imported
from lstm2d.models.backbones.backbone import Backbone
from lstm2d.models.network import Network
from lstm2d.tensor import FloatArray
from lstm2d.weights.store import find_weights, store_folder, stored_weights, weights_digest


def frozen_names(backbone: Backbone) -> tuple[str, ...]:
    """Return the names, in the network, of the parameters of its backbone that are never trained."""
    return tuple(f"backbone.{name}" for name, p in backbone.named_parameters() if not p.requires_grad)


def load_imported(
    network: Network, layers: Mapping[str, tuple[FloatArray, FloatArray]], *, source: object = None
) -> list[str]:
    """Set the layers of a network's backbone that are among published weights.

    Parameters
    ----------
    network : Network
        Its other layers keep their values, and so do those that the weights lack or that have another number
        of channels here (option `width` of some networks).
    layers : mapping from str to (ndarray, ndarray)
        Filters of shape (kh, kw, in, out) for RGB images and biases of shape (out,), by the layer's name.
    source : object, optional
        Where the weights come from, for messages.

    Returns
    -------
    list of str
        The layers that were not set, first to last: training starts them at random values.

    Raises
    ------
    DataError
        If a layer that is never trained is among those that were not set, as it would stay random; or if no
        layer fits. Nothing is changed then.
    """
    backbone = network.backbone
    if backbone is None:
        return []
    own = dict(backbone.named_parameters())
    parts = {name: (own[f"{name}.weight"], own[f"{name}.bias"]) for name in backbone.names}
    fitting = [
        name
        for name, part in parts.items()
        if name in layers and all(p.shape == v.shape for p, v in zip(part, layers[name], strict=True))
    ]
    absent = [name for name in parts if name not in fitting]
    needed = [name for name in absent if not parts[name][0].requires_grad]
    if needed:
        raise DataError(
            f"the weights lack layers that this network does not train: {', '.join(needed)}",
            where=source,
            expected=f"filters of the sizes of {backbone.published.title}",
            hint="lstm2d weights import FILE, with a file that has these layers",
        )
    if not fitting:
        raise DataError(
            "no layer of the weights fits this network",
            where=source,
            expected=f"layers of {backbone.published.title} with as many channels as here",
            hint="published weights fit model.width=1; with model.weights='' all start at random values",
        )
    for name in fitting:
        for p, values in zip(parts[name], layers[name], strict=True):
            kernels.copy_into(p.data, values)
    return absent


def import_weights(network: Network, name_or_digest: str) -> tuple[Imported | None, list[str]]:
    """Set the layers of a network's backbone from the user's store, before training.

    Parameters
    ----------
    network : Network
        Its other layers keep their values.
    name_or_digest : str
        Which weights: option `weights` of the network; "" for none.

    Returns
    -------
    imported : Imported or None
        What a model file of this network leaves out; None for nothing.
    absent : list of str
        Layers of the backbone that were not set: training starts them at random values.

    Raises
    ------
    ConfigError
        If different weights in the store have that name.
    DataError
        If there are no such weights, or they lack a layer that is never trained.
    """
    if network.backbone is None or not name_or_digest:
        return None, []
    found = find_weights(name_or_digest, network.backbone.names, partial=True)
    absent = load_imported(network, found.layers, source=f"weights {name_or_digest!r}")
    names = imported_layers(network)
    if not names:
        return None, absent
    digest = weights_digest({name: found.layers[name] for name in names})
    return Imported(digest, names, network.imported), absent


def restore_imported(network: Network, imported: Imported | None, *, source: object) -> None:
    """Set the layers that a model file leaves out.

    Parameters
    ----------
    network : Network
        The network of the file.
    imported : Imported or None
        What the file leaves out.
    source : object
        The file, for messages.

    Raises
    ------
    DataError
        If the weights are not in the user's store, or the file leaves out something else than the network.
    """
    names = imported_layers(network)
    left_out = ((), ()) if imported is None else (imported.layers, imported.parameters)
    if left_out != (names, network.imported):
        raise DataError(
            "the model file is damaged (it leaves out other layers than its network)",
            where=source,
            expected=", ".join(names) or "none",
        )
    if imported is not None and network.backbone is not None:
        stored, damaged = stored_weights()
        title = network.backbone.published.title
        if not any(s.digest_of(names) == imported.digest for s in stored):
            there = [f"{len(damaged)} damaged"] * bool(damaged)
            there += [f"{s.name} ({d[:16]}, {s.convention})" for s in stored if (d := s.digest_of(names))]
            raise DataError(
                f"the model needs {', '.join(names)} of {title}, which were not imported",
                where=source,
                expected=f"layers with the digest {imported.digest} in {store_folder()}"
                + (f"; there: {', '.join(there)}" if there else ""),
                hint="lstm2d weights import FILE" + ", with the numbers that it was trained on" * bool(there),
            )
        load_imported(network, find_weights(imported.digest, names).layers, source=imported.digest)


def imported_layers(network: Network) -> tuple[str, ...]:
    """Return the layers of the backbone that a model file leaves out, first to last."""
    if network.backbone is None:
        return ()
    return tuple(name for name in network.backbone.names if f"backbone.{name}.weight" in network.imported)
