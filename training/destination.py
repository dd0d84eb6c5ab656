"""Where an artifact is written: checked before a fit, not after it."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from .errors import ConfigurationError

ARTIFACTS: Final = Path("artifacts")
"""The default directory of the artifacts."""

# Of common file systems; ten of them are kept for temporary names next to the final one.
_NAME_BYTES: Final = 255 - 10


def require_writable(output: Path, *artifact: str) -> None:
    """Find out whether an artifact and its report can be written. Nothing is left behind.

    Args:
        output: the directory of all artifacts.
        artifact: the directories below it that lead to the artifact's; none for `output` itself.

    Raises:
        ConfigurationError: a name is too long, or a directory cannot be created or written to.
    """
    target = output.joinpath(*artifact).absolute()
    for part in target.parts:
        if len(part.encode(errors="surrogateescape")) > _NAME_BYTES:
            raise ConfigurationError(
                f"--output, --name or --variant: {part[:20]!r}… has {len(part)} characters; choose "
                f"a shorter name, of at most {_NAME_BYTES} bytes"
            )
    # An artifact replaces an older one, so that its parent is written to.
    parents = [target, *target.parents][1 if artifact else 0 :]
    try:
        existing = next(path for path in parents if path.is_symlink() or path.exists())
        with TemporaryDirectory(dir=existing):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"--output {output}: cannot be written to ({error.strerror}); choose another directory"
        ) from error
    if artifact and target.exists() and not target.is_dir():
        raise ConfigurationError(f"{target}: is a file, not the directory of an artifact")
    if artifact and target.with_suffix(".md").is_dir():
        raise ConfigurationError(f"{target.with_suffix('.md')}: is a directory, not a report")
