"""What can go wrong with files; the messages name the file and what to do, and quote no text."""


class BulkError(Exception):
    """A file cannot be read, scored or written."""


class RefusedError(BulkError):
    """What is asked for does not fit the files or what is already written; nothing was changed."""


class NotStartedError(BulkError):
    """There is nothing to run on, so no file was touched."""
