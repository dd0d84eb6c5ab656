"""Download of the sources, resumed where it was interrupted."""

import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import httpx2
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from ..errors import DatasetError
from .source_files import Source, data_directory, digest, pick, read_members, repaired

# Of every member, so that equal members make an equal archive.
_TIME = (1980, 1, 1, 0, 0, 0)


def download(source: Source, directory: Path | None = None) -> Path:
    """Download a source's file, resuming an interrupted download.

    What is published in another form, as single files or in a tar archive, is written as the ZIP
    archive that `Source` describes.

    Returns:
        The file's path. An existing file is kept.

    Raises:
        DatasetError: the server does not respond, the file is not the known one, or the source has
            no file.
    """
    if source.generate is not None:
        raise DatasetError(f"{source.name}: nothing to download, its texts are generated")
    path = (directory or data_directory()) / source.file
    if path.is_file():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [_part(path, number, source) for number in range(len(source.urls))]
    for url, part in zip(source.urls, parts, strict=True):
        try:
            _fetch(url, part, source.name)
        except httpx2.HTTPError as error:
            raise DatasetError(
                f"{url}: {error or type(error).__name__}. Run the command again to resume from "
                f"{part}, or download the file by hand and put it at {path}."
            ) from error
    try:
        members = _members(source, parts)
        found = digest(members)
    except DatasetError:
        found = "unreadable"
    if found != source.sha256:
        for part in parts:
            part.unlink()
        raise DatasetError(
            f"{', '.join(source.urls)}: the download is not the known file (SHA-256 of "
            f"{', '.join(source.members)}: {found}, known {source.sha256}); it was deleted. "
            f"Download the file by hand and put it at {path} to use it anyway."
        )
    if len(parts) == 1 and zipfile.is_zipfile(parts[0]) is source.is_archive:
        return parts[0].replace(path)
    whole = path.with_suffix(".whole")
    if source.is_archive:
        _write_archive(whole, members)
    else:
        whole.write_bytes(b"".join(members.values()))
    whole.replace(path)
    for part in parts:
        part.unlink()
    return path


def _part(path: Path, number: int, source: Source) -> Path:
    return path.with_suffix(".part" if len(source.urls) == 1 else f".{number}.part")


def _members(source: Source, parts: Sequence[Path]) -> dict[str, bytes]:
    """Read the members from what was downloaded, as `read_members` reads them from the file.

    Raises:
        DatasetError: a part cannot be read, or a member is missing.
    """
    first = parts[0]
    if len(parts) > 1:
        contents = [part.read_bytes() for part in parts]
        return repaired(source, dict(zip(source.members, contents, strict=True)))
    if source.is_archive and not zipfile.is_zipfile(first):
        return repaired(source, _untarred(source, first))
    if not source.is_archive and zipfile.is_zipfile(first):
        return repaired(source, {source.file: _only_file(first)})
    return read_members(first, source)


def _untarred(source: Source, part: Path) -> dict[str, bytes]:
    try:
        with tarfile.open(part) as archive:
            files = {one.name: one for one in archive if one.isfile()}
            found = {name: archive.extractfile(files[name]) for name in pick(source, list(files))}
            # Without folders, as the archives that are written here have them.
            return {
                PurePosixPath(name).name: file.read()
                for name, file in found.items()
                if file is not None
            }
    except (tarfile.TarError, OSError, EOFError, zlib.error, LookupError) as error:
        raise DatasetError(f"{part}: not a readable archive ({error})") from error


def _only_file(part: Path) -> bytes:
    try:
        with zipfile.ZipFile(part) as archive:
            files = [
                name
                for name in archive.namelist()
                if not name.endswith("/") and not name.startswith("__MACOSX/")
            ]
            if len(files) != 1:
                raise DatasetError(f"{part}: holds {len(files)} files")
            return archive.read(files[0])
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError) as error:
        raise DatasetError(f"{part}: not a readable archive ({error})") from error


def _write_archive(path: Path, members: Mapping[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)


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
