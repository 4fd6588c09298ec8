"""What a user got wrong is answered by one sentence and status 2; a closed stream ends a command tidily."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
from contextlib import redirect_stdout, suppress
from pathlib import Path

import pytest

from engine.cli.common import emit
from engine.cli.console import environment, passed_on
from engine.config_file import load
from engine.control.messages import LogLine

TRUNK = ["--set", "trunk.server=127.0.0.1:9", "--set", "trunk.username=1001", "--set", "trunk.password=x"]


def offhook(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "engine.cli", *arguments],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment},
    )  # fmt: skip


def refused(result: subprocess.CompletedProcess[str]) -> str:
    """What a command that was used wrongly says."""
    said = result.stdout + result.stderr
    assert result.returncode == 2, said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("command", ["check", "engine", "register"])
def test_a_configuration_file_that_is_not_there_is_named_and_nothing_else(
    command: str, tmp_path: Path
) -> None:
    said = refused(offhook(command, "--config", str(tmp_path / "none.toml")))
    assert "none.toml" in said
    assert "trunk.server" not in said


def test_without_any_configuration_it_is_said_where_one_is_looked_for(tmp_path: Path) -> None:
    said = refused(offhook("dialplan", "5551234", XDG_CONFIG_HOME=str(tmp_path)))
    assert f"copy config.example.toml to {tmp_path / 'offhook' / 'config.toml'}" in said
    assert "nothing" not in said


def test_a_folder_for_a_configuration_is_refused(tmp_path: Path) -> None:
    assert "a readable file is needed" in refused(offhook("check", "--config", str(tmp_path)))


def test_a_key_that_the_console_would_refuse_is_found_by_the_check() -> None:
    assert "'5'" in refused(offhook("check", *TRUNK, "--set", "ui.keys.dial=5"))


def test_a_log_file_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    said = refused(offhook("register", *TRUNK, "--set", f"log.file={tmp_path / 'none' / 'log'}"))
    assert said.startswith("offhook: log.file:")
    assert said.count("\n") == 1


@pytest.mark.parametrize("option", ["--trace", "--pcap"])
def test_a_file_for_the_calls_messages_is_refused_before_anybody_is_called(
    option: str, tmp_path: Path
) -> None:
    for bad in (tmp_path, tmp_path / "none" / "file"):
        said = refused(offhook("call", "5551234", *TRUNK, option, str(bad)))
        assert f"{option}: {bad} can't be written" in said
        assert "regist" not in said


def test_a_registration_that_fails_is_told_once_with_what_to_check() -> None:
    result = offhook("register", "--for", "3", *TRUNK, "--set", "trunk.transport=tcp")
    first, second = result.stderr.splitlines()
    assert first == "registering as 1001 at 127.0.0.1:9"
    assert "refuses connections: check the port" in second


@pytest.mark.parametrize("section", ["trunk", "trunks.backup"])
def test_a_password_is_passed_to_a_process_of_ours_where_nobody_sees_it(section: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[trunk]\nserver = "a"\nusername = "u"\npassword = "old"\n'
        '[trunks.backup]\nserver = "b"\nusername = "u"\npassword = "old"\n'
    )
    given = [f"{section}.password=new=one", "trunk.priority=3"]
    arguments = passed_on(file, given)
    assert "new" not in " ".join(arguments)
    again = passed_on(file, arguments[3::2])  # the demo's supervisor hands them on
    config = load(file, again[3::2], environ=environment(given))
    assert config.all_trunks[section.removeprefix("trunks.")].password == "new=one"
    assert config.trunk.priority == 3


def test_a_negative_time_is_refused() -> None:
    assert "--for" in refused(offhook("register", *TRUNK, "--for", "-1"))


def test_the_demo_says_where_it_could_not_write(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    master, terminal = os.openpty()
    try:
        result = subprocess.run(
            [sys.executable, "-m", "engine.cli", "demo"],
            stdin=terminal, stdout=terminal, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
            env={**os.environ, "XDG_STATE_HOME": str(blocked)},
        )  # fmt: skip
    finally:
        os.close(master)
        os.close(terminal)
    assert result.returncode == 2
    assert "demo.log can't be written" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_command_whose_standard_output_is_closed_goes_on() -> None:
    result = subprocess.run(
        ["sh", "-c", 'exec "$0" -m engine.cli ctl list >&-', sys.executable],
        stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")


def unread_output() -> io.TextIOWrapper:
    """A standard output whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


class TestDataThatNobodyReads:
    def test_ends_the_command_as_a_sigterm_would(self) -> None:
        ended: list[int] = []
        before = signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
        try:
            with unread_output() as unread, redirect_stdout(unread):
                emit(LogLine(at=0.0, level="info", text="first"))
                emit(LogLine(at=0.0, level="info", text="after it"))
        finally:
            signal.signal(signal.SIGTERM, before)
        assert ended == [signal.SIGTERM]

    def test_is_an_error_where_no_signal_is_waited_for(self) -> None:
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        unread = unread_output()
        with redirect_stdout(unread), pytest.raises(BrokenPipeError):
            emit(LogLine(at=0.0, level="info", text="first"))
        with suppress(BrokenPipeError):
            unread.close()
