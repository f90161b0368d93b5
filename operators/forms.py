"""The parts that Winnow's forms are made of: label field, splits, classifier, field names, notices."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import fiftyone as fo
from fiftyone.operators import types

from ..plugin.cluster.address import offered_clusters
from ..plugin.datasets import jobs
from ..plugin.datasets.model_outputs import output_fields
from ..plugin.datasets.multi_labels import multi_label_fields
from ..plugin.datasets.patches import label_path, patch_fields, shown_patches
from ..plugin.datasets.predictions import prediction_fields
from ..plugin.datasets.runs import list_runs
from ..plugin.datasets.samples import classification_fields, label_fields
from ..plugin.datasets.split_names import NEVER_ASSUMED, read_splits, split_sources
from ..plugin.datasets.views import check_images, image_slices, one_slice
from ..plugin.errors import TargetError
from ..plugin.training.classifier_files import DESCRIPTION
from ..plugin.training.recipe import PRESETS
from ..plugin.workflows.classifiers import list_classifiers
from ..plugin.workflows.wording import counted
from .params import defaults_of

MORE = "more_settings"
_ONE_LABEL = "One Classification an image."
_PRESET_HINTS = {
    "quick": "a short fine-tune of the backbone",
    "probe": "a linear model on the embeddings, in seconds",
    "strong": "a long fine-tune of the whole backbone, for a GPU or a night",
}


class Form:
    """A form that is being built for one context.

    It reads the defaults of a params dataclass, and marks what can't work where the user sees it: an invalid part
    keeps the App from executing, and gives a call from Python the same message.

    Args:
        ctx: The operator's execution context.
        params_type: Dataclass with the job's settings.

    Raises:
        TargetError: No dataset is open.
    """

    def __init__(self, ctx: Any, params_type: type) -> None:
        if ctx.dataset is None:
            raise TargetError("no dataset is open: open one in the App, or pass dataset=... from Python")
        self.ctx = ctx
        self.inputs = types.Object()
        self.view = ctx.target_view()
        self._defaults = defaults_of(params_type)

    @property
    def dataset(self) -> fo.Dataset:
        return self.ctx.dataset

    def note(self, name: str, text: str, description: str | None = None) -> None:
        """Show a neutral remark."""
        self.inputs.view(name, types.Notice(label=text, description=description))

    def warning(self, name: str, label: str, description: str) -> None:
        """Show a warning that does not keep the job from running."""
        self.inputs.view(name, types.Warning(label=label, description=description))

    def problem(self, name: str, label: str, description: str) -> None:
        """Show why the job can't run; the form can't be executed while it stands."""
        shown = self.inputs.view(name, types.Error(label=label, description=description))
        mark_invalid(shown, f"{label}. {description}")

    def images(self, *, patches: bool = False) -> None:
        """Ask for the slice of a grouped dataset, and say how many images the job will work on.

        Args:
            patches: Whether the job can work on a view of patches too.

        Raises:
            DataError: There are none, the view holds something else than images, or there is no such slice.
        """
        chosen = self.ctx.params.get("group_slice")
        if slices := image_slices(self.view):
            default = self.ctx.group_slice if self.ctx.group_slice in slices else slices[0]
            self.choice(
                "group_slice", slices, "Group slice", "The job looks at the images of one slice.", default=default
            )
            chosen = chosen or default
        self.view = one_slice(self.view, chosen)
        if not (patches and shown_patches(self.view)):
            check_images(self.view)
        self.note("image_count", self._counted())

    def chosen(self, name: str) -> Any:
        """Return what was filled in, or the default."""
        return self.ctx.params.get(name) or self._defaults.get(name)

    def duration(self, text: str) -> None:
        """Say beside the number of images how long the job will take."""
        self.note("image_count", self._counted(), text)

    def label_field(self) -> None:
        """Offer the fields of one label an image, then those of several, and say how many classes the chosen has."""
        name = "label_field"
        lists = multi_label_fields(self.view)
        offered = list(dict.fromkeys([*label_fields(self.view), *classification_fields(self.view)])) + lists
        if not offered:
            self.problem(
                name + "_problem",
                f"Dataset '{self.dataset.name}' has no Classification field",
                "Add one label an image in a field of type fiftyone.Classification, then open this form again.",
            )
            return
        chosen = self.ctx.params.get(name) or offered[0]
        description = "One Classification an image, or several as Classifications." if lists else _ONE_LABEL
        labels = {field: f"{field}: several labels an image" for field in lists}
        shown = self.choice(name, offered, "Label field", description, default=offered[0], labels=labels)
        if chosen not in offered:
            names = ", ".join(offered)
            mark_invalid(shown, f"'{chosen}' is no Classification field of '{self.dataset.name}'; choose from: {names}")
            return
        classes = self.view.distinct(f"{chosen}.classifications.label" if chosen in lists else f"{chosen}.label")
        needed, words = (1, "a class") if chosen in lists else (2, "two classes")
        if len(classes) < needed:
            self.problem(
                "classes",
                f"This job needs {words}, '{chosen}' has {', '.join(classes) or 'no label'}",
                "Label images of another class, or choose another label field or a larger view.",
            )
        else:
            found = f"{counted(len(classes), 'class', 'classes')}: {', '.join(classes[:5])}"
            self.note("classes", found + " …" * (len(classes) > 5))

    def optional_label_field(self) -> None:
        """Offer the fields of labels, where there are any; without them nothing is labelled yet."""
        if offered := [*label_fields(self.view), *multi_label_fields(self.view)]:
            self.choice(
                "label_field", offered, "Label field", "What has a label there is labelled.", default=offered[0]
            )

    def predictions(self, name: str) -> None:
        """Offer the fields with a model's predictions, where there are any."""
        label_field = self.ctx.params.get("label_field") or next(iter(label_fields(self.view)), None)
        if offered := prediction_fields(self.view, label_field):
            self.choice(
                name,
                offered,
                "Your own predictions",
                "Of a model that was not trained on these images; labels are judged by them as well.",
            )

    def outputs(self, name: str, label: str, *, other_than: str | None = None) -> str | None:
        """Offer the fields with predictions, whoever made them; return the chosen one, None where there is none.

        Args:
            name: Name of the parameter.
            label: What the field is here.
            other_than: A field that is not offered.
        """
        fields = output_fields(self.view, self.ctx.params.get("label_field"))
        offered = [field for field in fields if field != other_than]
        if not offered:
            self.problem(
                name + "_problem",
                f"Dataset '{self.dataset.name}' has no {'other ' if other_than else ''}field of predictions",
                "Run `Winnow: apply a classifier` first, into a field of its own.",
            )
            return None
        usual = self._defaults.get(name)
        likeliest = usual if usual in offered else offered[0]
        self.choice(name, offered, label, "Field of the predictions.", default=likeliest)
        return self.ctx.params.get(name) or likeliest

    def outputs_or_none(self, name: str, label: str) -> None:
        """Offer the fields with predictions, and to do without; nothing where there are none."""
        if offered := output_fields(self.view, self.ctx.params.get("label_field")):
            self.choice(name, ["", *offered], label, default="", labels={"": "none"})

    def split_field(self, name: str = "split_field", *, required: int = 1) -> list[str]:
        """Offer where the splits come from, show what is found there, and return the names of the splits.

        Args:
            name: Name of the parameter.
            required: Number of different splits without which the job can't work.
        """
        sources = split_sources(self.view)
        default = next((source for source in sources if source not in NEVER_ASSUMED), None)
        chosen = self.ctx.params.get(name) or default
        if sources:
            labels = {"tags": "sample tags"}
            self.choice(name, sources, "Splits from", default=default, labels=labels)
        splits = read_splits(self.view, chosen)[0].tolist() if chosen else []
        sizes = Counter(split for split in splits if split)
        if len(sizes) < required:
            self.problem(
                name + "_problem",
                f"This job needs {required} splits, found: {', '.join(sizes) or 'none'}",
                "Tag the samples train, validation and test, or fill a text field named split with these names.",
            )
        elif sizes:
            found = " · ".join(f"{split} {size:,}" for split, size in sizes.most_common())
            pool = len(splits) - sizes.total()
            self.note(name + "_note", f"Splits: {found}" + (f" · without a split {pool:,}" if pool else ""))
        return sorted(sizes)

    def choice(
        self,
        name: str,
        values: list[str],
        label: str,
        description: str | None = None,
        *,
        default: str | None = None,
        labels: dict[str, str] | None = None,
    ) -> types.Property:
        """Offer one of a few values."""
        view = types.DropdownView(label=label, description=description)
        for value in values:
            view.add_choice(value, label=(labels or {}).get(value, value))
        return self.inputs.enum(name, values, default=default or self._defaults.get(name), view=view)

    def choices(self, name: str, values: list[str], label: str, description: str | None = None) -> None:
        """Offer any number of a few values; none where there are none to offer."""
        if values:
            view = types.DropdownView(label=label, description=description, multiple=True)
            for value in values:
                view.add_choice(value, label=value)
            self.inputs.list(name, types.String(), view=view)

    def number(
        self, name: str, label: str, description: str, *, low: float | None = None, high: float | None = None
    ) -> None:
        """Offer a number; left empty, the job decides."""
        make = self.inputs.int if isinstance(self._defaults.get(name), int) else self.inputs.float
        make(name, min=low, max=high, label=label, description=description, default=self._defaults.get(name))

    def text(self, name: str, label: str, description: str | None = None) -> None:
        """Offer a line of text."""
        self.inputs.str(name, label=label, description=description, default=self._defaults.get(name), allow_empty=True)

    def texts(self, name: str, label: str, description: str) -> None:
        """Offer any number of lines of text."""
        self.inputs.list(name, types.String(), label=label, description=description, default=[])

    def switch(self, name: str, label: str, description: str | None = None) -> None:
        """Offer a yes or no."""
        self.inputs.bool(
            name,
            label=label,
            description=description,
            default=bool(self._defaults.get(name)),
            view=types.SwitchView(label=label, description=description),
        )

    def field_name(self, name: str, label: str) -> None:
        """Offer the name of a field that the job writes."""
        self.text(name, label, "Written by this job; an earlier run's values are replaced.")

    def wants_more(self) -> bool:
        """Offer a switch for the settings that few people need; return whether it is on."""
        self.switch(MORE, "More settings")
        return bool(self.ctx.params.get(MORE))

    def threshold(self, run: str | None = None) -> None:
        """Offer the score from which a pair counts, and show what others would have flagged in the last run."""
        self.number("threshold", "Threshold", "Score from 0 to 1; empty: decided from the scores.", low=0, high=1)
        last = next((each.summary for each in list_runs(self.dataset) if each.key == run), {})
        if pairs := last.get("pairs_at"):
            counts = " · ".join(f"{at}: {count:,}" for at, count in pairs.items())
            self.note(
                "pairs_at", f"Pairs of the last run from a score of {counts}; it was cut at {last['threshold']:g}."
            )

    def seed(self) -> None:
        """Offer the seed."""
        self.number("seed", "Seed", "The same seed gives the same result.", low=0)

    def preset(self) -> None:
        """Offer the training presets."""
        labels = {name: f"{name}: {hint}" for name, hint in _PRESET_HINTS.items()}
        self.choice("preset", list(PRESETS), "Preset", labels=labels)

    def classifier(self, *, needed: bool = True) -> None:
        """Offer the dataset's classifiers, the one in use first; any other folder can be typed in.

        Args:
            needed: Whether the job can't do without; else none is chosen until somebody does.
        """
        finished = [entry for entry in list_classifiers(self.view).entries if entry.version]
        finished.sort(key=lambda entry: not entry.promoted)
        choices = types.AutocompleteView(
            label="Classifier", description="One of this dataset's, or the path of its folder.", allow_clearing=True
        )
        for entry in finished:
            choices.add_choice(str(entry.folder), label=entry.name + " (in use)" * entry.promoted)
        default = str(finished[0].folder) if finished and needed else None
        shown = self.inputs.str("classifier", required=needed, default=default, view=choices)
        chosen = self.ctx.params.get("classifier") or default
        if chosen is None and not needed:
            return
        if chosen is None:
            self.problem("no_classifier", "There is no classifier yet", "Run `Winnow: train a classifier` first.")
        elif not (Path(chosen) / DESCRIPTION).is_file():
            mark_invalid(shown, f"'{chosen}' is no classifier folder: it holds no {DESCRIPTION}; choose another one")

    def embedding(self) -> None:
        """Offer how images become vectors."""
        self.text("backbone", "Backbone", "lite0 (built in), a timm name, a classifier's folder; lite0+layers: closer.")
        self.number("image_size", "Image size", "Pixels a side; empty: what the backbone was trained with.", low=32)
        self.number("batch_size", "Batch size", "Images at a time; the result does not depend on it.", low=1)

        self.cluster()

    def cluster(self) -> None:
        """Offer the clusters that the App may use, where there are any."""
        if offered := offered_clusters():
            self.choice("cluster", offered, "Cluster", "Who computes; empty: this machine, without a cluster.")

    def neighbors(self) -> None:
        """Offer the dataset's similarity indexes in a vector database, where there are any, to find neighbours with."""
        from ..plugin.datasets.similarity_indexes import database_indexes  # which loads FAISS

        if offered := database_indexes(self.view):
            labels = {key: f"{key}: {backend}" for key, backend in offered.items()}
            self.choice(
                "neighbors",
                ["", *offered],
                "Neighbours from",
                "A vector database proposes which images are near, for more vectors than this machine's memory holds.",
                labels={"": "this machine", **labels},
            )

    def index(self) -> None:
        """Offer to put the vectors into a vector database, of those that FiftyOne's settings give the address of."""
        from ..plugin.datasets.similarity_indexes import reachable_backends

        if offered := reachable_backends():
            self.choice(
                "index",
                ["", *offered],
                "Put the vectors into",
                "A vector database, for more than FiftyOne's own index holds; other jobs find neighbours there.",
                labels={"": "FiftyOne's own index"},
            )

    def patches(self, question: str) -> bool:
        """Offer to look at the boxes of detections instead of whole images; return whether these are looked at."""
        fields = patch_fields(self.view)
        if fields and not shown_patches(self.view):
            labels = {field: f"patches of {field}" for field in fields}
            choices = [self._defaults["patches_field"], *fields]
            self.choice("patches_field", choices, question, labels=labels)
        return self._patches_field() is not None

    def projection(self) -> None:
        """Offer how the Embeddings panel lays the vectors out."""
        labels = {
            "pca": "PCA: at once",
            "tsne": "t-SNE: minutes, shows clusters",
            "umap": "UMAP: minutes, shows clusters (needs umap-learn)",
            "none": "none",
        }
        self.choice("projection", list(labels), "Embeddings panel", "How images become points.", labels=labels)

    def _patches_field(self) -> str | None:
        chosen = self.ctx.params.get("patches_field")
        return shown_patches(self.view) or (chosen if chosen in patch_fields(self.view) else None)

    def _counted(self) -> str:
        field = self._patches_field()
        if field is None or shown_patches(self.view):
            return counted(self.view.count(), *(("image",) if field is None else ("patch", "patches")))
        return counted(self.view.count(label_path(self.view, field)), "patch", "patches")

    def worker(self) -> None:
        """Say so when a scheduled job would not be taken up."""
        if not jobs.can_schedule():
            self.warning(
                "worker",
                "No delegated worker is running",
                "Jobs run inside the App for now: keep it open until they end. `winnow app DATASET` opens the App "
                "with a worker beside it, to which long jobs are scheduled.",
            )


def mark_invalid(shown: types.Property, message: str) -> None:
    """Keep the form from being executed, for this reason."""
    shown.invalid = True
    shown.error_message = message
