"""Which tests must not run side by side, and what several folders' tests need."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

REAL_TIME = ("e2e", "media", "demo")
"""Folders whose tests listen to audio as it goes: one after the other, beside tests that don't."""

settings.register_profile("offhook", deadline=None)  # a machine may be busy for longer than any example takes
settings.load_profile("offhook")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        group = "real time" if folder in REAL_TIME else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own with room for 200 kB; skips where this process may mount none."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "offhook-test", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a file system can't be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
