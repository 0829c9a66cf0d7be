"""The keys of a recipe in words, for the help of --set; this table imports nothing, as help needs it at once.

A test compares it with `foveate.training.recipe.Recipe`.
"""

from typing import NamedTuple

__all__ = ["RECIPE_KEYS", "RecipeKey"]


class RecipeKey(NamedTuple):
    """A key: its default as it is typed, and its meaning, with the choices where there are few."""

    default: str
    meaning: str


RECIPE_KEYS = {
    "epochs": RecipeKey("30", "passes over the training part"),
    "batch_size": RecipeKey("64", "images per step, of all devices together"),
    "optimizer": RecipeKey("sgd", "a name of timm's; sgd uses Nesterov momentum, momentum does not"),
    "learning_rate": RecipeKey("0.1", "highest value, at the end of the warm-up"),
    "backbone_rate": RecipeKey("1.0", "share of learning_rate that the backbone takes"),
    "attention_rate": RecipeKey("1.0", "share of learning_rate that attention takes"),
    "head_rate": RecipeKey(
        "1.0",
        "share of learning_rate that the head takes: the classifier, or all of a detector or segmenter "
        "but backbone and attention",
    ),
    "momentum": RecipeKey("0.9", "for optimisers that use it"),
    "weight_decay": RecipeKey("0.0005", "strength of the penalty on large weights"),
    "decay_norm_and_bias": RecipeKey("false", "apply weight decay to norms and biases too"),
    "schedule": RecipeKey("cosine", "of the learning rate: cosine, linear, poly, step or constant"),
    "warmup_ratio": RecipeKey("0.1", "share of the steps that warm up"),
    "final_learning_rate": RecipeKey("0.0", "at the end of cosine and linear"),
    "label_smoothing": RecipeKey("0.0", "share of the target that is spread over all classes"),
    "loss": RecipeKey("cross_entropy", "of a segmentation: cross_entropy, dice or both"),
    "class_weights": RecipeKey("none", "in the cross-entropy of a segmentation: none or balanced"),
    "clip_grad_norm": RecipeKey("null", "largest norm of the gradient; a larger one is scaled down"),
    "ema_decay": RecipeKey("null", "decay of a moving average of the weights, which is then evaluated"),
    "augmentation": RecipeKey(
        "crop,flip",
        "any of crop or resized_crop, flip, jitter, erase; boxes and masks: scale, crop, flip, jitter",
    ),
    "validation_fraction": RecipeKey("0.1", "held out of the training part"),
    "choose": RecipeKey("best", "the epoch whose weights are tested: best or last"),
    "monitor": RecipeKey(
        "accuracy", "what decides the best epoch: accuracy (the primary metric of the task) or loss"
    ),
    "patience": RecipeKey("null", "stop after this many epochs without improvement"),
    "precision": RecipeKey("32-true", "32-true, bf16-mixed or 16-mixed"),
    "channels_last": RecipeKey("false", "memory layout of weights and images"),
    "compile": RecipeKey("false", "compile the network with torch.compile"),
    "sync_batchnorm": RecipeKey(
        "false", "with several --devices, batch norms have the statistics of the whole step's images"
    ),
}
"""The keys of a recipe, in the order of `Recipe`; null is none."""
