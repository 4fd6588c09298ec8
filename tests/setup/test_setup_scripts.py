"""The set-up: no daemon started, one clear sentence when it can't, nothing done twice."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import TextIO

import pytest

ROOT = Path(__file__).resolve().parents[2]


def script(path: Path, text: str) -> Path:
    path.write_text("#!/bin/bash\n" + text, "utf-8")
    path.chmod(0o755)
    return path


def apt_install_for(policy: Path) -> str:
    """apt-install.sh, with a policy-rc.d that is not the machine's."""
    text = (ROOT / "scripts" / "apt-install.sh").read_text("utf-8")
    assert text.count("/usr/sbin/policy-rc.d") == 2  # a comment, and the one place that counts
    return text.replace("/usr/sbin/policy-rc.d", str(policy))


# --- apt-install.sh -------------------------------------------------------------------------------


class Apt:
    """apt-install.sh on a policy-rc.d and an apt-get of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.policy = folder / "sbin" / "policy-rc.d"
        self.policy.parent.mkdir()
        self.calls = folder / "calls"
        (folder / "bin").mkdir()
        script(folder / "bin" / "apt-get", f"""
            "{self.policy}"; echo "$* policy=$?" >>"{self.calls}"
            case "$*" in
                *install*missing*) echo "E: Unable to locate package missing"; exit 100 ;;
                *install*slow*) read -r _ <"{folder}/gate" ;;
            esac""")
        os.mkfifo(folder / "gate")
        self.gate = folder / "gate"
        self.script = script(folder / "apt-install.sh", apt_install_for(self.policy))
        self.env = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}

    def start(self, package: str) -> subprocess.Popen[str]:
        return subprocess.Popen(["bash", str(self.script), package], env=self.env, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)

    def until_installing(self) -> TextIO:
        """Waits until apt-get installs the slow package; it goes on once what is returned is closed."""
        return self.gate.open("w", encoding="utf-8")


@pytest.fixture
def apt(tmp_path):
    return Apt(tmp_path)


@pytest.fixture(params=[True, False], ids=["with a policy of the machine's own", "without"])
def own_policy(apt, request):
    """What must be there afterwards: the machine's own policy-rc.d, or none."""
    if not request.param:
        return None
    script(apt.policy, "exit 7\n")
    return apt.policy.read_text("utf-8")


def what_is_left(apt: Apt) -> str | None:
    leftovers = {p.name for p in apt.policy.parent.iterdir()} - {"policy-rc.d"}
    assert not leftovers
    return apt.policy.read_text("utf-8") if apt.policy.exists() else None


def test_while_apt_installs_no_daemon_may_start_and_the_policy_comes_back(apt, own_policy):
    process = apt.start("fine")
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, "", "")
    calls = apt.calls.read_text("utf-8").splitlines()
    assert all(call.endswith("policy=101") for call in calls)
    assert any("install -y" in call and "fine" in call for call in calls)
    assert what_is_left(apt) == own_policy


def test_the_policy_comes_back_when_apt_fails_and_its_words_are_shown(apt, own_policy):
    process = apt.start("missing")
    _, err = process.communicate(timeout=20)
    assert process.returncode != 0
    assert "Unable to locate package missing" in err
    assert what_is_left(apt) == own_policy


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_policy_comes_back_after_an_interrupt(apt, own_policy, signum):
    process = apt.start("slow")
    with apt.until_installing():
        os.killpg(process.pid, signum)  # what a terminal does: to the whole group
        process.wait(20)
    assert what_is_left(apt) == own_policy


def test_the_next_run_puts_the_policy_back_after_a_kill(apt, own_policy):
    process = apt.start("slow")
    with apt.until_installing():
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)
    assert apt.policy.exists()
    apt.start("fine").wait(20)
    assert what_is_left(apt) == own_policy


# --- setup.sh -------------------------------------------------------------------------------------


class Clone:
    """A folder with the set-up in it, and every command it might call replaced by one that tells."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir()
        script(folder / "scripts" / "setup.sh", (ROOT / "scripts" / "setup.sh").read_text("utf-8"))
        script(folder / "scripts" / "apt-install.sh", apt_install_for(folder / "policy-rc.d"))
        (folder / "requirements.lock").write_text("setuptools==80 \\\n    --hash=sha256:00\n", "utf-8")
        (folder / "pyproject.toml").write_text("", "utf-8")
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.calls = folder / "calls"
        script(self.bin / "apt-get", f'echo "apt-get $*" >>"{self.calls}"; exit 1\n')
        script(self.bin / "sudo", f'echo "sudo $*" >>"{self.calls}"; exit 1\n')
        self.installed("gcc", "libc6-dev", "portaudio19-dev")
        self.python("3 12 1 1")

    def installed(self, *packages: str) -> None:
        lines = "\n".join(f"ii  {p}" for p in packages)
        script(self.bin / "dpkg-query", f"echo '{lines}'\n")

    def python(self, answer: str) -> None:
        """A `python3` that describes itself so (major, minor, has venv, has headers) and makes no .venv."""
        script(self.bin / "python3", f'[ "$1" = - ] && {{ echo "{answer}"; exit; }}\n'
                                     f'echo "python3 $*" >>"{self.calls}"; exit 1\n')

    def run(self, what: str = "demo", **env: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if k != "PYTHON"}
        return subprocess.run(["bash", "scripts/setup.sh", what], cwd=self.folder, text=True, check=False,
                              env={**clean, "PATH": f"{self.bin}:{os.environ['PATH']}", **env},
                              capture_output=True, timeout=20)

    def called(self) -> str:
        return self.calls.read_text("utf-8") if self.calls.exists() else ""

    def ready(self) -> Path:
        """A .venv as a finished set-up leaves it; its marker."""
        inside = self.folder / ".venv" / "bin"
        inside.mkdir(parents=True)
        script(inside / "python", f'''case "$*" in
            -c*|*--version) ;;
            -) echo "setuptools==80" ;;
            *) echo "python $*" >>"{self.calls}"; echo "ERROR: pip has no network" >&2; exit 1 ;;
        esac''')
        script(inside / "offhook", "")
        lock = b"".join((self.folder / n).read_bytes() for n in ("requirements.lock", "pyproject.toml"))
        marker = self.folder / ".venv" / ".offhook-setup"
        marker.write_text(hashlib.sha256(lock).hexdigest() + "\n", "utf-8")
        return marker


@pytest.fixture
def clone(tmp_path):
    return Clone(tmp_path)


def test_a_second_run_does_nothing_and_says_nothing(clone):
    clone.ready()
    result = clone.run()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert clone.called() == ""


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_is_noticed(clone, changed):
    clone.ready()
    with (clone.folder / changed).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    result = clone.run()
    assert result.returncode == 1
    assert "installing the locked Python packages" in result.stderr
    assert "pip could not install setuptools" in result.stderr
    assert clone.run().returncode == 1  # what failed is tried again


def test_a_first_installation_that_was_cut_short_is_thrown_away(clone):
    marker = clone.ready()
    marker.write_text("incomplete\n", "utf-8")
    stale = clone.folder / ".venv" / "stale"
    stale.touch()
    result = clone.run()
    assert "making .venv with Python 3.12" in result.stderr
    assert not stale.exists()
    assert "python3 -m venv .venv" in clone.called()


def test_a_venv_whose_python_is_gone_is_made_anew(clone):
    clone.ready()
    (clone.folder / ".venv" / "bin" / "python").unlink()
    assert "making .venv" in clone.run().stderr


def test_an_old_python_is_one_clear_sentence(clone):
    clone.python("3 10 1 1")
    result = clone.run()
    assert result.returncode == 1
    assert result.stderr == ("offhook: 'python3' is Python 3.10, but 3.11 or later is needed; "
                             "choose one with PYTHON=/path/to/python3.\n")


def test_a_missing_python_is_one_clear_sentence(clone):
    result = clone.run(PYTHON="no-such-python")
    assert result.returncode == 1
    assert result.stderr.startswith("offhook: there is no 'no-such-python' here; ")
    assert result.stderr.count("\n") == 1


def test_only_missing_packages_are_asked_of_apt(clone):
    clone.installed("gcc", "libc6-dev", "tmux")
    clone.python("3 12 0 0")
    result = clone.run("test")
    assert result.returncode == 1
    line = re.search(r"installing system packages: (.*)", result.stderr)[1]
    assert set(line.split()) == {"portaudio19-dev", "pulseaudio", "pulseaudio-utils", "libasound2-plugins",
                                 "sip-tester", "kamailio", "kamailio-tls-modules", "baresip-core", "tshark",
                                 "espeak-ng", "python3.12-venv", "python3.12-dev"}


def test_the_demo_needs_none_of_the_tests_packages(clone):
    clone.ready()
    assert clone.run("demo").returncode == 0
    assert "pulseaudio" in clone.run("test").stderr


# --- the rest of the machinery --------------------------------------------------------------------


def test_help_lists_every_target():
    result = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("help", "setup", "demo", "check", "test", "test-all", "bench", "clean"):
        assert re.search(rf"^  make {target} +\S", result.stdout, re.M), target


def test_ci_runs_what_the_readme_tells_people_to_run():
    assert "make test" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_the_lock_has_hashes_and_no_addresses():
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    assert not re.search(r"https?:|file:|index-url|find-links", lock)
    packages = re.split(r"(?m)^(?=[a-z])", lock)[1:]
    assert len(packages) > 20
    for package in packages:
        assert "==" in package.split("\n")[0]
        assert "--hash=sha256:" in package, package.split("\n")[0]
