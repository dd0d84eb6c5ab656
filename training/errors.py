"""Problems that the person who trains can solve.

TrainingError
├── DatasetError        a data set is missing, damaged or unusable
├── EmbeddingError      word vectors are missing, damaged or of another size
├── ConfigurationError  a configuration is missing or wrong
└── DivergenceError     training ended without finite scores
"""


class TrainingError(Exception):
    """A problem; the message explains it and names the next step."""


class DatasetError(TrainingError):
    """A data set is missing, damaged or unusable."""


class EmbeddingError(TrainingError):
    """Word vectors are missing, damaged or of another size than requested."""


class ConfigurationError(TrainingError):
    """A configuration is missing or wrong."""


class DivergenceError(TrainingError):
    """Training ended without finite scores."""


def command(arguments: str) -> str:
    """Return the command line of training with some arguments, under this package's name."""
    return f"python -m {__name__.partition('.')[0]} {arguments}"
