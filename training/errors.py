"""What a person who trains can put right.

TrainingError
├── DatasetError    a data set is missing, damaged or unusable
├── EmbeddingError  word vectors are missing, damaged or of another size
└── ConfigurationError  a configuration file is missing or wrong
"""


class TrainingError(Exception):
    """A problem that its message explains, with the next step."""


class DatasetError(TrainingError):
    """A data set is missing, damaged or unusable."""


class EmbeddingError(TrainingError):
    """Word vectors are missing, damaged or of another size than asked for."""


class ConfigurationError(TrainingError):
    """A configuration file is missing or wrong."""
