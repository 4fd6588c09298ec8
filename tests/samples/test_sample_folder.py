"""A folder of known announcements: read, checked, changed, kept fingerprints and all."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from speech_like import speech_like

from engine.detect.categories import CATEGORIES
from engine.detect.prints import Sample
from engine.samples import audio, cache, edit, folder
from engine.samples.entry import FolderError, dump, read_entry
from engine.samples.meanings import meaning_of
from engine.samples.packs import import_pack
from engine.samples.starter import SPEAKER, make_starter, say, spoken


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def put(place: Path, name: str, seed: int, toml: str | None = None, seconds: float = 2.0) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    path = place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, speech_like(seed, seconds), 8000, subtype="PCM_16")
    if toml is not None:
        path.with_suffix(".toml").write_text(toml, "utf-8")
    return path


def test_a_sample_says_everything_that_mod_da2_has_of_one(tmp_path: Path) -> None:
    audio_file = put(tmp_path, "a.wav", 1, (
        'uniqueid = "off-1"\nname = "关机"\nalias = "power off"\nbrief = "b"\ndetail = "d"\n'
        'language = "zh"\nsource = "carrier"\nnumber = "13800000000"\ncategory = 2\naccuracy = "LOOSE"\n'
    ))  # fmt: skip
    sample = Sample("off-1", "关机", "power off", "b", "d", "zh", "carrier", "13800000000", 2, "LOOSE")
    assert read_entry(audio_file) == sample
    audio_file.with_suffix(".toml").write_text(dump(sample), "utf-8")
    assert read_entry(audio_file) == sample


def test_audio_alone_is_a_sample_without_category(tmp_path: Path) -> None:
    assert read_entry(put(tmp_path, "alone.wav", 1)) == Sample("alone")


@pytest.mark.parametrize(
    "word", ["3", '"3"', '"does not exist"', '"空号"', '"Does  Not Exist"', '"does not exis"']
)
def test_a_category_is_given_by_id_alias_or_name(tmp_path: Path, word: str) -> None:
    found = read_entry(put(tmp_path, "a.wav", 1, f"category = {word}\n"))
    assert (found.category, found.name, found.alias) == (3, "空号", "does not exist")


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("category = 21", "category '21' is none of 2 (power off), 3 (does not exist)"),
        ('category = "nonsense"', "category 'nonsense' is none of"),
        ('accuracy = "accurate"', "accuracy = 'accurate' is none of LOOSE, INACCURACY, ACCURACY"),
        ("name = 3", "name = 3: text in quotes is needed"),
        ("category = 2.5", "category = 2.5: text in quotes is needed"),
        ("category = true", "category = True: text in quotes is needed"),
        ('colour = "red"', "there is no key 'colour'; the keys are uniqueid, name"),
        ("name = ", "a.toml: "),
        ('name = "' + "x" * 4001 + '"', "name is longer than 4000 characters"),
    ],
)
def test_a_mistake_is_told_with_its_file_and_key(tmp_path: Path, toml: str, said: str) -> None:
    put(tmp_path, "a.wav", 1, toml)
    with pytest.raises(FolderError) as caught:
        folder.load(tmp_path)
    assert str(tmp_path / "a.toml") in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_one_file_does_not_cost_the_others(tmp_path: Path) -> None:
    put(tmp_path, "a.wav", 1, "category = 99")
    put(tmp_path, "b.wav", 2, 'uniqueid = "twice"')
    put(tmp_path, "c.wav", 3, 'uniqueid = "twice"')
    (tmp_path / "d.wav").write_bytes(b"no audio")
    library, wrong = folder.read_folder(tmp_path)
    assert [s.uniqueid for s in library.samples] == ["twice"]
    assert len(wrong) == 3
    assert any("have the same uniqueid 'twice'" in w for w in wrong)
    assert any("d.wav can't be read as audio" in w for w in wrong)


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="no folder of samples"):
        folder.load(tmp_path / "none")


# --- fingerprints that are kept ---------------------------------------------------------------------------


def test_fingerprints_are_made_once_and_again_when_the_audio_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "s"
    put(place, "a.wav", 1)
    changing = put(place, "b.wav", 2)
    made: list[str] = []
    real = folder.print_of
    monkeypatch.setattr(folder, "print_of", lambda path: (made.append(path.name), real(path))[1])
    first = folder.load(place)
    again = folder.load(place)
    assert made == ["a.wav", "b.wav"]
    for x, y in zip(first.prints, again.prints, strict=True):
        assert np.array_equal(x.bands, y.bands)
        assert np.array_equal(x.fine, y.fine)
        assert np.array_equal(x.landmarks, y.landmarks)
    put(place, "b.wav", 3, seconds=2.5)
    changed = folder.load(place)
    assert made == ["a.wav", "b.wav", "b.wav"]
    assert len(changed.prints[1].bands) > len(again.prints[1].bands)
    changing.unlink()
    assert len(folder.load(place)) == 1
    assert made == ["a.wav", "b.wav", "b.wav"]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nothing", b"x" * 5000])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: bytes) -> None:
    place = tmp_path / "s"
    put(place, "a.wav", 1)
    folder.load(place)
    kept = cache.cache_file(place)
    whole = kept.read_bytes()
    kept.write_bytes(damage)
    assert len(folder.load(place)) == 1
    assert len(cache.load(kept)) == 1
    kept.write_bytes(whole[: len(whole) // 2])
    assert len(folder.load(place)) == 1


def test_where_no_cache_can_be_written_the_folder_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    put(tmp_path / "s", "a.wav", 1)
    assert len(folder.load(tmp_path / "s")) == 1


# --- adding, removing, teaching ---------------------------------------------------------------------------


def test_what_is_added_can_be_found_and_removed(tmp_path: Path) -> None:
    place = tmp_path / "new" / "samples"
    sample = Sample("../../x y", brief='says "关机"\x7f\n', category=2)
    added = edit.add(place, speech_like(1), sample)
    assert added.uniqueid == "x-y"
    assert sorted(p.name for p in place.iterdir()) == ["x-y.toml", "x-y.wav"]
    assert edit.find(place, "x-y").sample.brief == sample.brief
    assert edit.add(place, speech_like(2), sample).uniqueid == "x-y-2"
    edit.remove(place, "x-y")
    assert sorted(p.name for p in place.iterdir()) == ["x-y-2.toml", "x-y-2.wav"]
    with pytest.raises(FolderError, match="holds no sample 'x-y'"):
        edit.remove(place, "x-y")


def test_a_stretch_of_a_call_is_taught_without_the_silence_around_it(tmp_path: Path) -> None:
    said = speech_like(5, 3.0)
    quiet = np.zeros(16000, np.int16)
    recording = tmp_path / "call.wav"
    soundfile.write(recording, np.concatenate((speech_like(6, 2.0), quiet, said, quiet)), 8000)
    place = tmp_path / "s"
    taught = edit.teach(place, recording, "power off", begin_ms=3000, number="13800000000")
    assert (taught.uniqueid, taught.category, taught.name) == ("power-off-13800000000", 2, "关机")
    assert abs(len(audio.read(place / f"{taught.uniqueid}.wav")) - len(said)) < 0.3 * 8000


@pytest.mark.parametrize(
    ("pcm", "said"),
    [
        (np.zeros(0, np.int16), "holds 0.00 s of sound; a sample needs 1.0 s"),
        (np.zeros(40000, np.int16), "holds 0.00 s of sound"),
        (speech_like(1, 0.7), "of sound; a sample needs 1.0 s"),
        (np.rint(9000 * np.sin(np.arange(24000) * 0.35)).astype(np.int16), "holds nothing to recognise"),
    ],
)
def test_what_can_not_be_recognised_is_no_sample(tmp_path: Path, pcm: np.ndarray, said: str) -> None:
    with pytest.raises(FolderError, match=said):
        edit.teach(tmp_path, pcm, 2)
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_imported_with_all_that_was_known(tmp_path: Path) -> None:
    place = tmp_path / "s"
    edit.add(place, speech_like(1), Sample("one", brief="first", category=3, accuracy="LOOSE", source="me"))
    edit.add(place, speech_like(2), Sample("two", category=4, source="me"))
    assert edit.export(place, tmp_path / "all.zip") == 2
    with pytest.raises(FolderError, match="is there already"):
        edit.export(place, tmp_path / "all.zip")
    done = import_pack(tmp_path / "other", tmp_path / "all.zip")
    assert [e.sample for e in folder.examine(tmp_path / "other")[0]] == [
        e.sample for e in folder.examine(place)[0]
    ]
    assert (len(done.added), done.known) == (2, 0)
    assert import_pack(tmp_path / "other", tmp_path / "all.zip").known == 2
    assert edit.export(place, tmp_path / "copy") == 2
    with pytest.raises(FolderError, match="the sample folder itself"):
        edit.export(place, place)


# --- sound packages ---------------------------------------------------------------------------------------


def test_asterisk_s_package_comes_with_what_its_prompts_say(tmp_path: Path) -> None:
    pack = tmp_path / "en_US_f_Allison"
    put(pack, "ss-noservice.wav", 1)
    put(pack, "digits/1.wav", 2, seconds=0.5)
    put(pack, "conf-full.wav", 3)
    (pack / "core-sounds-en.txt").write_text(
        "; comment\nss-noservice: The number you have dialed is not in service. Please try again later.\n"
        "conf-full: I'm sorry, that conference is full.\n"
    )
    (pack / "cannot-complete-as-dialed.ulaw").write_bytes(
        soundfile_bytes(speech_like(4), "ULAW")
    )
    done = import_pack(tmp_path / "s", pack)
    found = {s.uniqueid: (s.category, s.brief, s.language) for s in done.added}
    assert found == {
        "ss-noservice": (3, "The number you have dialed is not in service. Please try again later.", "en"),
        "conf-full": (0, "I'm sorry, that conference is full.", "en"),
        "cannot-complete-as-dialed": (10, "cannot complete as dialed", "en"),
    }
    assert done.too_short == 1


def soundfile_bytes(pcm: np.ndarray, subtype: str) -> bytes:
    import io

    file = io.BytesIO()
    soundfile.write(file, pcm, 8000, subtype=subtype, format="RAW", endian="LITTLE")
    return file.getvalue()


def test_freeswitch_s_package_is_taken_once_whatever_its_rates(tmp_path: Path) -> None:
    pack = tmp_path / "en" / "us" / "callie"
    for rate in (8000, 16000):
        place = pack / "ivr" / str(rate)
        place.mkdir(parents=True)
        soundfile.write(place / "ivr-no_user_response.wav", speech_like(1), rate)
        soundfile.write(place / "ivr-dude_you_suck.wav", speech_like(2), rate)
    (pack / "phrase_en.xml").write_text(
        '<language><prompt phrase="There is no answer." filename="ivr-no_user_response.wav" type="tts"/>'
        '<prompt phrase="x" filename="../../../etc/passwd"/></language>'
    )
    done = import_pack(tmp_path / "s", tmp_path / "en")
    assert {(s.uniqueid, s.brief, s.category) for s in done.added} == {
        ("us-callie-ivr-ivr-no_user_response", "There is no answer.", 15),
        ("us-callie-ivr-ivr-dude_you_suck", "us callie ivr ivr dude you suck", 0),
    }
    seconds = {len(audio.read(p)) / 8000 for p in (tmp_path / "s").glob("*.wav")}
    assert all(3.5 < s < 4.5 for s in seconds)


@pytest.mark.parametrize(
    "name", ["../out.wav", "/tmp/out.wav", "a/../../out.wav", "..\\out.wav", "C:/out.wav"]
)
def test_an_archive_that_reaches_outside_is_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as file:
        file.writestr(name, audio.wav(speech_like(1)))
    with pytest.raises(FolderError, match="outside of itself"):
        import_pack(tmp_path / "s", tmp_path / "p.zip")
    assert not (tmp_path / "s").exists()
    assert not (tmp_path / "out.wav").exists()


def test_a_broken_archive_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "p.zip").write_bytes(b"PK\x03\x04" + os.urandom(500))
    with pytest.raises(FolderError, match=r"p\.zip can't be unpacked"):
        import_pack(tmp_path / "s", tmp_path / "p.zip")


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("Sorry, the subscriber you dialed is powered off. Please redial later.", 2),
        ("您好,您拨打的号码是空号,请核对后再拨", 3),
        ("The number you have dialed is not in service.", 3),
        ("对不起,您拨打的用户正在通话中,请稍后再拨", 5),
        ("对不起,您拨打的用户正忙,请稍后再拨", 9),
        ("All circuits are busy now. Please try your call again later.", 14),
        ("Please leave a message after the tone.", 12),
        ("请稍后再拨", 20),
        ("The person is on the phone or is switched off.", 0),
        ("Welcome to the conference.", 0),
    ],
)
def test_a_category_is_guessed_only_where_the_words_leave_no_doubt(text: str, category: int) -> None:
    assert meaning_of(text) == category


# --- the starter library ----------------------------------------------------------------------------------


def test_the_starter_library_has_every_category_in_two_languages_and_two_voices() -> None:
    said = [(s.sample.language, s.sample.category) for s in spoken()]
    assert sorted(said) == sorted([(x, c) for x in ("zh", "en") for c in CATEGORIES] * 2)
    assert len({s.sample.uniqueid for s in spoken()}) == len(said)
    guessed = [(s.sample.category, meaning_of(s.sample.brief)) for s in spoken()]
    assert all(meant in (0, category) for category, meant in guessed)


def test_it_is_made_once_and_what_was_removed_of_it_comes_back(tmp_path: Path) -> None:
    asked: list[str] = []

    def speak(text: str, voice: str) -> np.ndarray:
        asked.append(voice)
        return speech_like(len(asked), 1.5)

    assert len(make_starter(tmp_path, speak)) == 76
    assert make_starter(tmp_path, speak) == []
    edit.remove(tmp_path, "starter-zh-03-1")
    assert [s.uniqueid for s in make_starter(tmp_path, speak)] == ["starter-zh-03-1"]
    assert len(asked) == 77


def test_without_espeak_ng_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FolderError, match="espeak-ng, which speaks the starter library, is not installed"):
        make_starter(tmp_path / "s")


def test_espeak_ng_speaks(tmp_path: Path) -> None:
    assert SPEAKER == "espeak-ng"
    pcm = edit.check_sound(say("您所呼叫的用户手机已经关机", "cmn"), "what it said")
    assert len(pcm) > 8000
