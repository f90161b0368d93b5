from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pytest

from winnow.plugin.cluster.store import Store, fetch_missing
from winnow.plugin.errors import DataError
from winnow.plugin.vision.shards import open_shard, write_shard

WIDTH = 3


def shard_of(folder: Path, *keys: int) -> Path:
    """Write a shard of the vectors k, k, k under the keys k, k, ... of 32 bytes."""
    numbers = np.array(keys)
    vectors = np.repeat(numbers[:, None], WIDTH, axis=1).astype(np.float32)
    return write_shard(folder, keys_of(*keys), vectors, np.zeros((len(keys), 32, 32), np.uint8))


def keys_of(*keys: int) -> np.ndarray:
    return np.repeat(np.array(keys, np.uint8)[:, None], 32, axis=1)


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return Store(str(tmp_path / "store"))
    pytest.importorskip("fsspec")
    return Store(f"memory://{uuid.uuid4().hex}")


def test_what_is_written_is_fetched_as_it_was(store: Store, tmp_path: Path) -> None:
    shard = shard_of(tmp_path, 1, 2)

    store.write("space", shard)
    store.fetch("space", shard.name, tmp_path / "cache")

    assert store.names("space") == [shard.name]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [shard.name]
    assert open_shard(tmp_path / "cache" / shard.name, WIDTH, "float32").vectors[:, 0].tolist() == [1, 2]


def test_keys_are_read_without_the_vectors(store: Store, tmp_path: Path) -> None:
    shard = shard_of(tmp_path, 5, 7)
    store.write("space", shard)

    np.testing.assert_array_equal(store.keys("space", shard.name), keys_of(5, 7))


def test_a_space_that_is_not_there_holds_nothing(store: Store) -> None:
    assert store.names("space") == []


def test_only_shards_with_wanted_keys_are_fetched(store: Store, tmp_path: Path) -> None:
    shards = [shard_of(tmp_path / "made", *keys) for keys in ((1, 2), (3, 4), (5, 6))]
    for shard in shards:
        store.write("space", shard)

    fetched = fetch_missing(store, "space", tmp_path / "cache", keys_of(2, 6, 9))
    again = fetch_missing(store, "space", tmp_path / "cache", keys_of(2, 6, 9))

    assert (fetched, again) == (2, 0)
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {shards[0].name, shards[2].name}


def test_a_file_that_is_no_shard_has_no_keys(store: Store, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"no shard")
    store.write("space", tmp_path / "x.safetensors")

    assert len(store.keys("space", "x.safetensors")) == 0


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    shard = shard_of(tmp_path, 1)

    with pytest.raises(OSError):
        Store(str(tmp_path / "file" / "store")).write("space", shard)


@pytest.mark.parametrize("address", ["s3://key:secret@bucket/x", "az://container/x?sig=secret"])
def test_a_password_in_an_address_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(DataError, match="no password") as refused:
        Store(address)

    assert "secret" not in str(refused.value)


def test_other_kinds_of_urls_are_refused() -> None:
    with pytest.raises(DataError, match="s3://"):
        Store("reference://x")


def test_the_store_of_the_environment_is_taken_where_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINNOW_VECTOR_STORE", str(tmp_path / "shared"))

    assert Store().address == str(tmp_path / "shared")
    assert Store("/elsewhere").address == "/elsewhere"


def test_a_bucket_of_s3_is_a_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            monkeypatch.setenv(name, "us-east-1" if "REGION" in name else "testing")
        shard = shard_of(tmp_path, 1, 2)
        store = Store("s3://vectors/team")
        store._files.mkdir("vectors")

        store.write("space", shard)
        fetched = fetch_missing(store, "space", tmp_path / "cache", keys_of(2))

        assert fetched == 1
        assert (tmp_path / "cache" / shard.name).read_bytes() == shard.read_bytes()
        with pytest.raises(OSError):
            Store("s3://no-such-bucket/x").write("space", shard)
    finally:
        server.stop()
