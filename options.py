"""The options of the command line, each declared once; commands put them together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def in_a_folder(path: Path | None) -> Path | None:
    """Refuse a file that could not be written, before a long job rather than after it."""
    if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
        raise typer.BadParameter(f"'{path}' is a folder, or its folder does not exist. Name a file in an existing one.")
    return path


Target = Annotated[
    str, typer.Argument(metavar="TARGET", show_default=False, help="Dataset name, folder, or CSV/JSONL table.")
]
Json = Annotated[bool, typer.Option("--json", help="End stdout with one line of JSON; everything else to stderr.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
GroupSlice = Annotated[str | None, typer.Option("--slice", help="Slice of a grouped dataset.")]
Delimiter = Annotated[str | None, typer.Option("--label-delimiter", help="What separates several labels in a table.")]
LabelField = Annotated[
    str | None,
    typer.Option(
        "--label-field",
        help="Classification field with the labels. One whose labels have a confidence is not taken for it unasked.",
    ),
]
SplitField = Annotated[str | None, typer.Option("--split-field", help="Field with the split, or 'tags'.")]
PredictionField = Annotated[str | None, typer.Option("--prediction-field", help="Field of the predictions.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Same seed, same result.")]
Backbone = Annotated[
    str | None, typer.Option("--backbone", help="'lite0' (embedded), a timm name, or a classifier's folder.")
]
ImageSize = Annotated[int | None, typer.Option("--image-size", min=16, help="Side of the network's input, in pixels.")]
BatchSize = Annotated[int | None, typer.Option("--batch-size", min=1, help="Images a batch.")]
Threshold = Annotated[float | None, typer.Option("--threshold", min=0, max=1, help="Score from which a pair counts.")]
Pairs = Annotated[
    Path | None, typer.Option("--pairs", callback=in_a_folder, help="Write every candidate pair to this CSV file.")
]
Keep = Annotated[
    str | None,
    typer.Option("--keep", help="Which image of a group to keep: policies, the first one first, as in largest,oldest."),
]
KeepPaths = Annotated[
    list[str] | None, typer.Option("--keep-path", help="Folder whose images are kept before others; may be repeated.")
]
Preset = Annotated[str | None, typer.Option("--preset", help="How thoroughly to train: 'probe', 'quick' or 'strong'.")]
Output = Annotated[Path | None, typer.Option("--output", help="Folder for the classifier.")]
OpenApp = Annotated[bool, typer.Option("--app", help="Open the App on the result, with a worker beside it.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65535)]
PatchesField = Annotated[str | None, typer.Option("--patches", help="Field of detections, to look at each box.")]
VectorField = Annotated[str | None, typer.Option("--vector-field", help="Also store the vectors in this field.")]
ProjectionMethod = Annotated[
    str | None, typer.Option("--projection", help="Layout of the Embeddings panel: 'pca', 'tsne', 'umap' or 'none'.")
]
NoSimilarity = Annotated[bool, typer.Option("--no-similarity", help="Leave out the App's sorting by similarity.")]
Index = Annotated[
    str | None,
    typer.Option("--index", help="Put the vectors into this vector database: 'lancedb', 'pgvector', ..."),
]
Neighbors = Annotated[
    str | None,
    typer.Option("--neighbors", help="Similarity index in a vector database, by its brain key, that finds neighbours."),
]
Storage = Annotated[
    str | None,
    typer.Option("--storage", help="How the cache keeps vectors: 'float32' or 'float16' (half the space)."),
]
Verify = Annotated[bool, typer.Option("--verify", help="Read every file again, unchanged ones too.")]
CacheLimit = Annotated[
    float | None, typer.Option("--limit", min=0, help="In GB; default: WINNOW_CACHE_LIMIT_GB, or 20.")
]
Sensitivity = Annotated[
    str | None,
    typer.Option("--sensitivity", help="How much to flag: 'conservative', 'default' or 'thorough'."),
]
MeasureCleaning = Annotated[
    bool,
    typer.Option("--measure-cleaning", help="Measure what cleaning the labels would be worth; takes much longer."),
]
PredictionsField = Annotated[
    str | None,
    typer.Option("--predictions", help="Field with out-of-sample predictions of yours, to judge labels by as well."),
]
FineTune = Annotated[
    bool, typer.Option("--fine-tune", help="Judge labels by a fine-tuned backbone as well; takes twice a training.")
]
AcceptAbove = Annotated[
    float | None,
    typer.Option(
        "--accept-above", min=0, max=1, help="Change labels to suggestions that are this sure; can be undone."
    ),
]
FlaggedLabels = Annotated[
    str | None,
    typer.Option("--label-issues", help="What becomes of flagged labels: 'exclude', 'down-weight' or 'keep'."),
]
TrainOnLeaks = Annotated[
    bool, typer.Option("--train-on-leaks", help="Train on images that the evaluation split repeats, too.")
]
RecipeFile = Annotated[
    Path | None, typer.Option("--recipe", exists=True, dir_okay=False, help="YAML file with settings of a recipe.")
]
ClassifierFolder = Annotated[Path, typer.Option("--classifier", help="Folder of a trained classifier.")]
ChosenClassifier = Annotated[
    str | None,
    typer.Option(
        "--classifier", help="Folder, name or version of a classifier; default: the one in use, or the newest."
    ),
]
StateFolder = Annotated[
    Path | None,
    typer.Option("--state", help="Folder of trained versions; default below ~/.winnow.", show_default=False),
]
Store = Annotated[
    str | None,
    typer.Option("--store", help="Database of several replicas; with a password: WINNOW_STORE.", show_default=False),
]
ClassifierName = Annotated[
    str, typer.Argument(metavar="NAME", show_default=False, help="Name, version or folder of a classifier.")
]
SliceBy = Annotated[
    list[str] | None,
    typer.Option("--slice-by", help="Field by whose values to measure as well, such as metadata.width; may repeat."),
]
Cluster = Annotated[
    str | None,
    typer.Option("--cluster", help="Ray cluster that computes: 'local', 'auto' or HOST:PORT; default: this machine."),
]
VectorStore = Annotated[
    str | None,
    typer.Option("--vector-store", help="Folder or URL (s3://...) that a cluster sees; default: WINNOW_VECTOR_STORE."),
]
EvaluatedClassifier = Annotated[
    str | None, typer.Option("--classifier", help="Predict with this one first: a folder, name or version.")
]
OtherField = Annotated[str, typer.Option("--with", help="Field of the predictions to compare with.")]
Precision = Annotated[
    float | None, typer.Option("--precision", min=0, max=1, help="Share of the decisions for a class that are right.")
]
Recall = Annotated[
    float | None, typer.Option("--recall", min=0, max=1, help="Share of a class's images that are decided for it.")
]
PredictionsFile = Annotated[
    Path | None, typer.Option("--output", callback=in_a_folder, help="Also write path,label,confidence here.")
]
ReportFile = Annotated[
    Path | None,
    typer.Option("--output", callback=in_a_folder, help="The HTML file; default: health.html in that folder."),
]
Logits = Annotated[bool, typer.Option("--logits", help="Store what is thought of every class with each prediction.")]
ExportedClassifier = Annotated[Path, typer.Argument(metavar="DIR", show_default=False, help="Folder of a classifier.")]
OnnxFile = Annotated[
    Path, typer.Argument(metavar="FILE", show_default=False, callback=in_a_folder, help="Where to, NAME.onnx.")
]
DemoFolder = Annotated[Path | None, typer.Option("--folder", help="Where to make the working copy.")]
Fractions = Annotated[str | None, typer.Option("--fractions", help="'train=0.8,validation=0.1,test=0.1'.")]
GroupBy = Annotated[
    list[str] | None,
    typer.Option(
        "--group-by",
        help="Field, file:prefix, file:folder or exif:burst: what shares a value belongs together; may be repeated.",
    ),
]
Freeze = Annotated[list[str] | None, typer.Option("--freeze", help="Split that keeps its images; may be repeated.")]
Repair = Annotated[bool, typer.Option("--repair", help="Keep the splits; move the fewest images that make them clean.")]
OutputField = Annotated[str | None, typer.Option("--output-field", help="Field that the result is written to.")]
ChosenCount = Annotated[int | None, typer.Option("-n", "--count", min=1, help="How many images to choose.")]
SelectionStrategy = Annotated[
    str | None,
    typer.Option(
        "--strategy",
        help="'auto', 'random', 'least_confidence', 'margin', 'entropy', 'k_center', 'typical', 'badge' or 'cover'.",
    ),
]
SelectionPredictions = Annotated[
    str | None, typer.Option("--predictions", help="Field with predictions to go by; default: a linear probe's.")
]
TargetClasses = Annotated[
    list[str] | None, typer.Option("--class", help="Rare or weak class of which more are wanted; may be repeated.")
]
Relabel = Annotated[
    float | None,
    typer.Option("--relabel", min=0, max=1, help="Share of the batch for labelled images that may be labelled wrong."),
]
SeenBy = Annotated[
    str | None,
    typer.Option("--classifier", help="Folder, name or version of a classifier, through whose eyes to compare."),
]
ReferenceTarget = Annotated[
    str | None,
    typer.Option("--reference", metavar="TARGET", help="Hold the images against another dataset, folder or table."),
]
ReferenceSplit = Annotated[str | None, typer.Option("--reference-split", help="Hold them against this split.")]
ReferenceView = Annotated[str | None, typer.Option("--reference-view", help="Hold them against this saved view.")]
ReferenceTag = Annotated[str | None, typer.Option("--reference-tag", help="Hold them against samples with this tag.")]
HealthView = Annotated[str | None, typer.Option("--view", help="Tell of the images of this saved view only.")]
CheckedView = Annotated[str | None, typer.Option("--view", help="Check the images of this saved view only.")]
CheckedSplit = Annotated[str | None, typer.Option("--current-split", help="Check the images of this split only.")]
CheckedTag = Annotated[str | None, typer.Option("--current-tag", help="Check the samples with this tag only.")]
PredictionsWithLogits = Annotated[
    str | None,
    typer.Option(
        "--predictions", help="Field of predictions with logits to compare too, where no classifier is named."
    ),
]
FalseAlarms = Annotated[
    float | None,
    typer.Option("--alpha", min=0.0025, max=1, help="Share of checks that may find a drift where there is none."),
]
