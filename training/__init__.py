"""Dandelion's offline half: data sets in, trained artifacts and reports out."""

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise ImportError(
        "training needs the extra: pip install -e '.[training]' (or: make train-all)"
    ) from error
