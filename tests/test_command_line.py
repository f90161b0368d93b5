"""`winnow COMMAND`: exit statuses, what goes to stdout and what to stderr, and each command on real images."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

from tests.small_classifier import small_classifier
from winnow import __version__
from winnow.__main__ import app
from winnow.plugin.errors import DataError
from winnow.plugin.home import winnow_home
from winnow.plugin.progress import Progress
from winnow.plugin.training.classifier import save_classifier
from winnow.terminal import run_job

COMMANDS = (
    "curate", "embed", "duplicates", "leaks", "split", "label-issues", "train", "predict", "evaluate", "onnx",
    "compare", "thresholds", "select", "estimate", "health", "report", "changes", "export",
    "actions", "undo", "loop", "demo", "app", "serve", "classifiers", "cache", "trash", "doctor", "install",
)  # fmt: skip
COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40)}


class Outcome:
    """A report like those of the workflows."""

    def summary(self) -> dict[str, int]:
        return {"images": 3}

    def text(self) -> str:
        return "3 images"


def winnow(*arguments: str | Path) -> Result:
    """Run a command inside this process."""
    import fiftyone  # noqa: F401 - its log handler would keep the runner's stream, which is closed afterwards

    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def last_json(output: str) -> dict:
    return json.loads(output.splitlines()[-1])


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Make 12 training and 4 test images of each of two classes; a test image is a copy of a training image."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "images"
    for split, count in (("train", 12), ("test", 4)):
        for name, colour in COLOURS.items():
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = np.clip(rng.normal(colour, 40, (8, 8, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).resize((48, 48), Image.Resampling.BICUBIC).save(
                    folder / split / name / f"{index}.png"
                )
    Image.open(folder / "train" / "red" / "0.png").save(folder / "test" / "red" / "copy.png")
    return folder


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give FiftyOne an empty plugins folder."""
    import fiftyone as fo

    monkeypatch.setattr(fo.config, "plugins_dir", str(tmp_path / "plugins"))
    return tmp_path / "plugins"


def test_help_names_every_command() -> None:
    result = winnow("--help")

    assert result.exit_code == 0
    assert all(f" {command} " in result.stdout for command in COMMANDS)


def test_version_is_told() -> None:
    assert winnow("--version").stdout == f"{__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["embed"],
        ["embed", "target", "--batch-size", "0"],
        ["compare", "target"],
        ["thresholds", "target", "--precision", "0.9"],
        ["thresholds", "target", "--classifier", "folder", "--recall", "1.5"],
        ["duplicates", "target", "--pairs", "/no/such/folder/pairs.csv"],
    ],
)
def test_wrong_usage_ends_with_status_2(arguments: list[str]) -> None:
    assert winnow(*arguments).exit_code == 2


def test_unknown_target_ends_with_status_1_and_a_message_on_stderr(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "winnow", "embed", "no-such-target"]

    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert run.returncode == 1
    assert run.stdout == ""
    assert "no-such-target" in run.stderr
    assert "Traceback" not in run.stderr


def test_failure_with_json_is_an_object_too() -> None:
    result = winnow("embed", "no-such-target", "--json")

    assert result.exit_code == 1
    assert "no-such-target" in last_json(result.stdout)["error"]


def test_report_is_printed_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    run_job(lambda progress: Outcome(), as_json=False, debug=False)

    assert capsys.readouterr().out == "3 images\n"


def test_with_json_stdout_holds_the_summary_alone(capsys: pytest.CaptureFixture[str]) -> None:
    def job(progress: Progress) -> Outcome:
        print("a library speaks")
        return Outcome()

    run_job(job, as_json=True, debug=False)

    captured = capsys.readouterr()
    assert captured.out == '{"images": 3}\n'
    assert "a library speaks" in captured.err


def test_progress_is_drawn_on_stderr_with_a_bar_for_each_step(capsys: pytest.CaptureFixture[str]) -> None:
    def job(progress: Progress) -> Outcome:
        progress("reading", 0, 0)
        progress("reading", 2, 2)
        progress("training", 1, 4)
        return Outcome()

    run_job(job, as_json=True, debug=False)

    lines = [line for line in capsys.readouterr().err.splitlines() if "/" in line]
    assert [line.split()[0] for line in lines] == ["reading", "training"]


def test_error_of_ours_is_a_message_without_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def job(progress: Progress) -> Outcome:
        raise DataError("the dataset is empty. Add images.")

    with pytest.raises(typer.Exit) as exit_of:
        run_job(job, as_json=False, debug=False)

    assert exit_of.value.exit_code == 1
    assert capsys.readouterr().err.splitlines()[-1] == "winnow: the dataset is empty. Add images."


def test_traceback_of_an_unexpected_error_is_kept_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path))

    with pytest.raises(typer.Exit):
        run_job(lambda progress: {}["absent"], as_json=False, debug=False)

    (log,) = (tmp_path / "logs").iterdir()
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.startswith("winnow: unexpected KeyError: 'absent'.")
    assert str(log) in message
    assert "Traceback" in log.read_text("utf-8")


def test_debug_shows_an_unexpected_error_itself() -> None:
    with pytest.raises(KeyError):
        run_job(lambda progress: {}["absent"], as_json=False, debug=True)


def test_ctrl_c_says_what_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    def job(progress: Progress) -> Outcome:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as exit_of:
        run_job(job, as_json=False, debug=False)

    assert exit_of.value.exit_code == 1
    assert "what was finished before stays" in capsys.readouterr().err


def test_doctor_ends_with_status_1_when_something_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path / "file" / "home"))

    result = winnow("doctor", "--json")

    assert result.exit_code == 1
    summary = last_json(result.stdout)
    assert summary["ok"] is False
    assert [check["name"] for check in summary["checks"] if check["status"] == "problem"] == ["home"]


def test_install_puts_the_plugin_in_the_plugins_folder(plugins: Path) -> None:
    result = winnow("install")

    assert result.exit_code == 0
    assert (plugins / "@winnow" / "curation" / "fiftyone.yml").is_file()


def test_uninstall_takes_the_plugin_out_again(plugins: Path) -> None:
    winnow("install")

    result = winnow("install", "--uninstall")

    assert result.exit_code == 0
    assert not (plugins / "@winnow" / "curation").exists()


def test_serve_without_a_classifier_ends_with_status_1(tmp_path: Path) -> None:
    result = winnow("serve", tmp_path / "absent")

    assert result.exit_code == 1
    assert str(tmp_path / "absent") in result.stderr


def test_app_on_an_unknown_dataset_ends_with_status_1() -> None:
    result = winnow("app", "no-such-dataset")

    assert result.exit_code == 1
    assert "no-such-dataset" in result.stderr


def test_embed_reads_a_folder(images: Path) -> None:
    result = winnow("embed", images, "--image-size", "64", "--json")

    assert result.exit_code == 0, result.stderr
    assert last_json(result.stdout)["images"] == 33


def test_embed_says_where_the_app_shows_the_vectors(images: Path) -> None:
    result = winnow("embed", images, "--projection", "tsne", "--storage", "float16")

    assert result.exit_code == 0, result.stderr
    assert "winnow_similarity" in result.stdout
    assert "winnow_points" in result.stdout


@pytest.mark.parametrize("option", [("--storage", "int8"), ("--projection", "mds")])
def test_embed_refuses_what_it_does_not_know(option: tuple[str, str], images: Path) -> None:
    result = winnow("embed", images, *option)

    assert result.exit_code == 1
    assert option[1] in result.stderr


def test_cache_is_shown_pruned_and_cleared(images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path / "winnow"))
    winnow("embed", images)

    info = last_json(winnow("cache", "info", "--json").stdout)
    pruned = last_json(winnow("cache", "prune", "--limit", "0.001", "--json").stdout)
    cleared = winnow("cache", "clear")

    assert {part["kind"] for part in info["parts"]} == {"embeddings", "network"}
    assert info["bytes"] == pruned["bytes"] + pruned["freed"] > pruned["bytes"]
    assert cleared.exit_code == 0
    assert last_json(winnow("cache", "info", "--json").stdout)["parts"] == []


def test_duplicates_writes_its_pairs_with_paths_below_the_folder(images: Path, tmp_path: Path) -> None:
    result = winnow("duplicates", images, "--pairs", tmp_path / "pairs.csv", "--json")

    assert result.exit_code == 0, result.stderr
    best = next(csv.DictReader((tmp_path / "pairs.csv").open(encoding="utf-8")))
    assert list(best) == ["path_a", "path_b", "split_a", "split_b", "score", "flagged"]
    assert {best["path_a"], best["path_b"]} == {"train/red/0.png", "test/red/copy.png"}
    assert best["flagged"] == "1"


def test_leaks_name_the_evaluation_side_first(images: Path, tmp_path: Path) -> None:
    result = winnow("leaks", images, "--pairs", tmp_path / "pairs.csv")

    assert result.exit_code == 0, result.stderr
    best = next(csv.DictReader((tmp_path / "pairs.csv").open(encoding="utf-8")))
    assert (best["path_a"], best["path_b"]) == ("test/red/copy.png", "train/red/0.png")
    assert (best["split_a"], best["split_b"]) == ("test", "train")


def test_the_image_to_keep_is_chosen_by_policies_and_folders(images: Path) -> None:
    kept = images / "train"

    result = winnow("duplicates", images, "--keep", "largest, oldest", "--keep-path", kept, "--json")
    unknown = winnow("duplicates", images, "--keep", "newest", "--json")

    assert result.exit_code == 0, result.stderr
    assert last_json(result.stdout)["copies"] >= 1
    assert unknown.exit_code == 1
    assert "no policy 'newest'" in last_json(unknown.stdout)["error"]


def test_leaks_are_looked_for_by_groups_too(images: Path) -> None:
    result = winnow("leaks", images, "--group-by", "file:folder", "--json")
    unknown = winnow("leaks", images, "--group-by", "patient", "--json")

    assert result.exit_code == 0, result.stderr
    assert sum(last_json(result.stdout)["by_kind"].values()) >= 1
    assert unknown.exit_code == 1
    assert "there is no such field" in last_json(unknown.stdout)["error"]


def test_splits_are_made_by_the_fractions(images: Path) -> None:
    result = winnow("split", images, "--fractions", "train=0.6,test=0.4", "--json")

    assert result.exit_code == 0, result.stderr
    found = last_json(result.stdout)
    assert (found["field"], found["sizes"]) == ("split_clean", {"train": 20, "test": 13})


def test_splits_are_repaired_with_the_test_split_frozen(images: Path) -> None:
    result = winnow("split", images, "--repair", "--freeze", "test", "--output-field", "mended", "--json")

    assert result.exit_code == 0, result.stderr
    found = last_json(result.stdout)
    assert (found["field"], found["moved"]) == ("mended", {"train to test": 1})


def test_groups_of_a_table_are_kept_together(images: Path, tmp_path: Path) -> None:
    paths = sorted((images / "train").rglob("*.png"))
    rows = [f"{path},{path.parent.name},p{row % 6},s{row % 4}" for row, path in enumerate(paths)]
    (tmp_path / "table.csv").write_text("\n".join(["path,label,patient,scene", *rows]) + "\n", encoding="utf-8")

    result = winnow("split", tmp_path / "table.csv", "--group-by", "patient", "--group-by", "scene", "--json")

    assert result.exit_code == 0, result.stderr
    assert last_json(result.stdout)["units_of_several"] == 2  # even and odd rows: gcd(6, 4) = 2


def test_fractions_that_do_not_sum_to_one_end_with_status_1(images: Path) -> None:
    result = winnow("split", images, "--fractions", "train=0.6,test=0.3", "--json")

    assert result.exit_code == 1
    assert "sum to 1, got train=0.6, test=0.3" in last_json(result.stdout)["error"]


def test_label_issues_are_looked_for(images: Path) -> None:
    result = winnow("label-issues", images, "--json")

    assert result.exit_code == 0, result.stderr
    assert last_json(result.stdout)["labelled"] == 33


def test_worth_of_cleaning_is_measured_when_asked_for(images: Path) -> None:
    result = winnow("label-issues", images, "--measure-cleaning", "--json")

    assert result.exit_code == 0, result.stderr
    found = last_json(result.stdout)
    assert found["cleaning"]["rows"] == found["labelled"]


def test_labels_are_judged_by_fine_tuned_networks_when_asked_for(images: Path) -> None:
    result = winnow("label-issues", images, "--fine-tune", "--image-size", "32", "--json")

    assert result.exit_code == 0, result.stderr
    assert any("fine-tuned out of fold: 3 networks" in note for note in last_json(result.stdout)["notes"])


def test_predictions_that_are_not_there_end_with_status_1(images: Path) -> None:
    result = winnow("label-issues", images, "--predictions", "model", "--json")

    assert result.exit_code == 1
    assert "there is no field 'model'" in last_json(result.stdout)["error"]


def test_sure_suggestions_are_accepted_and_taken_back(images: Path) -> None:
    (images / "train" / "green" / "3.png").rename(images / "train" / "red" / "green.png")

    accepted = winnow("label-issues", images, "--accept-above", "0.4", "--json")
    again = winnow("label-issues", images, "--json")
    undone = winnow("undo", images)

    assert accepted.exit_code == 0, accepted.stderr
    assert last_json(accepted.stdout)["accepted"]["samples"] == 1
    assert (last_json(again.stdout)["confirmed"], last_json(again.stdout)["flagged"]) == (1, 0)
    assert "Undone for 1 sample: accepted suggestions for 1 label" in undone.stdout


def test_missing_and_extra_labels_of_a_table_are_found_accepted_and_taken_back(images: Path, tmp_path: Path) -> None:
    names = {path: path.parent.name for path in sorted(images.glob("*/*/[0-9]*.png"))}
    labels = {path: [name, "warm"] if name == "red" else [name] for path, name in names.items()}
    lacking, having = images / "train" / "red" / "3.png", images / "train" / "green" / "3.png"
    labels[lacking], labels[having] = ["warm"], ["green", "warm"]
    table = tmp_path / "colours.csv"
    rows = (f"{path.relative_to(tmp_path)},{'|'.join(found)}" for path, found in labels.items())
    table.write_text("\n".join(["path,labels", *rows]))

    accepted = winnow("label-issues", table, "--label-delimiter", "|", "--accept-above", "0.4", "--json")
    again = winnow("label-issues", table, "--label-delimiter", "|", "--json")
    undone = winnow("undo", "colours")

    assert accepted.exit_code == 0, accepted.stderr
    found = last_json(accepted.stdout)
    assert found["by_class"] == {"red": {"missing": 1, "extra": 0}, "warm": {"missing": 0, "extra": 1}}
    assert found["accepted"]["samples"] == 2
    assert (last_json(again.stdout)["confirmed"], last_json(again.stdout)["flagged"]) == (2, 0)
    assert "Undone for 2 samples: accepted suggestions for labels of 2 samples" in undone.stdout


def test_trained_classifier_predicts_and_is_evaluated(images: Path, tmp_path: Path) -> None:
    trained = winnow("train", images, "--output", tmp_path / "classifier", "--preset", "probe", "--json")
    predicted = winnow(
        "predict", images, "--classifier", tmp_path / "classifier", "--output", tmp_path / "predictions.csv"
    )
    evaluated = winnow("evaluate", images, "--slice-by", "ground_truth", "--json")

    assert trained.exit_code == 0, trained.stderr
    assert predicted.exit_code == 0, predicted.stderr
    assert evaluated.exit_code == 0, evaluated.stderr
    assert {each["value"] for each in last_json(evaluated.stdout)["slices"]} == {"green", "red"}
    rows = list(csv.DictReader((tmp_path / "predictions.csv").open(encoding="utf-8")))
    assert list(rows[0]) == ["path", "label", "confidence"]
    assert len(rows) == 33
    assert (images / rows[0]["path"]).is_file()
    assert not Path(rows[0]["path"]).is_absolute()


def test_classifier_is_exported(tmp_path: Path) -> None:
    folder = save_classifier(small_classifier(tmp_path), tmp_path / "classifier")

    result = winnow("onnx", folder, tmp_path / "model.onnx", "--json")

    assert result.exit_code == 0, result.stderr
    assert last_json(result.stdout)["file"] == str(tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").is_file()


def test_a_classifier_gets_thresholds_and_is_compared_with_what_it_was(images: Path, tmp_path: Path) -> None:
    classifier = ("--classifier", tmp_path / "classifier")
    winnow("train", images, "--output", tmp_path / "classifier", "--preset", "probe")
    winnow("predict", images, *classifier)

    stricter = winnow("thresholds", images, *classifier, "--precision", "0.5", "--json")
    winnow("predict", images, *classifier, "--prediction-field", "careful")
    compared = winnow("compare", images, "--prediction-field", "careful", "--with", "prediction", "--json")

    assert stricter.exit_code == 0, stricter.stderr
    assert last_json(stricter.stdout)["goal"] == "precision of 50.0%"
    assert compared.exit_code == 0, compared.stderr
    assert last_json(compared.stdout)["fields"] == ["careful", "prediction"]


def test_images_are_held_against_what_a_classifier_was_made_for(images: Path, tmp_path: Path) -> None:
    winnow("train", images, "--output", tmp_path / "classifier", "--preset", "probe")

    checked = winnow("drift", images, "--classifier", tmp_path / "classifier", "--slice-by", "ground_truth", "--json")
    nothing = winnow("drift", images, "--json")

    assert checked.exit_code == 0, checked.stderr
    found = last_json(checked.stdout)
    assert {"is_drift", "p_value", "effect_size", "novel", "classes", "slices", "exemplars"} <= found.keys()
    assert found["reference"] == "what is stored with the classifier"
    assert nothing.exit_code == 1
    assert "name what the images are held against" in last_json(nothing.stdout)["error"]


def test_classifiers_are_listed_promoted_and_put_away(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path / "home"))
    for name in ("first", "second"):
        save_classifier(small_classifier(tmp_path), winnow_home() / "classifiers" / name)

    promoted = winnow("classifiers", "promote", images, "first", "--json")
    deleted = winnow("classifiers", "delete", images, "second", "--json")
    listed = winnow("classifiers", "list", images, "--json")

    assert promoted.exit_code == 0, promoted.stderr
    assert deleted.exit_code == 0, deleted.stderr
    entries = {Path(each["folder"]).name: each["promoted"] for each in last_json(listed.stdout)["classifiers"]}
    assert entries["first"] is True
    assert "second" not in entries


def test_images_added_to_the_folder_join_the_same_dataset(images: Path) -> None:
    first = winnow("embed", images, "--json")
    Image.open(images / "train" / "red" / "1.png").rotate(90).save(images / "train" / "red" / "new.png")
    second = winnow("embed", images, "--json")

    assert first.exit_code == 0, first.stderr
    assert last_json(second.stdout)["images"] == last_json(first.stdout)["images"] + 1


def test_health_of_a_folder_is_told(images: Path) -> None:
    result = winnow("health", images, "--json")

    told = last_json(result.stdout)
    assert result.exit_code == 0
    assert told["splits"] == {"train": 24, "test": 9}
    assert told["figures"]["leaks"]["level"] == "unknown"
    assert "`winnow leaks`" in result.stderr


def test_actions_are_listed_and_undone(images: Path) -> None:
    from winnow.plugin.datasets.targets import open_target
    from winnow.plugin.workflows.actions import delete_samples

    dataset = open_target(str(images)).dataset
    delete_samples(dataset, dataset.values("id")[:2])

    listed = last_json(winnow("actions", images, "--json").stdout)
    undone = winnow("undo", images, "winnow_action_1", "--json")
    again = winnow("undo", images)
    count = len(dataset)
    dataset.delete()

    assert [action["what"] for action in listed["actions"]] == ["deleted 2 samples"]
    assert last_json(undone.stdout)["samples"] == 2
    assert (again.exit_code, count) == (1, 33)
    assert "there is nothing to undo" in again.stderr
