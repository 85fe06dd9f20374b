"""What is drawn for a class name: any script with a font, else the number, never a missing glyph."""

import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, features

from lstm2d.io import fonts
from lstm2d.io.classes import ClassInfo
from lstm2d.io.fonts import PLAIN, characters_of, default_font, system_fonts
from lstm2d.io.lettering import LONGEST, Lettering, Pen, letterings, printable_name
from tests.io.made_fonts import forget, make_font, only_fonts_of


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """Yield a folder that stands for the fonts of the system."""
    with only_fonts_of(tmp_path / "fonts") as found:
        yield found


def shown(name: str, *, shapes: bool = True) -> Lettering:
    return letterings([name], ["7"], shapes=shapes)[0]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("sky", "sky"),
        ("Straße", "Straße"),
        ("$x^2$ & _a", "$x^2$ & _a"),
        ("two\nlines\r\n\tand  more ", "two lines and more"),
        ("e\u0301tang", "étang"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("nul\0 bell\a", "nul bell"),
        ("\ufeffbom\u00ad", "bom"),
        ("byte \udcff", "byte \ufffd"),
        ("дерево", "дерево"),
        ("θάλασσα", "θάλασσα"),
        ("\U0001f600\ufe0f", "\U0001f600"),
        ("", "7"),
        (" \n\u200b", "7"),
        ("\U00020000", "7"),
        ("\ue000", "7"),
        ("\u0378", "7"),
    ],
)
def test_names(name: str, expected: str) -> None:
    assert shown(name) == Lettering(expected)


def test_a_long_name_is_cut(rng: np.random.Generator) -> None:
    found = shown("abc " * 2500).text
    assert len(found) <= LONGEST
    assert found.startswith("abc abc")
    assert found.endswith("…")
    marks = shown("a" + "\u0308\u0323" * 5000).text
    assert len(marks) <= LONGEST
    assert letterings(["abcdef"], ["7"], shapes=True, longest=4) == [Lettering("abc…")]
    assert letterings(["abcd"], ["7"], shapes=True, longest=4) == [Lettering("abcd")]


@settings(max_examples=30)
@given(st.text(st.characters()))
def test_whatever_the_name_it_is_one_line_that_a_font_has(name: str) -> None:
    for shapes in (True, False):
        found = shown(name, shapes=shapes)
        assert 1 <= len(found.text) <= LONGEST
        assert not {unicodedata.category(c) for c in found.text} & {"Cc", "Cs", "Zl", "Zp"}
        assert found.text.strip() == found.text
        path = found.font or default_font()
        assert path is not None
        assert characters_of(path, frozenset(found.text)) == frozenset(found.text)


def test_the_plain_characters_are_all_in_dejavu_sans() -> None:
    path = default_font()
    assert path is not None
    kept = set("".join(printable_name(f"a{chr(c)}a") for c in range(PLAIN))) | {"…"}
    assert characters_of(path, frozenset(kept)) == kept


def test_a_font_of_the_system_is_found(folder: Path) -> None:
    assert shown("道路") == Lettering("7")
    make_font(folder / "other.ttf", "सड़क")
    path = make_font(folder / "deep/er/cjk.otf", "山道路")
    forget()
    assert shown("道路") == Lettering("道路", path)
    assert shown("道路!") == Lettering("7")  # no single font has all of it
    assert letterings(["道路", "道"], ["7", "8"], shapes=True, besides="山") == [
        Lettering("道路", path),
        Lettering("道", path),
    ]
    assert letterings(["道路"], ["7"], shapes=True, besides="l") == [Lettering("7")]
    assert shown("sky") == Lettering("sky")


def test_each_name_gets_its_font(folder: Path) -> None:
    cjk = make_font(folder / "a.ttf", "山")
    thai = make_font(folder / "b.ttf", "ไ")
    names = ["山", "sky", "ไ", "ᚠ\u0378", "山"]
    assert letterings(names, list("abcde"), shapes=False) == [
        Lettering("山", cjk),
        Lettering("sky"),
        Lettering("ไ", thai),
        Lettering("d"),
        Lettering("山", cjk),
    ]


def test_fonts_that_cannot_be_drawn_with(folder: Path) -> None:
    make_font(folder / "colour.ttf", "山道", empty="山")
    make_font(folder / "bold/Some-Bold.ttf", "山")
    make_font(folder / "whole.ttf", "山")
    whole = (folder / "whole.ttf").read_bytes()
    (folder / "whole.ttf").write_bytes(whole[: len(whole) // 2])
    (folder / "text.ttf").write_text("山")
    (folder / "empty.ttc").write_bytes(b"")
    (folder / "gone.otf").symlink_to("nowhere")
    (folder / "font.otf").mkdir()
    assert shown("山") == Lettering("7")
    assert shown("道") == Lettering("道", folder / "colour.ttf")


def test_a_font_named_after_the_script_comes_first(folder: Path) -> None:
    for name in ("Aaa.ttf", "NotoSansCJK.ttf", "Zzz.ttf", "SerifCJK.ttf"):
        make_font(folder / name, "山")
    assert shown("山").font == folder / "NotoSansCJK.ttf"


def test_scripts_that_join_letters_need_a_library_that_can(folder: Path) -> None:
    path = make_font(folder / "a.ttf", "सड़क\u093c山")
    for name in ("مسار", "שלום"):
        assert shown(name) == Lettering(name)
        assert shown(name, shapes=False) == Lettering("7")
    assert shown("सड़क", shapes=True).font == path
    assert shown("सड़क", shapes=False) == Lettering("7")
    assert shown("山", shapes=False) == Lettering("山", path)


def test_latin_names_look_for_no_font(monkeypatch: pytest.MonkeyPatch) -> None:
    def scan() -> None:
        raise AssertionError("fonts are looked for")

    monkeypatch.setattr(fonts, "system_fonts", scan)
    assert shown("Wiesenstraße, Île, žluť") == Lettering("Wiesenstraße, Île, žluť")
    with pytest.raises(AssertionError, match="looked for"):
        shown("道路")


def test_without_matplotlibs_fonts(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    default_font.cache_clear()
    try:
        assert default_font() is None
        assert shown("sky") == Lettering("sky")
        assert shown("Straße") == Lettering("7")  # Pillow's own font need not have it
        pen = Pen(16)
        assert pen.width("sky") > 10
        path = make_font(folder / "a.ttf", "Straße")
        forget()
        assert shown("Straße") == Lettering("Straße", path)
    finally:
        monkeypatch.undo()
        default_font.cache_clear()


def test_the_pen_uses_the_font_of_the_name(folder: Path) -> None:
    make_font(folder / "a.ttf", "山", size=1000)
    pen = Pen(20)
    names = pen.class_names([ClassInfo("山", (0, 0, 0)), ClassInfo("ไ", (0, 0, 0))], "class {}")
    assert [name.text for name in names] == ["山", "class 1"]
    assert pen.width(names[0]) == 20
    image = Image.new("RGB", (60, 40), "white")
    pen.write(ImageDraw.Draw(image), (10, 30), names[0], (200, 0, 0), anchor="ls")
    drawn = (np.asarray(image) == (200, 0, 0)).all(axis=-1)
    assert drawn[10:30, 10:30].all()
    assert drawn.sum() == 400


def test_a_font_that_freetype_refuses_costs_no_picture(tmp_path: Path) -> None:
    (tmp_path / "no.ttf").write_bytes(b"no font")
    assert Pen(16).width(Lettering("sky", tmp_path / "no.ttf")) == Pen(16).width("sky")


def test_text_is_cut_to_a_width() -> None:
    pen = Pen(16)
    text = "a rather long name"
    for width in (300, 100, 50, 26):
        fitted = pen.fitted(text, width)
        assert pen.width(fitted) <= width
        assert fitted.text == text or fitted.text.endswith("…")
    assert pen.fitted(text, 300) == Lettering(text)
    assert len(pen.fitted(text, 0).text) == 2


def test_titles_keep_what_can_be_shown() -> None:
    pen = Pen(16)
    assert pen.lettering("道路_01\n 93.2 %") == Lettering("??_01 93.2 %")
    assert pen.lettering("photo 1") == Lettering("photo 1")
    assert pen.lettering("\0") == Lettering("?")


@pytest.mark.skipif(not features.check("raqm"), reason="this Pillow does not shape text")
def test_arabic_runs_from_right_to_left() -> None:
    pen = Pen(40)
    heights = []
    for text in ("\u0627\u0628", "\u0628"):  # alef and beh; beh
        image = Image.new("RGB", (80, 80), "white")
        pen.write(ImageDraw.Draw(image), (10, 40), text, (0, 0, 0))
        drawn = np.asarray(image)[..., 0] < 128
        last = np.flatnonzero(drawn.any(axis=0))[-1]
        heights.append(np.ptp(np.flatnonzero(drawn[:, last - 4 :].any(axis=1))))
    assert heights[0] > 1.3 * heights[1]  # alef, the first letter, is tall and stands on the right


def test_system_fonts_are_in_a_fixed_order(folder: Path) -> None:
    for name in ("b.TTF", "a/z.otf", "c-Italic.ttf", "d.txt", "Mono.ttf", "e.ttc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert [path.name for path in system_fonts()] == ["z.otf", "b.TTF", "e.ttc", "Mono.ttf"]


@pytest.mark.parametrize("platform", ["linux", "darwin", "win32"])
def test_folders_of_fonts(platform: str) -> None:
    code = (
        f"import sys; sys.platform = {platform!r}\n"
        "from lstm2d.io.fonts import _font_folders\n"
        "print([f.as_posix() for f in _font_folders()])"
    )
    environment = {"HOME": "/h", "WINDIR": "/w", "LOCALAPPDATA": "/l", "PYTHONPATH": ":".join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    expected = {
        "linux": ["/h/.local/share/fonts", "/h/.fonts", "/usr/local/share/fonts", "/usr/share/fonts"],
        "darwin": ["/h/Library/Fonts", "/Library/Fonts", "/System/Library/Fonts"],
        "win32": ["/w/Fonts", "/l/Microsoft/Windows/Fonts"],
    }
    assert run.stdout.strip() == str(expected[platform]), run.stderr
