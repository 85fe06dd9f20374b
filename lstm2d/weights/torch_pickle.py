"""Read the description of tensors that torch.save writes, without running anything.

The description is a pickle: a small program that builds objects, and that may call any function. This reader
knows the few instructions that a dict of tensors needs, and of functions only the names of those that make
dicts and tensors, for which it puts plain descriptions. Everything else in the program ends the reading.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from lstm2d.errors import DataError
from lstm2d.weights.lazy_array import damaged, short

Value: TypeAlias = (
    Any  # whatever the program builds: None, bool, int, float, str, tuple, list, dict, the below
)

STORAGES = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "u1",
}
_REBUILD = {
    "_rebuild_tensor": 4,
    "_rebuild_tensor_v2": 6,
    "_rebuild_parameter": 3,
}  # least number of arguments
_ALLOWED = {
    "collections.OrderedDict",
    "torch.Size",
    "torch.nn.parameter.Parameter",
    *(f"torch._utils.{name}" for name in _REBUILD),
    *(f"torch.{name}" for name in STORAGES),
}
_MARK = object()


@dataclass(frozen=True)
class Storage:
    """A run of numbers elsewhere in the file.

    Parameters
    ----------
    key : str
        Its name.
    dtype : str
        NumPy's name of the type, without byte order.
    count : int
        How many numbers.
    """

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class TensorPlace:
    """A tensor as a view of a storage; it lies inside it.

    Parameters
    ----------
    storage : Storage
        Where its numbers are.
    offset : int
        Its first number.
    shape, strides : tuple of int
        Sizes of the axes, and steps along them in numbers.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Described:
    """What a pickle describes.

    Parameters
    ----------
    value : object
        Made of None, bool, int, float, str, tuple, list, dict and `TensorPlace`. Lists and dicts may contain
        themselves, so it must be looked at without recursion.
    end : int
        The first byte behind the pickle.
    storages : dict of str to Storage
        All runs of numbers that occur in it, by name.
    """

    value: Value
    end: int
    storages: dict[str, Storage]


@dataclass(frozen=True)
class _Global:
    name: str


def read_pickle(data: bytes, path: object, start: int = 0) -> Described:
    """Build what a pickle describes.

    Parameters
    ----------
    data : bytes
        The pickle.
    path : object
        The file it comes from, for messages.
    start : int
        Where in `data` it begins.

    Returns
    -------
    Described
        The value, and where the pickle ends.

    Raises
    ------
    DataError
        If the pickle needs anything that a dict of tensors does not; nothing was run.
    """
    machine = _Machine(data, path, start)
    try:
        return Described(machine.run(), machine.position, machine.storages)
    except (IndexError, struct.error, UnicodeDecodeError) as e:
        raise damaged("its description is cut short or damaged", path) from e


class _Machine:
    """Carries out a pickle's instructions on a stack."""

    def __init__(self, data: bytes, path: object, start: int) -> None:
        self.data, self.path, self.position = data, path, start
        self.stack: list[Value] = []
        self.memo: dict[int, Value] = {}
        self.storages: dict[str, Storage] = {}

    def run(self) -> Value:
        while True:
            code = self.take(1)[0]
            if code == 0x2E:  # STOP
                return self.pop()
            action = _ACTIONS.get(code)
            if action is None:
                raise self.refused(f"instruction 0x{code:02x}")
            action(self)

    def refused(self, what: str) -> DataError:
        return DataError(
            f"the file asks for {what}, which no dict of tensors needs",
            where=self.path,
            expected="a file that holds nothing but tensors; nothing in it was run",
            hint="where you trust it, load it with torch and save model.state_dict() alone",
        )

    # reading

    def take(self, count: int) -> bytes:
        if count < 0 or len(self.data) - self.position < count:
            raise damaged("its description is cut short", self.path)
        self.position += count
        return self.data[self.position - count : self.position]

    def number(self, kind: str) -> int:
        (value,) = struct.unpack(kind, self.take(struct.calcsize(kind)))
        return int(value)

    def line(self) -> str:
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise damaged("its description is cut short", self.path)
        text = self.take(end - self.position).decode()
        self.position += 1
        return text

    # the stack

    def push(self, value: Value) -> None:
        self.stack.append(value)

    def pop(self) -> Value:
        value = self.stack.pop()
        if value is _MARK:
            raise damaged("its description is damaged", self.path)
        return value

    def pop_to_mark(self) -> list[Value]:
        items = []
        while (value := self.stack.pop()) is not _MARK:
            items.append(value)
        return items[::-1]

    def last(self, count: int) -> None:
        """Make a tuple of the last values."""
        self.push(tuple([self.pop() for _ in range(count)][::-1]))

    # instructions

    def text(self, kind: str) -> None:
        self.push(self.take(self.number(kind)).decode())

    def long_integer(self) -> None:
        self.push(int.from_bytes(self.take(self.number("<B")), "little", signed=True))

    def put(self, kind: str) -> None:
        self.memo[self.number(kind)] = self.stack[-1]

    def get(self, kind: str) -> None:
        number = self.number(kind)
        if number not in self.memo:
            raise damaged("its description is damaged", self.path)
        self.push(self.memo[number])

    def set_items(self, items: list[Value]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise damaged("its description is damaged", self.path)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):  # a deep tuple as a key could take for ever to hash
                raise self.refused("a dict with keys that are no names")
            target[key] = value

    def extend(self, items: list[Value]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise damaged("its description is damaged", self.path)
        target.extend(items)

    def find_global(self) -> None:
        name = f"{self.line()}.{self.line()}"
        if name not in _ALLOWED and name.startswith("torch.") and name.endswith("Storage"):
            raise DataError(
                f"the file has numbers of the type {short(name)}",
                where=self.path,
                expected="float32, float16 or float64",
                hint="load it with torch and save {k: v.float() for k, v in state_dict.items()}",
            )
        if name not in _ALLOWED:
            raise self.refused(short(name))
        self.push(_Global(name))

    def call(self) -> None:
        """Put what a function would make: no function is called."""
        arguments, function = self.pop(), self.pop()
        if not isinstance(function, _Global) or not isinstance(arguments, tuple):
            raise damaged("its description is damaged", self.path)
        self.push(self.made(function.name.rpartition(".")[2], arguments))

    def made(self, name: str, arguments: tuple[Value, ...]) -> Value:
        if name == "OrderedDict" and not arguments:
            return {}
        if name == "Size" and len(arguments) == 1:
            return arguments[0]
        if name == "Parameter" and arguments:
            return self.tensor(arguments[0])
        if len(arguments) >= _REBUILD.get(name, len(arguments) + 1):
            if name == "_rebuild_parameter":
                return self.tensor(arguments[0])
            return self.place(*arguments[:4])
        raise self.refused(f"{name} with {len(arguments)} arguments")

    def tensor(self, value: Value) -> TensorPlace:
        if not isinstance(value, TensorPlace):
            raise damaged("a parameter in it is no tensor", self.path)
        return value

    def place(self, storage: Value, offset: Value, shape: Value, strides: Value) -> TensorPlace:
        axes = (shape, strides)
        if (
            not isinstance(storage, Storage)
            or not all(isinstance(a, tuple) and all(_natural(v) for v in a) for a in axes)
            or not _natural(offset)
            or len(shape) != len(strides)
        ):
            raise damaged("a tensor in it is described wrongly", self.path)
        last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
        if 0 not in shape and last >= storage.count:
            raise damaged("a tensor in it reaches beyond its numbers", self.path)
        return TensorPlace(storage, offset, shape, strides)

    def find_storage(self) -> None:
        match self.pop():
            case ("storage", _Global(name=name), str(key), str(), count, *_) if _natural(count):
                storage = Storage(key, STORAGES.get(name.removeprefix("torch."), ""), count)
                if storage.dtype and self.storages.setdefault(key, storage) == storage:
                    self.push(storage)
                    return
        raise damaged("numbers in it are described wrongly", self.path)


def _natural(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**48


_ACTIONS: dict[int, Callable[[_Machine], object]] = {
    0x80: lambda m: m.take(1),  # PROTO: the instructions say themselves whether they are known
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("K"): lambda m: m.push(m.number("<B")),
    ord("M"): lambda m: m.push(m.number("<H")),
    ord("J"): lambda m: m.push(m.number("<i")),
    0x8A: _Machine.long_integer,
    ord("G"): lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    ord("X"): lambda m: m.text("<I"),
    ord("U"): lambda m: m.text("<B"),  # text from Python 2
    ord("T"): lambda m: m.text("<i"),
    ord("("): lambda m: m.push(_MARK),
    ord(")"): lambda m: m.push(()),
    ord("t"): lambda m: m.push(tuple(m.pop_to_mark())),
    0x85: lambda m: m.last(1),
    0x86: lambda m: m.last(2),
    0x87: lambda m: m.last(3),
    ord("]"): lambda m: m.push([]),
    ord("a"): lambda m: m.extend([m.pop()]),
    ord("e"): lambda m: m.extend(m.pop_to_mark()),
    ord("}"): lambda m: m.push({}),
    ord("s"): lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    ord("u"): lambda m: m.set_items(m.pop_to_mark()),
    ord("q"): lambda m: m.put("<B"),
    ord("r"): lambda m: m.put("<I"),
    ord("h"): lambda m: m.get("<B"),
    ord("j"): lambda m: m.get("<I"),
    ord("c"): _Machine.find_global,
    ord("R"): _Machine.call,
    ord("b"): lambda m: m.pop(),  # BUILD: notes that torch keeps beside a dict, not its contents
    ord("Q"): _Machine.find_storage,
}
