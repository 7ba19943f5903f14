"""Histories as files that several processes map: what one has read and sorted, all use, and none holds a copy.

    arrays.bin    the bytes of arrays, each from a multiple of 64
    arrays-N.bin  those that an earlier folder did not have; its own files are linked, not written again
    index.json    what they are part of: objects by number, with a sha256 of all that follows it

The index names classes out of `CLASSES`; their instances are filled without a call. A file can tell a lie, but never
run code.
"""

import hashlib
import json
import mmap
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from features import asof, evidence, facts, histories, layout, order, rules, running, shipments, steps, traced
from features.card import code_fingerprint
from features.errors import LotRiskError
from features.histories import Array, Histories, PackedTexts, Vocabulary
from features.synced import sync, sync_folder

FORMAT = 2
CLASSES = {
    f"{known.__module__}.{known.__qualname__}": known
    for known in (
        *(histories.Histories, histories.Table),
        *(asof.Spans, asof.Totals, asof.Latest, asof._News, asof._Later),
        *(order.RowsBy, running.Running, steps.Kinds, steps.Steps),
        *(facts.Facts, evidence.Followed, shipments.Shipments),
        *(layout.Layout, layout.Attribute, layout.Characteristic, layout.Prior),
        *(rules.Rules, rules.LabelRule, rules.DecisionRule, rules.Costs),
        *(traced.Traced, traced.Source),
    )
}
"""What may be kept with histories, beside arrays, vocabularies, dicts, lists, tuples and JSON's own."""

_INDEX = "index.json"
_FILE = re.compile(r"arrays(-[1-9][0-9]{0,17})?\.bin")
_DTYPES = ("|b1", "|i1", "|u1", "<i2", "<i4", "<i8", "<u2", "<u4", "<u8", "<f4", "<f8")
_PLAIN = (type(None), bool, int, float, str)
_ALIGNED = 64
_START = b"arrays of lot-risk\n".ljust(_ALIGNED, b"\0")  # an empty file cannot be mapped
_HEAD, _DIGITS = b'{"sha256":"', 64


class StaleMap(LotRiskError):
    """Mapped histories that another format, other code or a fault has made useless: to be written anew."""


@dataclass(frozen=True)
class Written:
    """What `write_mapped` wrote last, for the next one; it keeps the arrays alive. `number` of its own file.

    `sizes`: bytes by file; `places`: by an array's address and bytes itself, in which file and where there it is.
    """

    folder: Path
    number: int
    sizes: Mapping[str, int]
    places: Mapping[tuple[int, int], tuple[Array, str, int]]

    @property
    def crowded(self) -> bool:
        """Whether the files hold more of arrays that have gone than of those that are there."""
        return sum(self.sizes.values()) > 2 * sum(size for _, size in self.places)


def write_mapped(told: Histories, folder: Path, *, earlier: Written | None = None) -> Written:
    """Writes histories and everything made of them so far, whole or not at all.

    Files of `earlier` that hold the same arrays are linked, as long as they hold little else. FileExistsError when
    `folder` is there: what may be mapped never changes. TypeError names what cannot be kept.
    """
    if folder.exists():
        raise FileExistsError(f"{folder}: mapped histories are written once; these exist.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    earlier = None if earlier is None or earlier.crowded else earlier
    number = 0 if earlier is None else earlier.number + 1
    made = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
    try:
        with (made / (f"arrays-{number}.bin" if number else "arrays.bin")).open("wb") as file:
            writer = _Writer(file, made, earlier)
            root = writer.value(told, "histories")
            sync(file)
        sizes = {name: (made / name).stat().st_size for name in writer.files}
        content = {"format": FORMAT, "code": code_fingerprint(), "files": list(sizes.items()), "root": root}
        with (made / _INDEX).open("wb") as file:
            file.write(_sealed(content | {"objects": writer.objects}))
            sync(file)
        made.chmod(0o755)
        sync_folder(made)
        _rename(made, folder)
    except _NotLinked:
        shutil.rmtree(made, ignore_errors=True)
        return write_mapped(told, folder)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    sync_folder(folder.parent)
    return Written(folder, number, sizes, writer.places)


def read_mapped(folder: Path) -> Histories:
    """The histories that `write_mapped` wrote; arrays are read-only views of mappings, which live as they do.

    StaleMap: a file is missing, cut or changed, or other code wrote it. What is made later is the process's own.
    """
    try:
        content = _opened(folder / _INDEX)
        wholes = [np.frombuffer(_mapping(folder, *file), np.uint8) for file in content["files"]]
        found = _Reader(content["objects"], wholes).value(content["root"])
    except FileNotFoundError as error:
        raise StaleMap(f"{error.filename} is missing. Write it anew.") from error
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise StaleMap(f"{folder / _INDEX} does not describe its arrays ({error!r}). Write it anew.") from error
    if not isinstance(found, Histories):
        raise StaleMap(f"{folder / _INDEX} describes a {type(found).__name__}, no histories. Write it anew.")
    return found


class _NotLinked(Exception):
    """The earlier files have gone, or lie where no file has two names."""


class _Writer:
    """Puts arrays into a file and everything else into `objects`. A value is JSON's own, or [number of an object]."""

    def __init__(self, file: BinaryIO, folder: Path, earlier: Written | None) -> None:
        self.objects: list[Any] = []
        self.files = [Path(file.name).name]  # and those of `earlier` that hold any of the arrays
        self.places: dict[tuple[int, int], tuple[Array, str, int]] = {}
        self._file, self._folder, self._earlier = file, folder, earlier
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []  # an object that is gone would leave its id to another
        file.write(_START)

    def value(self, value: Any, where: str) -> Any:
        """`where`: what it is part of, for the error."""
        if type(value) in _PLAIN:
            return value
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self.objects)
            self._kept.append(value)
            self.objects.append(None)  # its number is taken before its parts are asked for: they may lead back to it
            self.objects[number] = self._object(value, where)
        return [number]

    def _object(self, value: Any, where: str) -> list[Any]:
        kind = type(value)
        if kind is np.ndarray or isinstance(value, np.generic):
            return self._array(value, where)
        if kind is Vocabulary:
            packed = PackedTexts.of(value.texts)
            return ["vocabulary", self.value(packed.data, where), self.value(packed.starts, where)]
        if kind in (list, tuple):
            return [kind.__name__, [self.value(part, where) for part in value]]
        if kind is dict:
            items = [(self.value(key, where), self.value(part, f"{where}[{key!r}]")) for key, part in value.items()]
            return ["dict", items]
        name = f"{kind.__module__}.{kind.__qualname__}"
        if CLASSES.get(name) is not kind:
            raise TypeError(
                f"{where} is a {name}, which mapped histories cannot keep. Add it to CLASSES if it is data."
            )
        return ["instance", name, {part: self.value(own, f"{where}.{part}") for part, own in vars(value).items()}]

    def _array(self, value: Any, where: str) -> list[Any]:
        """[kind, dtype, file, offset, shape, order of memory, shape as seen]; an axis without stride is 1."""
        values = np.asarray(value)
        if values.dtype.str not in _DTYPES:
            raise TypeError(f"{where} is an array of {values.dtype}; mapped histories keep {', '.join(_DTYPES)}.")
        kind, seen = "scalar" if isinstance(value, np.generic) else "array", values.shape
        if values.size:
            values = values[(..., *(slice(None) if step else slice(1) for step in values.strides))]
        order = "F" if values.flags.f_contiguous and not values.flags.c_contiguous else "C"
        file, offset = self._bytes(np.ascontiguousarray(values.T if order == "F" else values))
        return [kind, values.dtype.str, file, offset, list(values.shape), order, list(seen)]

    def _bytes(self, values: Array) -> tuple[int, int]:
        """In which of the files the bytes of an array are, and where they begin; views of the same bytes share them."""
        place = (values.ctypes.data, values.nbytes)
        if place not in self.places:
            held = None if self._earlier is None else self._earlier.places.get(place)
            self.places[place] = values, *(self._written(values) if held is None else held[1:])
        _, name, offset = self.places[place]
        return self._number(name), offset

    def _written(self, values: Array) -> tuple[str, int]:
        self._file.write(b"\0" * (-self._file.tell() % _ALIGNED))
        offset = self._file.tell()
        self._file.write(values.data if values.size else b"")
        return self.files[0], offset

    def _number(self, name: str) -> int:
        """Of a file among `files`; one of `earlier` is linked the first time."""
        if name not in self.files and self._earlier is not None:
            try:
                os.link(self._earlier.folder / name, self._folder / name)
            except OSError as fault:
                raise _NotLinked(str(fault)) from fault
            self.files.append(name)
        return self.files.index(name)


class _Reader:
    """Makes the objects again, each once."""

    def __init__(self, objects: list[Any], wholes: list[Array]) -> None:
        self._objects, self._wholes = objects, wholes
        self._made: dict[int, Any] = {}

    def value(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        (number,) = value
        if number not in self._made:
            self._make(number, *self._objects[number])
        return self._made[number]

    def _make(self, number: int, kind: str, *parts: Any) -> None:
        """A dict, a list and an instance are there before their parts are, which may lead back to them."""
        if kind == "dict":
            made: dict[Any, Any] = {}
            self._made[number] = made
            made.update((self.value(key), self.value(part)) for key, part in parts[0])
        elif kind == "instance":
            known = CLASSES[parts[0]]
            self._made[number] = instance = object.__new__(known)
            vars(instance).update({name: self.value(part) for name, part in parts[1].items()})
        elif kind == "list":
            several: list[Any] = []
            self._made[number] = several
            several.extend(self.value(part) for part in parts[0])
        elif kind == "tuple":
            self._made[number] = tuple(self.value(part) for part in parts[0])
        elif kind == "vocabulary":
            self._made[number] = Vocabulary(PackedTexts(*(self.value(part) for part in parts)))
        elif kind in ("array", "scalar"):
            values = self._array(*parts)
            self._made[number] = values if kind == "array" else values[()]
        else:
            raise ValueError(f"object {number} is a {kind!r}")

    def _array(self, dtype: str, file: int, offset: int, shape: list[int], order: Any, seen: list[int]) -> Array:
        if dtype not in _DTYPES or min(file, offset, *shape, 0) < 0:
            raise ValueError(f"an array of {dtype!r} and shape {shape} at {offset}")
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        values = self._wholes[file][offset : offset + size].view(dtype).reshape(shape, order=order)
        return values if seen == shape else np.broadcast_to(values, seen)


def _sealed(content: dict[str, Any]) -> bytes:
    """JSON that begins with the sha256 of the bytes that follow it."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    rest = b'",' + text[1:]
    return _HEAD + hashlib.sha256(rest).hexdigest().encode() + rest


def _opened(path: Path) -> dict[str, Any]:
    """The content of an index. StaleMap where it is not whole, or not of this format and code."""
    text = path.read_bytes()
    stated, rest = text[: len(_HEAD) + _DIGITS], text[len(_HEAD) + _DIGITS :]
    if stated != _HEAD + hashlib.sha256(rest).hexdigest().encode():
        raise StaleMap(f"{path} is cut or was changed: its sha256 differs. Write it anew.")
    content: dict[str, Any] = json.loads(text)
    if content["format"] != FORMAT:
        raise StaleMap(f"{path} has format {content['format']}, this lot-risk reads {FORMAT}. Write it anew.")
    if content["code"] != code_fingerprint():
        raise StaleMap(f"{path} was written by other code ({content['code'][:12]}). Write it anew.")
    return content


def _mapping(folder: Path, name: str, size: int) -> mmap.mmap:
    if not _FILE.fullmatch(name):
        raise ValueError(f"a file {name!r}")
    with (folder / name).open("rb") as file:
        found = os.fstat(file.fileno()).st_size
        if found != size:
            raise StaleMap(f"{folder / name} has {found} bytes, its index says {size}. Write it anew.")
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _rename(made: Path, folder: Path) -> None:
    try:
        made.rename(folder)
    except OSError as error:
        if folder.exists():
            raise FileExistsError(f"{folder}: another process has just written it.") from error
        raise
