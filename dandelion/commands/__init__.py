"""The commands of ``dandelion``, a module each."""
