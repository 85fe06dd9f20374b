"""The file, its metadata, what is refused, and `lstm2d export`."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstm2d
from lstm2d.cli.program import program
from lstm2d.errors import ConfigError, DataError, OutputError
from lstm2d.export import check, export_onnx, onnx_file, packages
from lstm2d.export.onnx_file import to_bytes
from lstm2d.io.model_file import save_model
from lstm2d.predict import Predictor
from tests.export.networks import model, predictor, small
from tests.runner import runner


@pytest.fixture
def stored(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Return a model file with a CRF and terms of use."""
    made = model(small("lstm2d-5x5"), rng, crf={"iterations": 2})
    path = tmp_path / "models" / "small.safetensors"
    path.parent.mkdir()
    save_model(path, replace(made, terms="for tests", typical_size=277.5, preset="lstm2d-5x5"))
    return path


def test_a_missing_package(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnxruntime", "onnx"):
        monkeypatch.setitem(sys.modules, name, None)
        result = runner().invoke(program, ["export", str(stored), "-o", str(tmp_path / "m.onnx"), "--json"])
        assert result.exit_code == 2
        assert "pip install 'lstm2d[onnx]'" in result.stderr
        assert not (tmp_path / "m.onnx").exists()


def test_telemetry_is_off_while_a_package_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    monkeypatch.setattr(
        packages, "import_module", lambda name: seen.append(os.environ.get(packages.TELEMETRY))
    )
    for before in (None, "0"):
        with monkeypatch.context() as patch:
            patch.delenv(packages.TELEMETRY, raising=False)
            if before is not None:
                patch.setenv(packages.TELEMETRY, before)
            packages.optional("onnxruntime")
            assert os.environ.get(packages.TELEMETRY) == before
    assert seen == ["1", "1"]


def test_the_file(stored: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    first, second = tmp_path / "first.onnx", tmp_path / "second.onnx"
    written = lstm2d.export_onnx(stored, first)
    export_onnx(stored, second)
    assert first.read_bytes() == second.read_bytes()  # nothing in it depends on the time or on names of files
    assert written.bytes == first.stat().st_size
    assert written.crf
    assert 0 < written.difference < 1e-5
    loaded = onnx.load(first)
    onnx.checker.check_model(loaded, full_check=True)
    assert {node.domain for node in loaded.graph.node} == {""}
    assert [(i.domain, i.version) for i in loaded.opset_import] == [("", written.opset)]
    found = {p.key: json.loads(p.value) for p in loaded.metadata_props}
    assert found == {
        "classes": [f"class {k}" for k in range(4)],
        "palette": [[k, 2 * k, 3 * k] for k in range(4)],
        "channels": ["red", "green", "blue"],
        "size": {"rule": "auto", "typical_size": 277.5, "tolerance": 1.5, "max_enlargement": 4.0},
        "model": "small",
        "preset": "lstm2d-5x5",
        "lstm2d_version": lstm2d.__version__,
        "trained_on": "",
        "terms": "for tests",
    }
    session = runtime.InferenceSession(first)
    (image,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == (
        "image",
        "tensor(float)",
        ["batch", "height", "width", 3],
    )
    assert probabilities.shape == ["batch", "height", "width", 4]
    photo = np.random.default_rng(0).integers(0, 256, (23, 34, 3), np.uint8)
    ours = lstm2d.load(stored, crf=False).predict_proba(photo, size="native")
    theirs = session.run(None, {"image": photo[np.newaxis].astype(np.float32)})[0][0]
    np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_what_the_metadata_says_of_sizes_and_options(rng: np.random.Generator) -> None:
    pytest.importorskip("onnx")
    made = predictor(small("rcnn2"), rng, resolution=4, instances=2)
    found = {name: json.loads(value) for name, value in onnx_file.metadata(made).items()}
    assert found["size"]["rule"] == "native"  # its typical size is unknown
    assert found["resolution"] == "1/4"
    assert found["instances"] == [2]
    fixed = Predictor(replace(made.model, native=True, typical_size=99.0), crf=False)
    assert json.loads(onnx_file.metadata(fixed)["size"])["rule"] == "native"


def test_a_difference_refuses(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    run = check.run
    path = tmp_path / "m.onnx"
    path.write_text("the file before")

    def wrong(session: Any, images: Any) -> Any:
        result = run(session, images)
        if images.shape[:2] == (3, 61):
            result[1, 2, 3, 0] += 2e-4
        return result

    monkeypatch.setattr(check, "run", wrong)
    with pytest.raises(OutputError, match=r"differs by 0\.0002 .* a batch of 3 images of 61x29 pixels"):
        export_onnx(stored, path)
    assert path.read_text() == "the file before"
    monkeypatch.setattr(check, "run", lambda session, images: run(session, images)[:, 1:])
    with pytest.raises(OutputError, match="differs by inf"):
        export_onnx(stored, path)
    monkeypatch.setattr(check, "run", lambda session, images: run(session, images) * np.float32(np.nan))
    with pytest.raises(OutputError, match="differs by inf"):
        export_onnx(stored, path)
    assert path.read_text() == "the file before"
    assert [p.name for p in tmp_path.iterdir() if p.is_file()] == ["m.onnx"]


def test_what_onnxruntime_cannot_run(rng: np.random.Generator) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(ConfigError, match=r"onnxruntime .* cannot run the file"):
        check.open_session(b"no model")
    pytest.importorskip("onnx")
    made = predictor(small("lstm2d-5x5"), rng)
    session = check.open_session(to_bytes(made.network, made.preprocessing, {}))
    with pytest.raises(ConfigError, match=r"onnxruntime .* cannot run the file"):
        check.run(session, np.zeros((1, 4, 4, 5), np.float32))


def test_output_that_is_not_finite(rng: np.random.Generator) -> None:
    made = predictor(small("lstm2d-5x5"), rng)
    made.network.head.weight.data[...] = np.nan
    with pytest.raises(DataError, match="not finite, first in layer scores"):
        check.probabilities(made, check.draw(1, 5, 5))


def test_a_file_that_would_be_too_large(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    monkeypatch.setattr(onnx_file, "MAX_BYTES", 1000)
    made = predictor(small("lstm2d-5x5"), rng)
    with pytest.raises(ConfigError, match="the parameters take"):
        to_bytes(made.network, made.preprocessing, {})


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("{model} -o {there}/none/m.onnx", 5, "make the folder first"),
        ("{model} -o {there}", 5, "no regular file"),
        ("{there}/none -o {there}/m.onnx", 3, "none"),
        ("{bad} -o {there}/m.onnx", 3, "bad.safetensors"),
        ("{model} -o {model}", 2, "would replace the model"),
        ("{model} -o {there}/m.onnx --resolution 1/2", 2, "--resolution"),
        ("{model} -o {there}/m.onnx --resolution x", 2, "--resolution"),
        ("{model} -o {there}/m.onnx --instances 2", 2, "--instances"),
        ("{model} -o {there}/m.onnx --instances 0", 2, "--instances"),
        ("{model}", 2, "--out"),
    ],
)
def test_wrong_commands(stored: Path, tmp_path: Path, words: str, code: int, message: str) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    bad, there = stored.with_name("bad.safetensors"), tmp_path / "there"
    bad.write_bytes(stored.read_bytes()[:-40])
    there.mkdir()
    result = runner().invoke(program, ["export", *words.format(model=stored, bad=bad, there=there).split()])
    assert result.exit_code == code, result.stderr
    assert message in result.stderr
    assert "unexpected" not in result.stderr
    assert stored.read_bytes()[:-40] == bad.read_bytes()  # the model is what it was
    assert list(there.iterdir()) == []


def test_the_command(stored: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    path = tmp_path / "m.onnx"
    result = runner().invoke(program, ["export", str(stored), "-o", str(path), "--json"])
    assert result.exit_code == 0, result.stderr
    assert "the CRF of this model is not in the file" in result.stderr
    found = json.loads(result.stdout)
    assert set(found) == {"model", "out", "bytes", "opset", "difference", "float32", "compared", "crf"}
    assert found["bytes"] == path.stat().st_size
    assert found["crf"] is True
    assert [(c["batch"], c["rows"], c["columns"]) for c in found["compared"]] == [
        (b, *size) for size in check.SIZES for b in (1, 3)
    ]
    assert found["difference"] == max(c["difference"] for c in found["compared"])
    assert f"{found['difference']:.1e} in onnxruntime" in result.stderr
