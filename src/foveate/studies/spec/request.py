"""The keys of a study file, as dataclasses that the command line fills in to override the file.

This module does not import torch, so that the command line shows its help at once.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from foveate.errors import RequestError, check_at_least, unknown_name
from foveate.models.dense.names import DETECTORS, NORMS, PARTS, SEGMENTERS
from foveate.records.margin import MARGIN_POINTS
from foveate.studies.spec import completers
from foveate.studies.spec.defaults import (
    ABLATED,
    ADJUST,
    FAMILY,
    GROW,
    MAX_SEEDS,
    SEEDS,
    SPENDING,
    TASKS,
    TRIALS,
)
from foveate.studies.spec.flag_groups import CANDIDATES, DENSE, IMAGES, SEARCH, STATISTICS, UNTIL_DECIDED

if TYPE_CHECKING:
    from foveate.studies.spec.study import StudySpec

__all__ = [
    "Compared",
    "RecipeKeys",
    "SearchSettings",
    "StudyKeys",
    "Subject",
    "given",
    "keys_of_cluster",
    "read_request",
]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What `foveate compare` compares; exactly one is given.

    Attributes:
        attention: Attention mechanisms to compare, or classes of your own (mine.py:MyAttention), separated by
            commas; none is the baseline: none,se,'dmsca(reduction=8)'. By default the study file's.
        backbones: Whole networks to compare instead of mechanisms, separated by commas:
            resnet50,torchvision/resnet18. By default the study file's.
    """

    attention: Annotated[
        str | None, Parameter(group=CANDIDATES, completer=completers.mechanisms_and_baseline)
    ] = None
    backbones: Annotated[str | None, Parameter(group=CANDIDATES, completer=completers.backbones)] = None


@dataclass(frozen=True, kw_only=True)
class Subject(Compared):
    """What a study compares; exactly one of attention, backbones, ablate and sweep is given.

    Attributes:
        ablate: Mechanism to take apart, as for foveate ablate; by default the study file's.
        sweep: Mechanism whose options vary, as for foveate sweep; by default the study file's.
        values: Values of one option for --sweep, such as reduction=4,8,16; repeat it for further options. By
            default the study file's.
    """

    ablate: Annotated[str | None, Parameter(group=CANDIDATES, completer=completers.one_of(ABLATED))] = None
    sweep: Annotated[str | None, Parameter(group=CANDIDATES, completer=completers.mechanism)] = None
    values: Annotated[list[str], Parameter(group=CANDIDATES, show_default=False)] = field(
        default_factory=list
    )


@dataclass(frozen=True, kw_only=True)
class StudyKeys:
    """Keys of a study. A value that is given overrides the study file; None and False are not given.

    Attributes:
        data: Images to train on: digits (embedded), a folder of images or of parquet files, or a hub name; by
            default the study file's.
        backbone: Network that attention is added to, by its timm name: cifar_resnet20, resnet50,
            convnext_tiny; by default the study file's.
        seeds: Number of training runs of each candidate; their seeds count from 0.
        pretrained: Start from the pretrained weights of the backbone, with attention that has no effect until
            it learns; a classification by the recipe fine_tuning.
        weights: File of pretrained weights of the backbone, a safetensors or torch's .pth file, to start
            from; by default the published ones with --pretrained, and none without it.
        replace_own: Put mechanisms in the place of the attention that the backbone has of its own, and
            compare with the backbone without it; by default they are added on top of it.
        image_size: Side of the images in pixels, the short one for detectors, and that of the training crop
            for segmenters; by default found from the data.
        upscale: Enlarge images that are smaller than the image size instead of refusing them.
        skip_broken: Skip images that cannot be read instead of refusing them.
        train_fraction: Share of the training images to use, over 0 and at most 1; by default all.
        image_column: Column of the images, for a parquet, hub or CSV data set with several; by default the
            only one.
        label_column: Column of the labels, for a parquet, hub or CSV data set with several; by default the
            only one, or the one with a usual name.
        task: Task of the networks: classification, detection or segmentation; by default found from the
            data: images with boxes (COCO, Pascal VOC, YOLO), images with masks, or neither.
        detector: Detector over the backbone, with its options: fasterrcnn, fcos or retinanet, or for a small
            machine 'fasterrcnn(size=small)'; by default fasterrcnn for images with boxes.
        segmenter: Segmenter over the backbone, with its options: deeplabv3, deeplabv3plus, fpn or unet; by
            default deeplabv3plus for images with masks.
        norm: Batch norms of a detector or segmenter: batch trains them, frozen keeps those of the pretrained
            backbone, group replaces them by group norms; by default frozen with pretrained weights, else
            batch.
        attention_in: Part of a detector or segmenter that attention goes to: backbone; neck, the outputs of
            its FPN or its decoder; or both. By default the backbone.
        ignored_label: Value of masks that counts for nothing, beside 255; by default 255 alone.
        class_names: Text file with the names of the classes of masks, one a line; by default a file such as
            classes.txt beside the images, if there is one.
        refuse_invalid: Refuse boxes without area or outside of their image instead of dropping them.
        adjust: How p values are adjusted for the number of tests: holm or bonferroni.
        family: What foveate compare tests: baseline, each mechanism against the baseline; or all, each pair
            of candidates, which takes larger differences to be shown. A study that was begun keeps its own
            unless this flag changes it.
        margin: Difference of the primary metric that counts as practically the same, in points: a smaller one
            can be shown to be equivalent. A study that was begun keeps its own unless this flag changes it.
        population: What the verdict speaks of: new-images, new seeds on new images of the kind of the test
            part; or these-images, new seeds on the very images of the test part. The report shows both. A
            study that was begun keeps its own unless this flag changes it.
        until_decided: Add seeds one at a time until each comparison is better, worse or equivalent;
            mechanisms that are decided stop training. --seeds are those of the first look. By default no
            seeds are added.
        max_seeds: Seeds of each candidate at which --until-decided ends at the latest.
        max_hours: Hours after which --until-decided starts no other round of this command; by default there
            is no limit.
        spending: How --until-decided spends its 5 % of wrong decisions over the looks: obrien-fleming, little
            at first; or pocock, evenly.
        control: Train beside each mechanism a baseline that is enlarged to the same cost, measured in
            parameters, macs or latency; by default there is none.
        grow: How --control enlarges the baseline: width or depth.
        tune: Number of trials of each candidate, the baseline included, by which its learning rate and weight
            decay are chosen on the validation part before the seeds begin; by default all candidates take the
            recipe's.
        tune_option: Values of an option that --tune chooses from for the mechanisms that have it, such as
            reduction=4,8,16; repeat it for further options. By default it chooses no options.
    """

    data: Annotated[str | None, Parameter(group=IMAGES, completer=completers.data_sets)] = None
    backbone: Annotated[str | None, Parameter(completer=completers.backbone_names)] = None
    seeds: Annotated[int | None, Parameter(show_default=str(SEEDS))] = None
    pretrained: bool = False
    weights: str | None = None
    replace_own: bool = False
    image_size: Annotated[int | None, Parameter(group=IMAGES)] = None
    upscale: Annotated[bool, Parameter(group=IMAGES)] = False
    skip_broken: Annotated[bool, Parameter(group=IMAGES)] = False
    train_fraction: Annotated[float | None, Parameter(group=IMAGES)] = None
    image_column: Annotated[str | None, Parameter(group=IMAGES)] = None
    label_column: Annotated[str | None, Parameter(group=IMAGES)] = None
    task: Annotated[str | None, Parameter(group=DENSE, completer=completers.one_of(TASKS))] = None
    detector: Annotated[str | None, Parameter(group=DENSE, completer=completers.one_of(DETECTORS))] = None
    segmenter: Annotated[str | None, Parameter(group=DENSE, completer=completers.one_of(SEGMENTERS))] = None
    norm: Annotated[str | None, Parameter(group=DENSE, completer=completers.one_of(NORMS))] = None
    attention_in: Annotated[str | None, Parameter(group=DENSE, completer=completers.one_of(PARTS))] = None
    ignored_label: Annotated[int | None, Parameter(group=DENSE)] = None
    class_names: Annotated[str | None, Parameter(group=DENSE)] = None
    refuse_invalid: Annotated[bool, Parameter(group=DENSE)] = False
    adjust: Annotated[
        str | None,
        Parameter(group=STATISTICS, show_default=ADJUST, completer=completers.study_words("adjust")),
    ] = None
    family: Annotated[
        str | None,
        Parameter(group=STATISTICS, show_default=FAMILY, completer=completers.study_words("family")),
    ] = None
    margin: Annotated[float | None, Parameter(group=STATISTICS, show_default=f"{MARGIN_POINTS:g} points")] = (
        None
    )
    population: Annotated[
        str | None,
        Parameter(
            group=STATISTICS, show_default="new-images", completer=completers.study_words("population")
        ),
    ] = None
    until_decided: Annotated[bool, Parameter(group=UNTIL_DECIDED)] = False
    max_seeds: Annotated[int | None, Parameter(group=UNTIL_DECIDED, show_default=str(MAX_SEEDS))] = None
    max_hours: Annotated[float | None, Parameter(group=UNTIL_DECIDED)] = None
    spending: Annotated[
        str | None,
        Parameter(group=UNTIL_DECIDED, show_default=SPENDING, completer=completers.study_words("spending")),
    ] = None
    control: Annotated[
        str | None, Parameter(group=CANDIDATES, completer=completers.study_words("control"))
    ] = None
    grow: Annotated[
        str | None, Parameter(group=CANDIDATES, show_default=GROW, completer=completers.study_words("grow"))
    ] = None
    tune: Annotated[int | None, Parameter(group=SEARCH)] = None
    tune_option: Annotated[list[str], Parameter(group=SEARCH, show_default=False)] = field(
        default_factory=list
    )


@dataclass(frozen=True, kw_only=True)
class RecipeKeys:
    """The recipe, and keys of it. A value that is given overrides the recipe; None is not given.

    Attributes:
        recipe: Training recipe, by its name or as a YAML file; by default detection for images with boxes,
            segmentation for those with masks, and for classifications fine_tuning with --pretrained or
            --weights, or else digits for the data set digits, and default for all others.
        epochs: Number of passes over the training images; by default the recipe's.
        batch_size: Images per training step; by default the recipe's.
        learning_rate: Peak learning rate; by default the recipe's.
        precision: Floating-point precision of training: 32-true, bf16-mixed or 16-mixed; by default the
            recipe's.
        set: Any key of the recipe, as KEY=VALUE; repeat it for further keys. By default all are the recipe's.
    """

    recipe: Annotated[str | None, Parameter(completer=completers.recipes)] = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: Annotated[float | None, Parameter(alias="--lr")] = None
    precision: Annotated[str | None, Parameter(completer=completers.recipe_words("precision"))] = None
    set: Annotated[list[str], Parameter(show_default=False, completer=completers.recipe_keys)] = field(
        default_factory=list
    )

    def changes(self) -> dict[str, Any]:
        """Return the keys of the recipe that are overridden."""
        from foveate.training.recipe import parse_setting

        named = {key: value for key, value in asdict(self).items() if key not in ("recipe", "set")}
        return given(named) | dict(parse_setting(text) for text in self.set)


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """How the options of a sweep are searched together.

    Attributes:
        search: Search engine: with optuna, search the options together, then test the best ones found; by
            default vary one option at a time.
        trials: Number of combinations that the search tries.
        storage: Database that keeps the trials, as an SQLAlchemy URL; by default OUT/search.db.
    """

    search: Annotated[str | None, Parameter(group=SEARCH, completer=completers.one_of(["optuna"]))] = None
    trials: Annotated[int | None, Parameter(group=SEARCH, show_default=str(TRIALS))] = None
    storage: Annotated[str | None, Parameter(group=SEARCH)] = None

    def wanted(self) -> bool:
        """Return whether a search is requested.

        Raises:
            RequestError: an unknown engine, no trials, or settings of a search without an engine.
        """
        if self.search is None:
            if alone := list(given(asdict(self))):
                raise RequestError(f"--{' and --'.join(alone)} belong to a search: give --search optuna, too")
            return False
        if self.search != "optuna":
            raise RequestError(unknown_name("search engine", self.search, ["optuna"]))
        check_at_least(self, trials=1)
        return True


def read_request(file: Path | None, subject: Compared, keys: StudyKeys, recipe: RecipeKeys) -> "StudySpec":
    """Build a study from the keys of the study file `file` and from the keys that override them.

    Raises:
        RequestError: the file cannot be read, or the study is not valid (see `make_study`).
    """
    from foveate.studies.spec.making import make_study
    from foveate.training.recipe import read_yaml

    settings = read_yaml(file) if file is not None else {}
    settings.pop("cluster", None)  # where the runs are carried out is no part of a study
    settings |= given(asdict(keys)) | given(asdict(subject)) | given({"recipe": recipe.recipe})
    return make_study(settings, recipe.changes())


def keys_of_cluster(file: Path | None) -> Any:
    """Return what the study file says of where its runs are carried out, under `cluster`; None is nothing.

    Raises:
        RequestError: the file cannot be read.
    """
    from foveate.training.recipe import read_yaml

    return None if file is None else read_yaml(file).get("cluster")


def given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that were given: without None, False and empty lists."""
    return {
        key: value
        for key, value in settings.items()
        if value is not None and value is not False and value != []
    }
