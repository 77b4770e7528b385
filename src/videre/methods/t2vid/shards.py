"""Many samples in one file: WebDataset tar files and parquet tables, and what lies in them."""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from videre.errors import ConfigError
from videre.types import JSON

Packed = Sequence[tuple[dict[str, JSON], list[tuple[str, bytes]]]]
"""Rows for trainers, each with its pictures: name and PNG."""


def stem(id: str) -> str:
    """An id as the name of a file: without dots, slashes and what else a name cannot hold."""
    plain = re.sub(r"[^\w-]", "_", id, flags=re.ASCII)[:100]
    return plain if plain == id else f"{plain}-{hashlib.sha256(id.encode()).hexdigest()[:8]}"


def tar(rows: Packed) -> bytes:
    """WebDataset: files of one sample share their name up to the first dot, and stand together."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for row, pictures in rows:
            told = json.dumps(row, ensure_ascii=False).encode()
            for name, data in [*pictures, (f"{stem(str(row['id']))}.json", told)]:
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


def parquet(rows: Packed) -> bytes:
    """Rows with their pictures inside, which `datasets.load_dataset("parquet")` decodes."""
    try:
        import pyarrow as pa
        from pyarrow.parquet import write_table
    except ImportError as error:
        raise ConfigError("parquet shards need pyarrow: pip install pyarrow") from error
    table = pa.Table.from_pylist(
        [{**row, "images": [{"bytes": data, "path": name} for name, data in pictures]} for row, pictures in rows]
    )
    value = {"dtype": "string", "_type": "Value"}
    part = {"feature": {"type": value, "text": value}, "_type": "List"}
    turn = {"feature": {"role": value, "content": part}, "_type": "List"}
    features = {"id": value, "source": value, "images": {"feature": {"_type": "Image"}, "_type": "List"}}
    told = {"info": {"features": {**features, "messages": turn}}}
    table = table.select([*features, "messages"]).replace_schema_metadata({"huggingface": json.dumps(told)})
    file = io.BytesIO()
    write_table(table, file, row_group_size=100)
    return file.getvalue()


def in_tar(path: Path, sample: dict[str, Any]) -> dict[str, str]:
    """Hashes of a sample\'s pictures in a tar file, by name."""
    with tarfile.open(path) as archive:
        names = set(archive.getnames()) & {name for name, _ in sample["files"]}
        return {name: hashlib.sha256(archive.extractfile(name).read()).hexdigest() for name in names}  # type: ignore[union-attr]


def in_parquet(path: Path, sample: dict[str, Any]) -> dict[str, str]:
    """Hashes of a sample\'s pictures in a parquet file, by name."""
    from pyarrow.parquet import read_table

    rows = read_table(path, filters=[("id", "=", sample["id"])]).to_pylist()
    return {one["path"]: hashlib.sha256(one["bytes"]).hexdigest() for row in rows for one in row["images"]}
