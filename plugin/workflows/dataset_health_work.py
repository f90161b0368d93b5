"""How far the work on a dataset is: vectors, predictions, classifiers, labelling and decisions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import fiftyone as fo
from bson import ObjectId

from ..datasets.action_log import list_logged, undone_at
from ..datasets.decisions import DECISIONS_FIELD
from ..datasets.label_decisions import BY, DECISION, UNSURE
from ..datasets.labeling_batches import BATCH_FIELD, STATE_FIELD, LabelingState, list_batches
from ..datasets.loops import list_loops
from ..datasets.multi_label_decisions import DECISIONS
from ..errors import FieldError
from .actions import describe
from .classifiers import ClassifierEntry, list_classifiers
from .dataset_health_figures import Behind, Figure, Level, Remedy, interval_words, level_of, percent
from .dataset_health_sources import Sources
from .evaluation_parts import RUN as EVALUATION_RUN
from .predict import RUN as PREDICT_RUN
from .vectors import FAILURE_FIELD
from .vectors import RUN as VECTORS_RUN
from .wording import counted, listed

_THERE = {"$ne": None}
_DEFAULT_PREDICTIONS = "prediction"
_LAST = 3  # actions that are told

_EMBED = Remedy("compute_embeddings", "Compute embeddings", "winnow embed")
_TRAIN = Remedy("train_classifier", "Train a classifier", "winnow train")
_APPLY = Remedy("apply_classifier", "Predict", "winnow predict")
_EVALUATE = Remedy("evaluate_predictions", "Evaluate", "winnow evaluate")
_PULL = Remedy("pull_from_label_studio", "Bring labels back", "winnow labelstudio pull")
_SEND = Remedy("send_to_label_studio", "Send to Label Studio", "winnow labelstudio send")
_SELECT = Remedy("select_for_labeling", "Select images to label", "winnow select")
_UNDO = Remedy("undo_action", "Undo an action", "winnow undo")


def embeddings(sources: Sources) -> Figure:
    """Return how many images have a vector."""
    key, title, run = "embeddings", "Embeddings", sources.run(VECTORS_RUN)
    if run is None:
        return Figure(key, title, Level.UNKNOWN, "No image has a vector yet.", remedies=(_EMBED,))
    stale, match = sources.stale(VECTORS_RUN), sources.added_since(run.newest_sample)
    added = sources.count(match)
    failed = sources.count({FAILURE_FIELD: _THERE}) if sources.dataset.has_field(FAILURE_FIELD) else 0
    if run.samples < run.dataset_samples:
        sentence = f"{counted(run.summary['images'], 'image')} of a part of the dataset have a vector."
    else:
        have = max(0, sources.total - added - failed)
        sentence = f"{counted(have, 'image has', 'images have')} a vector: {percent(have, sources.total)}."
    behind = (Behind("added", f"Show the {added:,} added since", added, match),) if added else ()
    return Figure(
        key,
        title,
        level_of(False, stale),
        sentence,
        (f"Backbone `{run.params['backbone']}`, {run.time:%Y-%m-%d %H:%M} UTC.",),
        stale,
        behind,
        (Remedy(_EMBED.operator, "Compute them again", _EMBED.command),) if stale else (),
        {"added_since": added, "backbone": run.params["backbone"]},
    )


def predictions(sources: Sources) -> Figure:
    """Return how many images have a prediction, and how good these are."""
    key, title, run = "predictions", "Predictions", sources.run(PREDICT_RUN)
    field = sources.params.prediction_field or (run.params["prediction_field"] if run else _DEFAULT_PREDICTIONS)
    if not sources.dataset.has_field(field):
        return Figure(key, title, Level.UNKNOWN, "No image has a prediction yet.", remedies=(_APPLY,))
    kind = getattr(sources.dataset.get_field(field), "document_type", None)
    if kind not in (fo.Classification, fo.Classifications):
        raise FieldError(f"field '{field}' of '{sources.dataset.name}' holds no predictions of classes. Name another.")
    several = kind is fo.Classifications
    missing: dict[str, Any] = {field if several else f"{field}.label": None}
    have = sources.total - sources.count(missing)
    if sources.dataset.has_field(FAILURE_FIELD):
        missing[FAILURE_FIELD] = None  # an unreadable image can't have one
    without = sources.count(missing)
    stale = _older_predictions(sources, field)
    evaluated, unmeasured = _accuracy(sources, field)
    sentence = f"{counted(have, 'image has', 'images have')} a prediction in `{field}`: {percent(have, sources.total)}."
    behind = (Behind("missing", f"Show the {without:,} without", without, missing),) if without else ()
    remedies = [_APPLY] * bool(without or stale) + [_EVALUATE] * unmeasured
    return Figure(
        key,
        title,
        level_of(without > 0, stale),
        sentence,
        (evaluated,),
        stale,
        behind,
        tuple(remedies),
        {"field": field, "with": have, "without": without},
    )


def classifiers(sources: Sources) -> Figure:
    """Return which classifier is in use, and which is the newest."""
    key, title = "classifiers", "Classifiers"
    entries = [entry for entry in list_classifiers(sources.dataset).entries if entry.version]
    if not entries:
        return Figure(key, title, Level.UNKNOWN, "No classifier was trained yet.", remedies=(_TRAIN,))
    newest = entries[0]
    used = next((entry for entry in entries if entry.promoted), None)
    told = f"In use: {_named(used)}." if used else f"None was taken into use; the newest is {_named(newest)}."
    details = [f"The newest is {_named(newest)}."] if used and used is not newest else []
    added = _added_since(sources, (used or newest).trained_at)
    stale = f"{counted(added, 'image was', 'images were')} added since it was trained" if added else ""
    return Figure(
        key,
        title,
        level_of(False, stale),
        f"{counted(len(entries), 'classifier')}. {told}",
        tuple(details),
        stale,
        remedies=(_TRAIN,) if stale else (),
        numbers={"in_use": used.version if used else None, "newest": newest.version, "classifiers": len(entries)},
    )


def labeling(sources: Sources) -> Figure:
    """Return what is out for labelling."""
    key, title = "labeling", "Labelling rounds"
    batches, loops = list_batches(sources.view), list_loops(sources.view)
    details = [f"Active-learning loops: {listed(loops)}."] if loops else []
    if not sources.dataset.has_field(STATE_FIELD) or not batches:
        return Figure(key, title, Level.GOOD, "Nothing was sent out for labelling.", tuple(details))
    states = sources.values({STATE_FIELD: _THERE}, f"${STATE_FIELD}", f"${BATCH_FIELD}")
    out = {str(batch): count for (state, batch), count in states.items() if state == LabelingState.OUT}
    disputed = sum(
        count for (state, _), count in states.items() if state in (LabelingState.CONFLICT, LabelingState.DISAGREEMENT)
    )
    waiting = sum(out.values())
    sentence = f"Everything that went out in {counted(len(batches), 'batch', 'batches')} is back."
    if waiting:
        batches_out = counted(len(out), "batch", "batches")
        sentence = f"{counted(waiting, 'image is', 'images are')} out for labelling in {batches_out}."
        details.insert(0, "Out: " + listed([f"{batch} ({count:,})" for batch, count in sorted(out.items())]) + ".")
    if disputed:
        details.append(
            f"{counted(disputed, 'answer is', 'answers are')} in dispute: a conflict, or annotators disagree."
        )
    behind = [
        Behind("out", f"Show the {waiting:,} that are out", waiting, {STATE_FIELD: str(LabelingState.OUT)}),
        Behind("disputed", f"Show the {disputed:,} in dispute", disputed,
               {STATE_FIELD: {"$in": [str(LabelingState.CONFLICT), str(LabelingState.DISAGREEMENT)]}}),
    ]  # fmt: skip
    return Figure(
        key,
        title,
        Level.ACT if waiting or disputed else Level.GOOD,
        sentence,
        tuple(details),
        behind=tuple(each for each in behind if each.count),
        remedies=(_PULL,) if waiting else (),
        numbers={"out": out, "disputed": disputed, "batches": len(batches), "loops": loops},
    )


def decisions(sources: Sources) -> Figure:
    """Return what people decided and changed."""
    key, title = "decisions", "Decisions"
    rows, match, unsure_match = _label_decisions(sources)
    whats = _added_up(rows, 0)
    people = _added_up(rows, 1)
    count, unsure = sum(whats.values()), whats.get(UNSURE, 0)
    sentence, details = "Nobody has decided about a label yet.", []
    if count:
        sentence = f"{counted(count, 'decision')} about labels: " + _told(whats) + "."
        details.append(f"By {_told(people)}.")
    behind = [
        Behind("decided", "Show the decided images", sources.count(match) if match else 0, match),
        Behind("unsure", "Show the unsure ones", sources.count(unsure_match) if unsure_match else 0, unsure_match),
    ]
    if sources.dataset.has_field(DECISIONS_FIELD):
        marked = {f"{DECISIONS_FIELD}.0": {"$exists": True}}
        about = sources.count(marked)
        behind.append(Behind("duplicates", f"Show the {about:,} decided as duplicates or not", about, marked))
        details.append(
            f"{counted(about, 'image was', 'images were')} called different from others, or kept with copies."
        )
    done = [run for run in list_logged(sources.dataset) if not undone_at(run)]
    details += [f"{run.time:%Y-%m-%d %H:%M} UTC: {describe(run)}." for run in done[:_LAST]]
    remedies = [_SEND] * bool(unsure) + [_UNDO] * bool(done)
    return Figure(
        key,
        title,
        Level.ACT if unsure else Level.GOOD,
        sentence,
        tuple(details),
        behind=tuple(each for each in behind if each.count),
        remedies=tuple(remedies),
        numbers={"by_decision": whats, "by_person": people, "actions": len(done)},
    )


def _label_decisions(sources: Sources) -> tuple[dict[tuple[Any, ...], int], dict[str, Any], dict[str, Any]]:
    """Return (decision, person) -> number of labels; and the conditions for decided images, and for unsure ones."""
    if sources.labels is None:
        return {}, {}, {}
    field = sources.labels.field
    if sources.labels.several:
        path = f"{field}.{DECISIONS}"
        if sources.dataset.get_field(path) is None:
            return {}, {}, {}
        match: dict[str, Any] = {f"{path}.0": {"$exists": True}}
        key = {"decision": f"${path}.decision", "by": f"${path}.by"}
        rows = sources.images.match(match)._aggregate(
            pipeline=[{"$unwind": f"${path}"}, {"$group": {"_id": key, "labels": {"$sum": 1}}}]
        )
        found = {(row["_id"].get("decision"), row["_id"].get("by")): row["labels"] for row in rows}
        return found, match, {f"{path}.decision": UNSURE}
    path = f"{field}.{DECISION}"
    if sources.dataset.get_field(path) is None:
        return {}, {}, {}
    return sources.values({path: _THERE}, f"${path}", f"${field}.{BY}"), {path: _THERE}, {path: UNSURE}


def _added_up(rows: dict[tuple[Any, ...], int], at: int) -> dict[str, int]:
    """Return the values at a place of the keys, the most frequent first."""
    found: dict[str, int] = {}
    for row, count in rows.items():
        name = str(row[at] or "somebody")
        found[name] = found.get(name, 0) + count
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _told(counts: dict[str, int]) -> str:
    return listed([f"{name} {count:,}" for name, count in counts.items()])


def _older_predictions(sources: Sources, field: str) -> str:
    """Return why predictions are older than the dataset or the classifier in use; "" where they are not."""
    run = sources.run(PREDICT_RUN)
    if run is None or run.params["prediction_field"] != field:
        return ""
    reasons = [sources.stale(PREDICT_RUN)]
    used = next((entry for entry in list_classifiers(sources.dataset).entries if entry.promoted), None)
    version = run.params.get("version")
    if used is not None and version and version != used.version:
        reasons.append(f"they are of `{version}`, and `{used.version}` is in use")
    return " and ".join(filter(None, reasons))


def _accuracy(sources: Sources, field: str) -> tuple[str, bool]:
    """Return what the last evaluation says of the predictions, and whether another one is called for."""
    run, predicted = sources.run(EVALUATION_RUN), sources.run(PREDICT_RUN)
    if run is None or run.params.get("prediction_field") != field:
        return "They were not compared with labels.", sources.labels is not None
    found, on = run.summary["clean"], run.summary["evaluated_on"]
    several = "accuracy" not in found
    score, interval = (
        (found["micro_f1"], found["micro_f1_interval"]) if several else (found["accuracy"], found["interval"])
    )
    if score is None:
        return f"Nothing of {on} could be compared with labels.", True
    older = predicted is not None and predicted.params["prediction_field"] == field and predicted.time > run.time
    told = f"{'Micro F1' if several else 'Accuracy'} on {on}, without leaked images: {percent(score, 1)}"
    if interval and None not in interval:
        told += f" ({interval_words(interval[0], interval[1])})"
    return told + (", measured before the last prediction." if older else "."), older


def _named(entry: ClassifierEntry) -> str:
    score = f", {entry.score} on validation" if entry.score else ""
    return f"`{entry.name}`, version `{entry.version}`{score}"


def _added_since(sources: Sources, trained_at: str) -> int:
    """Return how many images came into the dataset after a time; ids tell when a sample was made."""
    if not trained_at:
        return 0
    return sources.count({"_id": {"$gt": ObjectId.from_datetime(datetime.fromisoformat(trained_at))}})
