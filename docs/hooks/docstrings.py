"""Docstrings as Griffe reads them: the section of their examples is ``Examples``, in the plural."""

from typing import Any

from griffe import Extension, Object


class Examples(Extension):
    """Has the doctests of a section ``Example`` shown as code."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rename the section."""
        if obj.docstring:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
