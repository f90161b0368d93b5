"""`winnow install` puts the plugin into FiftyOne's plugins folder, and never harms what it did not put there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import winnow
from winnow.plugin.errors import TargetError
from winnow.plugin.workflows.install import find_installed, install, uninstall

ROOT = Path(winnow.__file__).resolve().parent


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a machine on which links can't be made."""

    def refuse(*args: object, **options: object) -> None:
        raise OSError("no right to make links")

    monkeypatch.setattr(os, "symlink", refuse)


def test_plugin_is_linked_to_the_package(tmp_path: Path) -> None:
    install(tmp_path)

    (found,) = find_installed(tmp_path)
    assert found.resolve() == ROOT


def test_second_install_changes_nothing(tmp_path: Path) -> None:
    install(tmp_path)

    said = install(tmp_path)

    assert "already" in said
    assert len(find_installed(tmp_path)) == 1


def test_link_to_a_package_that_is_gone_is_renewed(tmp_path: Path) -> None:
    (tmp_path / "@winnow").mkdir()
    (tmp_path / "@winnow" / "curation").symlink_to(tmp_path / "gone")

    install(tmp_path)

    assert find_installed(tmp_path)[0].resolve() == ROOT


def test_copy_is_made_where_links_cannot_be(tmp_path: Path, no_links: None) -> None:
    install(tmp_path)

    (found,) = find_installed(tmp_path)
    assert not found.is_symlink()
    assert (found / "plugin" / "errors.py").is_file()
    assert not (found / "tests").exists()


def test_copy_is_brought_up_to_date_by_the_next_install(tmp_path: Path, no_links: None) -> None:
    install(tmp_path)
    outdated = find_installed(tmp_path)[0] / "outdated.py"
    outdated.touch()

    install(tmp_path)

    assert not outdated.exists()


def test_downloaded_plugin_is_left_as_it_is(tmp_path: Path) -> None:
    downloaded = tmp_path / "@winnow" / "curation"
    downloaded.mkdir(parents=True)
    (downloaded / "fiftyone.yml").write_text("name: '@winnow/curation'\n")

    said = install(tmp_path)

    assert "already" in said
    assert not downloaded.is_symlink()


def test_something_else_in_the_plugins_place_is_refused_and_kept(tmp_path: Path) -> None:
    theirs = tmp_path / "@winnow" / "curation" / "notes.txt"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("keep me")

    with pytest.raises(TargetError, match="is not Winnow"):
        install(tmp_path)
    with pytest.raises(TargetError, match="was not made by"):
        uninstall(tmp_path)

    assert theirs.read_text() == "keep me"


def test_uninstall_takes_the_link_out_and_leaves_the_package(tmp_path: Path) -> None:
    install(tmp_path)

    uninstall(tmp_path)

    assert find_installed(tmp_path) == []
    assert (ROOT / "fiftyone.yml").is_file()


def test_uninstall_takes_a_copy_out(tmp_path: Path, no_links: None) -> None:
    install(tmp_path)

    uninstall(tmp_path)

    assert find_installed(tmp_path) == []


def test_uninstall_of_what_is_not_installed_says_so(tmp_path: Path) -> None:
    said = uninstall(tmp_path)

    assert "not installed" in said
