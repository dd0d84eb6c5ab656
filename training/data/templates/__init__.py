"""Texts from templates of our own, where no collection has what a model must know."""

from .generation import NAMES, Name, Part, templates, texts, texts_by_template

__all__ = ["NAMES", "Name", "Part", "templates", "texts", "texts_by_template"]
