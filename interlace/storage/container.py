"""The file: a zip archive of arrays and one JSON text, with the checksum of every byte at its end.

The archive is what ``numpy.savez`` writes (entries as they are, nothing compressed), so that the numbers
can be read without this package.  Its comment, the last bytes of the file, holds a SHA-256 of all bytes
before the digest.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interlace.errors import StorageError

# Version of the layout: a file of a later one is refused.
FORMAT = 1
MAGIC = b"interlace fit sha256 "
_DIGEST = 64
_TREE = "fit.json"
_DATE = (1980, 1, 1, 0, 0, 0)
_KINDS = "biuf"


def to_bytes(tree: Any, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The content of a file.

    Parameters
    ----------
    tree : object
        What JSON can say.
    arrays : mapping of str to ndarray
        Numbers, by name.

    Returns
    -------
    bytes
        The same for the same content.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        text = json.dumps({"format": FORMAT, "content": tree}, allow_nan=False, ensure_ascii=True)
        archive.writestr(zipfile.ZipInfo(_TREE, _DATE), text)
        for name, array in arrays.items():
            entry = io.BytesIO()
            np.lib.format.write_array(entry, np.asarray(array, order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _DATE), entry.getvalue())
        archive.comment = MAGIC + b"0" * _DIGEST
    body = buffer.getvalue()[:-_DIGEST]
    return body + hashlib.sha256(body).hexdigest().encode()


def from_bytes(content: bytes) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Tree and arrays of a file.

    Parameters
    ----------
    content : bytes
        All of it.

    Returns
    -------
    tree : object
    arrays : dict of str to ndarray

    Raises
    ------
    StorageError
        If it is another kind of file, was damaged, or comes from a later version.
    """
    body, digest = content[:-_DIGEST], content[-_DIGEST:]
    if not content.startswith(b"PK") or not body.endswith(MAGIC):
        raise StorageError(_foreign(content))
    if hashlib.sha256(body).hexdigest().encode() != digest:
        raise StorageError(
            "the file is damaged: its checksum is not that of its content; take another copy, or fit again"
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = {info.filename: _entry(archive, info) for info in archive.infolist()}
        told = json.loads(entries.pop(_TREE))
        version, tree = int(told["format"]), told["content"]
        if version > FORMAT:
            raise StorageError(
                f"the file has format {version} and this version of interlace reads up to {FORMAT}; install "
                "a later version"
            )
        return tree, {name.removesuffix(".npy"): _array(entry) for name, entry in entries.items()}
    except (KeyError, TypeError, ValueError, zipfile.BadZipFile, RecursionError, EOFError) as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"the file is no fit that interlace wrote: {error}") from error


def _foreign(content: bytes) -> str:
    told = "the file is no fit that interlace wrote, or its end is missing or damaged"
    if content[:1] == b"\x80":
        return (
            f"{told}: it looks like a pickle, which pickle.load reads (and which may run any code: trust it "
            "first)"
        )
    return f"{told}; result.save(path) writes one"


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.compress_type != zipfile.ZIP_STORED:
        raise StorageError("the file is no fit that interlace wrote: it is compressed")
    return archive.read(info)


def _array(entry: bytes) -> NDArray[Any]:
    """An array; never more memory than the file has bytes, and never an object."""
    stream = io.BytesIO(entry)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise StorageError(f"the file holds an array of numpy's format {version}; wanted (1, 0)")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.kind not in _KINDS or dtype.names or fortran:
        raise StorageError(f"the file holds an array of type {dtype}; wanted numbers")
    values = np.frombuffer(entry, dtype, offset=stream.tell())
    return values.reshape(shape).astype(dtype.newbyteorder("="))


def write(target: Any, content: bytes) -> None:
    """Write a file as a whole or not at all.

    Parameters
    ----------
    target : str, path or file open for bytes
        A file that is there is replaced once the new one is complete.
    content : bytes
        All of it.

    Raises
    ------
    OSError
        If it cannot be written; a file that was there is then as it was.
    """
    if hasattr(target, "write"):
        target.write(content)
        return
    path = Path(os.path.realpath(os.fspath(target)))
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, _mode(path))
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def _mode(path: Path) -> int:
    """Permissions of the file that is replaced, or those that any new file gets."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


def read(source: Any) -> bytes:
    """All the bytes of a file.

    Parameters
    ----------
    source : str, path or file open for bytes

    Returns
    -------
    bytes
    """
    if hasattr(source, "read"):
        return bytes(source.read())
    return Path(os.fspath(source)).read_bytes()
