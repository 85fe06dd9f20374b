"""Read the pickle of tensors that torch.save writes, without running code.

A pickle is a small program that builds objects and may call any function. pickletools decodes its
instructions. This reader supports only those that a dict of tensors needs, and replaces the functions that
create dicts and tensors by plain descriptions. Anything else is an error.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from lstm2d.errors import DataError
from lstm2d.weights.lazy_array import damaged, short

# what the program builds: None, bool, int, float, str, tuple, list, dict, and the classes below
Value: TypeAlias = Any

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
}  # minimum number of arguments
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
    """A storage: numbers elsewhere in the file.

    Parameters
    ----------
    key : str
        Its name.
    dtype : str
        NumPy's name of the type, without byte order.
    count : int
        Number of values.
    """

    key: str
    dtype: str
    count: int


@dataclass(frozen=True)
class TensorPlace:
    """A tensor as a view of a storage, which contains all of it.

    Parameters
    ----------
    storage : Storage
        The numbers.
    offset : int
        Position of the first one in it.
    shape, strides : tuple of int
        Sizes of the axes, and steps along them in numbers.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class Described:
    """The contents of a pickle.

    Parameters
    ----------
    value : object
        Made of None, bool, int, float, str, tuple, list, dict and `TensorPlace`. Lists and dicts may contain
        themselves, so it must not be walked by recursion.
    end : int
        The first byte after the pickle.
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
    """Read a pickle.

    Parameters
    ----------
    data : bytes
        The pickle.
    path : object
        The file it comes from, for messages.
    start : int
        Its first byte in `data`.

    Returns
    -------
    Described
        The value, and where the pickle ends.

    Raises
    ------
    DataError
        If the pickle has anything that a dict of tensors does not need; no code is run.
    """
    program = _Program(data)
    program.seek(start)
    machine = _Machine(path)
    try:
        value = machine.run(program)
    except (IndexError, ValueError) as e:
        raise damaged("its description is truncated or damaged", path) from e
    return Described(value, program.tell(), machine.storages)


class _Program(io.BytesIO):
    """The bytes of a pickle, as a file for pickletools."""

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if b"\\" in line:  # pickletools would replace escape sequences, with warnings about unknown ones
            raise ValueError("an escape sequence in a name")
        return line


class _Machine:
    """Execute the instructions of a pickle on a stack."""

    def __init__(self, path: object) -> None:
        self.path = path
        self.stack: list[Value] = []
        self.memo: dict[int, Value] = {}
        self.storages: dict[str, Storage] = {}

    def run(self, program: _Program) -> Value:
        for instruction, argument, _ in pickletools.genops(program):
            action = _ACTIONS.get(instruction.name)
            if action is None:
                raise self.refused(f"instruction 0x{ord(instruction.code):02x}, {instruction.name}")
            action(self, argument)
        return self.pop()

    def refused(self, what: str) -> DataError:
        return DataError(
            f"the file asks for {what}, which no dict of tensors needs",
            where=self.path,
            expected="a file that holds nothing but tensors; nothing in it was run",
            hint="where you trust it, load it with torch and save model.state_dict() alone",
        )

    def push(self, value: Value) -> None:
        self.stack.append(value)

    def push_bytes(self, text: str) -> None:
        """Push a Python 2 string, which pickletools decodes as Latin-1."""
        self.push(text.encode("latin-1").decode())

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

    def put(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def get(self, number: int) -> None:
        if number not in self.memo:
            raise damaged("its description is damaged", self.path)
        self.push(self.memo[number])

    def set_items(self, items: list[Value]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise damaged("its description is damaged", self.path)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):  # hashing a deep tuple could take forever
                raise self.refused("a dict with keys that are not names")
            target[key] = value

    def extend(self, items: list[Value]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise damaged("its description is damaged", self.path)
        target.extend(items)

    def find_global(self, argument: str) -> None:
        name = argument.replace(" ", ".", 1)  # "module name"
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
        """Push what a function would return; no function is called."""
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
            raise damaged("a parameter in it is not a tensor", self.path)
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


_ACTIONS: dict[str, Callable[[_Machine, Any], object]] = {
    "PROTO": lambda m, _: None,  # each instruction is checked, whatever the version
    "STOP": lambda m, _: None,
    "NONE": lambda m, _: m.push(None),
    "NEWTRUE": lambda m, _: m.push(True),
    "NEWFALSE": lambda m, _: m.push(False),
    **dict.fromkeys(("BININT1", "BININT2", "BININT", "LONG1", "BINFLOAT", "BINUNICODE"), _Machine.push),
    "SHORT_BINSTRING": _Machine.push_bytes,
    "BINSTRING": _Machine.push_bytes,
    "MARK": lambda m, _: m.push(_MARK),
    "EMPTY_TUPLE": lambda m, _: m.push(()),
    "TUPLE": lambda m, _: m.push(tuple(m.pop_to_mark())),
    "TUPLE1": lambda m, _: m.last(1),
    "TUPLE2": lambda m, _: m.last(2),
    "TUPLE3": lambda m, _: m.last(3),
    "EMPTY_LIST": lambda m, _: m.push([]),
    "APPEND": lambda m, _: m.extend([m.pop()]),
    "APPENDS": lambda m, _: m.extend(m.pop_to_mark()),
    "EMPTY_DICT": lambda m, _: m.push({}),
    "SETITEM": lambda m, _: m.set_items([m.pop(), m.pop()][::-1]),
    "SETITEMS": lambda m, _: m.set_items(m.pop_to_mark()),
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": _Machine.find_global,
    "REDUCE": lambda m, _: m.call(),
    "BUILD": lambda m, _: m.pop(),  # metadata that torch attaches to a dict
    "BINPERSID": lambda m, _: m.find_storage(),
}
