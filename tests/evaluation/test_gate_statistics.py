"""The means of gates, and the share of their variance between images, against numpy over all images."""

import numpy as np
import pytest
import torch

from foveate.evaluation.gate_statistics import GateStatistics


def collected(gate: np.ndarray, sizes: list[int]) -> GateStatistics:
    statistics = GateStatistics()
    for some in torch.from_numpy(gate.astype(np.float32)).split(sizes):
        statistics.add(some)
    return statistics


@pytest.mark.parametrize("shape", [(17, 4, 3, 5), (17, 4, 1, 1), (17, 1, 3, 5)])
def test_means_and_shares_are_those_of_all_images_at_once(shape):
    random = np.random.default_rng(0)
    gate = 0.5 + 0.01 * random.normal(size=shape) + 0.1 * random.normal(size=(1, *shape[1:]))
    statistics = collected(gate, [5, 1, 11])
    means, varies = statistics.means(), statistics.variance()
    np.testing.assert_allclose(means.whole, gate.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(means.channel, gate.mean(axis=(0, 2, 3))[:, None, None], rtol=1e-6)
    np.testing.assert_allclose(means.spatial, gate.mean(axis=(0, 1))[None], rtol=1e-6)
    assert varies.mean == pytest.approx(gate.mean())
    assert varies.between_images == pytest.approx(np.sqrt(gate.var(axis=0).mean()), rel=1e-4)
    assert varies.share == pytest.approx(gate.var(axis=0).mean() / gate.var(), rel=1e-4)
    channel, spatial = gate.mean(axis=(2, 3)), gate.mean(axis=1)
    assert varies.channel_share == pytest.approx(channel.var(axis=0).mean() / channel.var(), rel=1e-4)
    assert varies.spatial_share == pytest.approx(spatial.var(axis=0).mean() / spatial.var(), rel=1e-4)


def test_a_gate_that_does_not_vary_has_no_share():
    constant = collected(np.full((4, 2, 3, 3), 0.5), [4]).variance()
    assert (constant.mean, constant.between_images, constant.share) == (0.5, 0.0, None)
    fixed = collected(np.broadcast_to([[[[0.2]], [[0.8]]]], (4, 2, 3, 3)).copy(), [2, 2]).variance()
    assert (fixed.share, fixed.channel_share, fixed.spatial_share) == (0.0, 0.0, None)
    moving = collected(np.broadcast_to(np.arange(4.0)[:, None, None, None], (4, 2, 3, 3)).copy(), [4])
    assert moving.variance().share == pytest.approx(1.0)


def test_one_image_has_no_variance_between_images():
    one = collected(np.random.default_rng(0).random((1, 2, 3, 3)), [1]).variance()
    assert one.share == 0.0
