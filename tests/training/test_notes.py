"""What is guessed, converted or left out while images are read is reported by the run."""

from pathlib import Path

from PIL import Image

from lstm2d.training.events import Event
from lstm2d.training.loop import train
from tests.training.runs import Configure

TEXT = "transparent pixels are composited on white"


def make_transparent(path: Path) -> None:
    with Image.open(path) as image:
        clear = image.convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 128))
    clear.save(path)


def test_notes_are_events(tmp_path: Path, dataset: Path, configure: Configure) -> None:
    for number in range(3):
        make_transparent(dataset / "images" / f"i{number}.png")
    events: list[Event] = []
    train(configure("train.epochs=2"), dataset, tmp_path / "run", report=events.append)
    notes = [str(event.values["text"]) for event in events if event.kind == "note"]
    assert notes == [f"{dataset / 'images' / 'i0.png'}: {TEXT}", f"3 images: {TEXT}"]


def test_a_note_that_nobody_reads(tmp_path: Path, dataset: Path, configure: Configure) -> None:
    """It comes in the middle of reading an image, which must not fail for it."""
    make_transparent(dataset / "images" / "i0.png")

    def report(event: Event) -> None:
        if event.kind == "note":
            raise BrokenPipeError

    assert train(configure(), dataset, tmp_path / "run", report=report).epochs == 3
