"""What a study is asked to do: candidates, comparisons, images, recipe, seeds."""
