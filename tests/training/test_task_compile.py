"""A training that compiles starts from nothing, whatever was compiled before in the process."""

import torch
from torch import nn

from foveate.tasks import TaskSettings
from foveate.tasks.classification import ClassificationSteps
from foveate.training.module import TrainingModule
from foveate.training.recipe import Recipe


class Untouched(nn.Module):
    def forward(self, images, generator):
        return images

    def unaugmented(self, images):
        return images


def steps():
    return ClassificationSteps(TaskSettings(), Untouched(), ["a", "b"])


def test_graphs_of_earlier_runs_do_not_count_for_the_limit_of_recompilations():
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    earlier, x = torch.compile(nn.Linear(2, 2), backend=backend), torch.rand(3, 2)
    earlier(x)
    earlier(x)
    assert len(graphs) == 1
    TrainingModule(nn.Linear(2, 2), steps(), Recipe(compile=False), 1, 0)
    earlier(x)
    assert len(graphs) == 1
    TrainingModule(nn.Linear(2, 2), steps(), Recipe(compile=True), 1, 0)
    earlier(x)
    assert len(graphs) == 2
