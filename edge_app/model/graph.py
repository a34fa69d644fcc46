"""What an ONNX graph may not hold, told from its bytes: the clinic has no onnx package."""

from __future__ import annotations

from collections.abc import Iterator

from edge_app.errors import BundleError

_STANDARD_DOMAINS = ("", "ai.onnx")
_LENGTH_DELIMITED, _VARINT = 2, 0
_FIXED_BYTES = {1: 8, 5: 4}
_DOMAIN, _EXTERNAL_DATA = ("node", 7), ("tensor", 13)
# A graph in a graph runs as often as a number says, and functions unfold into one another: a small file,
# endless work.
_ENDLESS = {
    ("attribute", 6): "loops or branches",
    ("attribute", 11): "loops or branches",
    ("model", 25): "functions of its own",
}
# Fields that hold further messages in which a node or a tensor can lie.
_INSIDE = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 10: "tensor", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}


def require_standard(graph: bytes) -> None:
    """Refuse a graph with operators that are not ONNX's own, with data in other files, or with loops.

    ONNX Runtime would run its own extra operators; other runtimes and the next release need not.

    Args:
        graph: An ONNX model.

    Raises:
        BundleError: the graph holds such a thing, or the bytes are no ONNX model.

    Source:
        onnx.proto of ONNX, whose field numbers stand above; Protocol Buffers' encoding.
    """
    try:
        _check(memoryview(graph), "model")
    except (IndexError, KeyError, UnicodeDecodeError) as error:
        raise BundleError(
            "A graph of the model is no ONNX file. Install the model bundle again."
        ) from error


def _check(message: memoryview, kind: str) -> None:
    for number, content in _fields(message):
        if (kind, number) in _ENDLESS:
            raise BundleError(
                f"A graph of the model has {_ENDLESS[kind, number]}; expected one straight computation. "
                "Export the model again."
            )
        if (kind, number) == _EXTERNAL_DATA:
            raise BundleError("A graph of the model has data in another file. Export the model again.")
        if (kind, number) == _DOMAIN and (domain := str(content, "utf-8")) not in _STANDARD_DOMAINS:
            raise BundleError(
                f"A graph of the model uses operators of {domain}; expected only ONNX's own. "
                "Export the model again."
            )
        if number in _INSIDE[kind]:
            _check(content, _INSIDE[kind][number])


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and content of each field that has a length."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = divmod(key, 8)
        if wire == _LENGTH_DELIMITED:
            length, at = _varint(message, at)
            yield number, message[at : at + length]
            at += length
        elif wire == _VARINT:
            _, at = _varint(message, at)
        else:
            at += _FIXED_BYTES[wire]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Read a number, seven bits a byte; return it and where the next field's bytes begin."""
    value = shift = 0
    while message[at] & 0x80:
        value |= (message[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | message[at] << shift, at + 1
