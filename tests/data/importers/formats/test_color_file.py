"""Files of class names and colours."""

from pathlib import Path

import pytest

from lstm2d.data.importers.formats.color_file import find_color_file, read_color_file
from lstm2d.errors import DataError
from lstm2d.io.classes import ClassInfo, default_color

SKY, ROAD = ClassInfo("sky", (1, 2, 3)), ClassInfo("road side", (128, 64, 255))
FORMS = {
    "name first": "sky 1 2 3\nroad side 128 64 255\n",
    "colour first": "1 2 3 sky\n128 64 255\troad side",
    "CSV with a header": "name,r,g,b\nsky,1,2,3\nroad side,128,64,255\n",
    "CSV, colour first": "r;g;b;name\r\n1;2;3;sky\r\n128;64;255;road side\r\n",
    "hexadecimal": "sky #010203\nroad side #8040FF\n",
    "hexadecimal first": "#010203 sky\n#8040ff road side\n",
    "comments": "# the classes\n\n// of 2020\nsky 1 2 3\n  road side 128 64 255  \n",
    "as Python writes them": "'sky': (1, 2, 3),\n'road side': [128, 64, 255],\n",
    "with numbers": "0 sky 1 2 3\n1 road side 128 64 255\n",
    "numbers and colour first": "0 1 2 3 sky\n1 128 64 255 road side\n",
    "a mark at its beginning": "\ufeffsky 1 2 3\nroad side 128 64 255\n",
}


def write(tmp_path: Path, text: str, name: str = "colors.txt") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_forms(tmp_path: Path, text: str) -> None:
    found = read_color_file(write(tmp_path, text))
    assert found.classes == (SKY, ROAD)
    assert found.colors == (((1, 2, 3), 0), ((128, 64, 255), 1))
    assert found.values == (0, 1, *[-1] * 253, 255)


def test_cvat(tmp_path: Path) -> None:
    path = write(
        tmp_path, "# label:color_rgb:parts:actions\nsky:1,2,3::\nroad side:128,64,255::\n", "labelmap.txt"
    )
    assert read_color_file(path).classes == (SKY, ROAD)


def test_toml(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        'ignore_color = [9, 9, 9]\n[[classes]]\nname = "sky"\ncolor = [1, 2, 3]\nvalue = 7\n'
        '[[classes]]\nname = "road side"\ncolor = [128, 64, 255]\nvalue = 0\n',
        "classes.toml",
    )
    found = read_color_file(path)
    assert found.classes == (SKY, ROAD)
    assert found.colors == (((1, 2, 3), 0), ((128, 64, 255), 1), ((9, 9, 9), 255))
    assert (found.values[7], found.values[0], found.values[1]) == (0, 1, -1)


def test_void_is_no_class_and_keeps_its_number(tmp_path: Path) -> None:
    found = read_color_file(write(tmp_path, "sky 1 2 3\nVoid 0 0 0\nroad side 128 64 255\n"))
    assert found.classes == (SKY, ROAD)
    assert found.colors == (((1, 2, 3), 0), ((0, 0, 0), 255), ((128, 64, 255), 1))
    assert found.values[:4] == (0, 255, 1, -1)


def test_given_numbers(tmp_path: Path) -> None:
    found = read_color_file(write(tmp_path, "7 sky 1 2 3\n2 road side 128 64 255\n"))
    assert [k for k in range(256) if found.values[k] >= 0] == [2, 7, 255]
    assert (found.values[7], found.values[2]) == (0, 1)


def test_names_alone(tmp_path: Path) -> None:
    found = read_color_file(write(tmp_path, "sky\nlane 2\nvoid\n"))
    assert found.classes == (ClassInfo("sky", default_color(0)), ClassInfo("lane 2", default_color(1)))
    assert found.colors == ()
    assert found.values[:4] == (0, 1, 255, -1)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "0 classes"),
        ("void 1 2 3", "0 classes"),
        ("sky 1 2 3\nroad 1 2\n", "line 2 is not a class: 'road 1 2'"),
        ("sky 1 2 3\nroad 1 2 256\n", "line 2: a colour above 255"),
        ("sky 1 2 3\nsky 4 5 6\n", "'sky' appears twice"),
        ("a 1 2 3\na 4 5 6\n", "'a' appears twice"),
        ("sky 1 2 3\nroad 1 2 3\n", r"the colour \(1, 2, 3\) appears twice"),
        ("3 sky 1 2 3\n3 road 4 5 6\n", "number 3 appears twice"),
        ("300 sky 1 2 3\n3 road 4 5 6\n", "number 300 of 'sky'"),
        ("1 2 3\n4 5 6\n", "line 1 is not a class"),
        ("".join(f"c{k}x {k % 256} {k // 256} 1\n" for k in range(300)), "300 classes"),
    ],
)
def test_wrong_files(tmp_path: Path, text: str, part: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(DataError, match=part) as error:
        read_color_file(path)
    assert str(path) in str(error.value)


def test_a_toml_without_classes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="defines no classes"):
        read_color_file(write(tmp_path, 'images = "photos"\n', "dataset.toml"))


def test_usual_names(tmp_path: Path) -> None:
    assert find_color_file(tmp_path) is None
    write(tmp_path, "", "notes.txt")
    assert find_color_file(tmp_path) is None
    path = write(tmp_path, "", "class_dict.csv")
    assert find_color_file(tmp_path) == path
