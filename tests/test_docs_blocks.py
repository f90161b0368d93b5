"""Every code block of README.md and docs/: Python is executed, commands are parsed, recipes and JSON are read."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import typer
import yaml
from PIL import Image

import winnow
from tests.doc_blocks import (
    LANGUAGES,
    PAGES,
    ROOT,
    Block,
    all_blocks,
    blocks,
    execute,
    inline_commands,
    run_by,
    shell_commands,
)
from winnow.__main__ import app
from winnow.plugin.training.recipe import read_recipe

if TYPE_CHECKING:
    import fiftyone as fo

SHEETS = ROOT / "examples" / "fashion_mnist"
# The documents talk of cats; what tests have is clothes.
CLASSES = {"cat": "trouser", "dog": "bag", "fox": "ankle boot"}
TRAIN, TEST, COPIES = 40, 20, 6
SIDE = 28
FOLDERS = ("photos", "unlabelled", "november", "classifier", "older", "scans")
# Programs that are not ours: their lines are left to them.
OTHERS = ("pip", "fiftyone", "export", "curl", "git", "cd", "ray")


def python_pages() -> list[Path]:
    return [page for page in PAGES if any(each.language == "python" and not each.run_by for each in blocks(page))]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make what the documents speak of: a folder `photos/` in splits and classes, its dataset, and classifiers."""
    import fiftyone as fo

    from winnow.plugin.datasets.targets import open_target

    folder = tmp_path_factory.mktemp("workshop")
    for split, count in (("train", TRAIN), ("test", TEST)):
        for name, kind in CLASSES.items():
            (folder / "photos" / split / name).mkdir(parents=True)
            sheet = np.asarray(Image.open(SHEETS / split / f"{kind}.png").convert("L"))
            for row in range(count):
                y, x = divmod(row * SIDE, sheet.shape[1])
                tile = Image.fromarray(sheet[y * SIDE : (y + 1) * SIDE, x : x + SIDE])
                tile.save(folder / "photos" / split / name / f"{row}.png")
    for row in range(COPIES):
        shutil.copy(folder / f"photos/train/cat/{row}.png", folder / f"photos/test/cat/copy {row}.png")
    made = open_target(str(folder / "photos")).dataset
    winnow.train_classifier(made, winnow.TrainParams(output=folder / "classifier", preset="probe"))
    shutil.copytree(folder / "classifier", folder / "older")
    for field, name in (("prediction", "classifier"), ("older_prediction", "older")):
        winnow.apply_classifier(made, winnow.PredictParams(classifier=folder / name, prediction_field=field))
    made.set_values("patient", [f"p{number // 2}" for number in range(len(made))])
    unlabelled = made.match(fo.ViewField("filepath").re_match(r"train/\w+/3\d\.png$"))
    unlabelled.set_field("ground_truth", None).save("ground_truth")
    made.name = "as it was"
    return folder


@pytest.fixture
def here(workshop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder that looks like it, whose classifiers may be overwritten."""
    for name in ("classifier", "older"):
        shutil.copytree(workshop / name, tmp_path / "here" / name)
    (tmp_path / "here" / "photos").symlink_to(workshop / "photos")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def dataset(here: Path) -> Iterator[fo.Dataset]:
    """Make the dataset `photos`: some images without a label, a patient for each, predictions of two classifiers."""
    import fiftyone as fo

    made = fo.load_dataset("as it was").clone("photos")
    yield made
    for name in set(fo.list_datasets()) - {"as it was"}:
        fo.delete_dataset(name)


def test_every_block_has_a_language_that_is_checked() -> None:
    unknown = [str(block) for page in PAGES for block in blocks(page) if block.language not in LANGUAGES]

    assert unknown == []


@pytest.mark.parametrize("page", python_pages(), ids=lambda page: page.name)
def test_python_of_a_page_runs_from_top_to_bottom(page: Path, dataset: fo.Dataset) -> None:
    names: dict[str, Any] = {"__name__": "page"}

    for block in blocks(page):
        if block.language == "python" and not block.run_by:
            execute(block, names)


def test_python_of_the_loop_runs_while_somebody_labels(dataset: fo.Dataset) -> None:
    import fiftyone as fo

    wanted = dict(zip(*dataset.values(["id", "filepath"]), strict=True))
    dataset.set_field("ground_truth", None).save("ground_truth")
    dataset.delete_sample_field("split")  # nothing has been done with these images yet
    names: dict[str, Any] = {"__name__": "page", "winnow": winnow, "dataset": dataset}
    # The page of loops begins one, and README goes on with it.
    for block in sorted(run_by(Path(__file__)), key=lambda block: block.page, reverse=True):
        for part in re.split(r"^\.\.\.$", block.code, flags=re.MULTILINE):
            execute(replace(block, code=part), names)
            for view in (name for name in dataset.list_saved_views() if name.startswith("loop: label")):
                asked = dataset.load_saved_view(view).values("id")
                labels = {key: fo.Classification(label=Path(wanted[key]).parent.name) for key in asked}
                dataset.set_values("ground_truth", labels, key_field="id")

    rounds = winnow.run_loop(dataset, winnow.LoopParams()).summary()["rounds"]
    assert [each["round"] for each in rounds] == [1, 2]


def test_python_that_another_test_runs_is_run_by_it() -> None:
    files = {block.run_by for block in all_blocks("python") if block.run_by}

    assert all("run_by(Path(__file__))" in (ROOT / file).read_text("utf-8") for file in files)


def test_yaml_is_a_recipe(tmp_path: Path) -> None:
    found = all_blocks("yaml")
    for number, block in enumerate(found):
        path = tmp_path / f"{number}.yml"
        path.write_text(block.code, encoding="utf-8")

        if block.code.startswith("# recipe"):
            read_recipe(path)
        else:
            yaml.safe_load(block.code)

    assert found


def test_json_can_be_read() -> None:
    for block in all_blocks("json"):
        json.loads(block.code)


@pytest.mark.parametrize("block", all_blocks(""), ids=str)
def test_commands_of_a_page_are_understood(block: Block, paths: None) -> None:
    for words in shell_commands(block):
        check_command(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_within_the_text_exist(page: Path) -> None:
    for line in inline_commands(page):
        command, words = command_of(line.split()[1:])
        known = {option for each in command.params for option in [*each.opts, *each.secondary_opts]}
        unknown = {word for word in words if word.startswith("--") and word.split("=")[0] not in known}
        assert unknown <= {"--help"}, f"'{line}' of {page.name}: no option {', '.join(unknown)}"


def test_wrong_command_is_noticed(paths: None) -> None:
    for words in ("winnow leeks photos/", "winnow leaks photos/ --no-such", "winnow train photos/ --preset best"):
        with pytest.raises(AssertionError):
            check_command(words.split())


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand where the files are that commands read."""
    monkeypatch.chdir(tmp_path)
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    for name in ("recipe.yml", "labels.csv", "changes.csv"):
        (tmp_path / name).touch()


def check_command(words: list[str]) -> None:
    """Fail where a line of a shell could not be run as it stands."""
    program, *arguments = words
    if "winnow" in (program, *arguments[:6]) and program in ("winnow", "accelerate"):
        parse(arguments if program == "winnow" else arguments[arguments.index("winnow") + 1 :])
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert arguments[0] in targets, f"make has no {arguments[0]}"
    elif program == "python":
        check_python(arguments)
    else:
        assert program in OTHERS, f"'{program}' is no program that the documents use. Is it output? Call it ```text."


def check_python(arguments: list[str]) -> None:
    """Fail where a script, or a module of the benchmarks and one of its options, is not there."""
    if arguments[0] != "-m":
        assert (ROOT / arguments[0]).is_file() or arguments[0] == "-c"
        return
    module = ROOT / f"{arguments[1].replace('.', '/')}.py"
    text = module.read_text("utf-8") + (ROOT / "benchmarks" / "report.py").read_text("utf-8")
    missing = [each for each in arguments if each.startswith("--") and f'"{each}"' not in text]
    assert not missing, f"{arguments[1]} has no {missing}"


def parse(arguments: list[str]) -> None:
    """Fail where the command line would not take a command of ours, or an option has none of the values of its help."""
    command, words = command_of(arguments)
    try:
        context = command.make_context("winnow", words)
    except Exception as error:  # typer's own, or click's, as typer's version has it
        raise AssertionError(f"winnow {' '.join(arguments)}: {error}") from error
    for option in command.params:
        values = re.findall(r"'([^']+)'", getattr(option, "help", "") or "")
        given = context.params.get(option.name)
        if len(values) > 1 and isinstance(given, str) and option.opts[0] != "--backbone":
            assert given in values, f"{option.opts[0]} {given} is none of {values}"


def command_of(words: list[str]) -> tuple[Any, list[str]]:
    """Return the command that a line leads to, and the words after its name."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"there is no command {words[0]}"
        command, words = command.commands[words[0]], list(words[1:])
        if getattr(command, "invoke_without_command", False):
            break
    return command, list(words)
