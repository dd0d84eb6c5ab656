"""Download of the data sets, resumed where it was interrupted."""

import hashlib
from pathlib import Path

import httpx2
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from ..errors import DatasetError
from .datasets import data_directory, read_member, source_of


def download(model: str, directory: Path | None = None, url: str | None = None) -> Path:
    """Download a data set's archive, resuming an interrupted download.

    Returns:
        The archive's path. An existing archive is kept.

    Raises:
        DatasetError: the server does not respond, or the file is not the known one.
    """
    source = source_of(model)
    path = (directory or data_directory()) / source.archive
    if path.is_file():
        return path
    part = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    url = url or source.url
    try:
        _fetch(url, part, source.name)
    except httpx2.HTTPError as error:
        raise DatasetError(
            f"{url}: {error or type(error).__name__}. Run the command again to resume from "
            f"{part}, or download the archive by hand and put it at {path}."
        ) from error
    try:
        digest = hashlib.sha256(read_member(part, source)).hexdigest()
    except DatasetError:
        digest = "unreadable"
    if digest != source.sha256:
        part.unlink()
        raise DatasetError(
            f"{url}: the download is not the known file (SHA-256 of {source.member}: {digest}, "
            f"known {source.sha256}); it was deleted. Download the archive by hand and put it at "
            f"{path} to use it anyway."
        )
    return part.replace(path)


def _fetch(url: str, part: Path, title: str) -> None:
    done = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={done}-"} if done else {}
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with (
        httpx2.stream("GET", url, headers=headers, follow_redirects=True, timeout=30) as response,
        Progress(*columns, TransferSpeedColumn()) as progress,
    ):
        if response.status_code == httpx2.codes.RANGE_NOT_SATISFIABLE:
            return  # it is complete already; the checksum decides
        response.raise_for_status()
        resumed = response.status_code == httpx2.codes.PARTIAL_CONTENT
        done = done if resumed else 0
        length = response.headers.get("Content-Length")
        task = progress.add_task(
            title, completed=done, total=done + int(length) if length else None
        )
        with part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
                progress.advance(task, len(chunk))
