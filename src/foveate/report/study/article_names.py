"""The names of the articles in articles.yaml, which `--against` takes."""

from foveate.errors import RequestError, unknown_name

__all__ = ["ARTICLES", "check_article"]

ARTICLES = ("dmsca-article", "sgfa-article")


def check_article(name: str) -> None:
    """Raise RequestError, with the nearest names, if there is no article called `name`."""
    if name not in ARTICLES:
        raise RequestError(unknown_name("article", name, ARTICLES))
