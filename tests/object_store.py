"""An S3 server of moto, as a process, for tests of addresses."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

PATIENCE_S = 60
SECRET = "secret-of-the-object-store"


@dataclass
class ObjectStore:
    """The server, with one bucket.

    Attributes:
        process: of the server.
        url: of its S3 API.
        bucket: a client's, in this process.
    """

    process: subprocess.Popen[bytes]
    url: str
    client: Any
    name: str = "bucket"

    @property
    def address(self) -> str:
        return f"s3://{self.name}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of a process that uses it: those of every S3 client."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "user",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def put(self, key: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=data)

    def get(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=self.name, Key=key)["Body"].read()
        return data

    def keys(self, prefix: str = "") -> list[str]:
        listed = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix)
        return [one["Key"] for one in listed.get("Contents", ())]

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=key)

    def put_directory(self, prefix: str, directory: Path) -> None:
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}/{path.relative_to(directory).as_posix()}", path.read_bytes())

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@contextmanager
def object_store(directory: Path) -> Iterator[ObjectStore]:
    """Start a server on a free port; its log is in ``directory``."""
    log = directory / "moto.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
            stdout=file,
            stderr=file,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        client = boto3.client(
            "s3",
            endpoint_url=found[0],
            aws_access_key_id="user",
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 0}),
        )
        store = ObjectStore(process, found[0], client)
        client.create_bucket(Bucket=store.name)
        yield store
        client.close()
    finally:
        process.kill()
        process.wait()
