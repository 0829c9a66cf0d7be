from foveate.errors import unknown_name


def test_an_unknown_name_gets_the_nearest_and_the_choices() -> None:
    assert unknown_name("backbone", "resnet5O", ["resnet50", "vgg16"]) == (
        "unknown backbone 'resnet5O'. Did you mean 'resnet50'? Choices: resnet50, vgg16."
    )


def test_many_choices_are_not_listed() -> None:
    assert unknown_name("backbone", "x", map(str, range(100))) == "unknown backbone 'x'."
