"""What `attach` remembers for `detach`."""

from __future__ import annotations

from pathlib import Path

import pytest

from winnow.plugin.labeling.attachment_memory import AttachmentMemories, AttachmentMemory

STUDIO = "http://studio.example.org/sub"


@pytest.fixture
def memories(tmp_path: Path) -> AttachmentMemories:
    """Return an empty memory of attachments."""
    return AttachmentMemories(tmp_path / "attachments")


def test_first_value_of_a_setting_is_kept_over_later_changes_of_ours() -> None:
    memory = AttachmentMemory("http://127.0.0.1:9090")

    memory.note("model_version", "", "v1")
    memory.note("model_version", "v1", "v2")

    assert (memory.before, memory.after) == ({"model_version": ""}, {"model_version": "v2"})


def test_value_that_somebody_else_has_set_since_is_what_will_be_restored() -> None:
    memory = AttachmentMemory("http://127.0.0.1:9090")

    memory.note("sampling", "Sequential sampling", "Uncertainty sampling")
    memory.note("sampling", "Uniform sampling", "Uncertainty sampling")

    assert memory.before == {"sampling": "Uniform sampling"}


def test_each_project_of_each_label_studio_has_its_own_memory(memories: AttachmentMemories) -> None:
    for url, project in ((STUDIO, 1), (STUDIO, 2), ("http://studio.example.org/sub2", 1)):
        memories.write(url, project, AttachmentMemory(f"{url} {project}"))

    memories.forget(STUDIO, 2)

    assert memories.read(STUDIO, 1) == AttachmentMemory(f"{STUDIO} 1")
    assert memories.read(STUDIO, 2) is None


def test_memory_that_is_damaged_is_none(memories: AttachmentMemories, tmp_path: Path) -> None:
    memories.write(STUDIO, 1, AttachmentMemory("http://127.0.0.1:9090"))
    (file,) = (tmp_path / "attachments").iterdir()

    file.write_text('{"format": 1, "unknown": ')

    assert memories.read(STUDIO, 1) is None
