"""The options that a study may give a detector or a segmenter."""

import pytest

from foveate.errors import RequestError
from foveate.models.dense.options import check_dense_options


@pytest.mark.parametrize(
    ("network", "options"),
    [
        ("fasterrcnn", {"size": "small", "representation_size": 64, "fpn_channels": 32, "box_nms_thresh": 0}),
        ("fcos", {"trainable_stages": 0, "anchor_scale": 0.5, "max_size": 900, "score_thresh": 0.1}),
        ("unet", {"decoder_channels": [64, 32]}),
        ("deeplabv3plus", {"decoder_channels": 64, "atrous_rates": (6, 12, 18)}),
    ],
)
def test_options_that_a_network_has_are_taken(network, options):
    check_dense_options(network, options)


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        ("fasterrcnn", {"score_thresh": 0.1}, "Did you mean 'box_score_thresh'"),
        ("fcos", {"representation_size": 64}, "unknown option of fcos 'representation_size'"),
        ("fcos", {"classes": 4}, "unknown option of fcos 'classes'"),
        ("fcos", {"image_size": 64}, "give --image-size"),
        ("fcos", {"size": "large"}, "unknown size 'large'"),
        ("fcos", {"fpn_channels": "wide"}, "fpn_channels='wide': expected a whole number of at least 1"),
        ("fcos", {"anchor_scale": True}, "anchor_scale=True: expected a number of at least 0"),
        ("fcos", {"trainable_stages": -1}, "trainable_stages=-1: expected"),
        ("unet", {"decoder": 3}, "Did you mean 'decoder_channels'"),
        ("unet", {"decoder_channels": [64, 0]}, "expected whole numbers of at least 1"),
        ("fpn", {"atrous_rates": [6]}, "unknown option of fpn 'atrous_rates'"),
        ("deeplabv3", {"atrous_rates": 6}, "expected a list of whole numbers"),
    ],
)
def test_others_are_refused(network, options, message):
    with pytest.raises(RequestError) as error:
        check_dense_options(network, options)
    assert message in str(error.value)
