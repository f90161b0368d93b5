"""Where a task's image is found; what must not be found."""

from __future__ import annotations

import base64
import hashlib
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.data import get_testdata_file

from winnow.plugin.labeling.downloads import Downloader
from winnow.plugin.labeling.host_rules import HostRules
from winnow.plugin.labeling.image_access import AccessProblem, ImageAccessError, describe_address
from winnow.plugin.labeling.image_cache import ImageCache
from winnow.plugin.labeling.image_sources import ImageSources, address_in
from winnow.plugin.labeling.originals import Original, original_data


def sources(root: Path | None = None, max_bytes: int = 1000) -> ImageSources:
    return ImageSources(Downloader(), root, max_bytes)


def problem_of(address: object, root: Path | None = None, max_bytes: int = 1000) -> AccessProblem:
    with pytest.raises(ImageAccessError) as caught:
        sources(root, max_bytes).open(address)
    return caught.value.problem


def root_with(tmp_path: Path, name: str) -> Path:
    root = tmp_path / "root"
    (root / name).parent.mkdir(parents=True)
    (root / name).write_bytes(b"image")
    return root


@pytest.mark.parametrize(
    "uri", ["data:image/png;base64," + base64.b64encode(b"image").decode(), "data:image/png,ima%67e"]
)
def test_data_uri_holds_its_own_bytes(uri: str) -> None:
    opened = sources().open(uri)

    assert isinstance(opened, BytesIO)
    assert opened.read() == b"image"


@pytest.mark.parametrize("name", ["a.png", "sub/ä b+c.png"])
def test_local_file_is_read_below_the_root(tmp_path: Path, name: str) -> None:
    root = root_with(tmp_path, name)

    opened = sources(root).open(f"/data/local-files/?d={quote(name)}")

    assert opened == (root / name).resolve()


@pytest.mark.parametrize(
    "named",
    ["../secret.png", "sub/../../secret.png", "%2e%2e/secret.png", "link.png", "linked/secret.png", "..%2Fsecret.png"],
)
def test_local_file_outside_the_root_is_refused_links_included(tmp_path: Path, named: str) -> None:
    root = root_with(tmp_path, "a.png")
    (tmp_path / "secret.png").write_bytes(b"secret")
    (root / "link.png").symlink_to(tmp_path / "secret.png")
    (root / "linked").symlink_to(tmp_path)

    assert problem_of(f"/data/local-files/?d={named}", root) is AccessProblem.REFUSED


def test_absolute_path_is_taken_below_the_root(tmp_path: Path) -> None:
    root = root_with(tmp_path, "a.png")

    assert problem_of("/data/local-files/?d=/etc/passwd", root) is AccessProblem.MISSING


@pytest.mark.parametrize("named", ["?d=none.png", "?d=", "", "?d=."])
def test_local_file_that_is_not_there_is_missing(tmp_path: Path, named: str) -> None:
    assert problem_of(f"/data/local-files/{named}", root_with(tmp_path, "a.png")) is AccessProblem.MISSING


def test_local_file_is_asked_of_label_studio_where_no_root_is_mounted(label_studio: Any) -> None:
    over_http = ImageSources(Downloader(label_studio.url, "a.b.c"), None, 1000)

    opened = over_http.open(f"{label_studio.url}/data/local-files/?d=a.png")

    assert isinstance(opened, BytesIO)
    assert opened.read() == b"image"


def test_upload_is_asked_of_label_studio(label_studio: Any) -> None:
    opened = ImageSources(Downloader(label_studio.url, "a.b.c"), None, 1000).open("/data/upload/1/a.png")

    assert isinstance(opened, BytesIO)
    assert opened.read() == b"image"


@pytest.mark.parametrize("address", ["data:image/png;base64," + "A" * 2000, "/data/local-files/?d=big.png"])
def test_image_above_the_limit_is_not_read(tmp_path: Path, address: str) -> None:
    root = root_with(tmp_path, "big.png")
    (root / "big.png").write_bytes(b"x" * 1001)

    assert problem_of(address, root) is AccessProblem.TOO_LARGE


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        (None, AccessProblem.MISSING),
        ({"url": "x"}, AccessProblem.MISSING),
        ("  ", AccessProblem.MISSING),
        ("s3://bucket/a.png", AccessProblem.MISSING),
        ("C:\\images\\a.png", AccessProblem.UNSUPPORTED),
        ("a.png", AccessProblem.UNSUPPORTED),
        ("file:///etc/passwd", AccessProblem.UNSUPPORTED),
        ("data:image/png;base64", AccessProblem.UNSUPPORTED),
        ("data:image/png;base64,§", AccessProblem.UNSUPPORTED),
        ("http://[::1/a.png", AccessProblem.UNSUPPORTED),
        ("//127.0.0.1/a.png", AccessProblem.UNSUPPORTED),
        ("http://127.0.0.1/a.png", AccessProblem.REFUSED),
        ("/data/upload/1/a.png", AccessProblem.REFUSED),
    ],
)
def test_address_that_is_not_served_gets_its_own_reason(address: object, problem: AccessProblem) -> None:
    assert problem_of(address) is problem


def test_null_byte_in_a_local_path_is_no_way_out(tmp_path: Path) -> None:
    assert problem_of("/data/local-files/?d=a%00.png", root_with(tmp_path, "a.png")) is AccessProblem.UNSUPPORTED


def test_description_of_an_address_holds_no_secret() -> None:
    described = [
        describe_address("https://me:pw@host/a.png?X-Amz-Signature=s3cret"),
        describe_address("data:image/png;base64,AAAA"),
        describe_address("/data/local-files/?d=a.png"),
        describe_address(None),
    ]

    assert described == ["https://host/a.png", "data URI", "/data/local-files/?d=a.png", "NoneType"]


def test_key_of_a_task_may_be_a_path() -> None:
    data = {"image": {"url": "x"}, "a.b": "y"}

    assert (address_in(data, "image.url"), address_in(data, "a.b"), address_in(data, "image.no.way")) == (
        "x",
        "y",
        None,
    )


LOOPBACK = HostRules.from_entries(["127.0.0.0/8"])


def png(side: int = 4, **marks: str) -> bytes:
    info, buffer = PngInfo(), BytesIO()
    for name, value in marks.items():
        info.add_text(name.replace("_", "-"), value)
    Image.new("L", (side, side)).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def read(source: Path | BytesIO) -> bytes:
    return source.read_bytes() if isinstance(source, Path) else source.read()


def reason_of(sources: ImageSources, address: object, **more: Any) -> str:
    with pytest.raises(ImageAccessError) as caught:
        sources.open(address, **more)
    return caught.value.reason


@pytest.fixture
def signed(label_studio: Any, web_servers: Any, answering: Any) -> Any:
    """Return the server that Label Studio signs addresses for, in answer to /tasks/7/presign/."""
    storage = web_servers()
    storage.routes["/bucket/ä.png"] = storage.routes["/bucket/%C3%A4.png"] = answering(200, b"stored")
    signed_address = f"{storage.url}/bucket/%C3%A4.png?X-Amz-Signature=s3cret"
    label_studio.routes["/tasks/7/presign/"] = answering(303, Location=signed_address)
    return storage


@pytest.mark.parametrize("address", ["s3://bucket/ä.png", "gs://bucket/ä.png", "azure-blob://bucket/ä.png"])
def test_object_of_a_cloud_storage_is_fetched_where_label_studio_signs_for_it(
    label_studio: Any, signed: Any, address: str
) -> None:
    sources = ImageSources(Downloader(label_studio.url, "a.b.c", LOOPBACK), None, 1000)

    source = sources.open(address, task_id=7)

    assert read(source) == b"stored"
    path, authorization = label_studio.asked[-1]
    assert base64.urlsafe_b64decode(parse_qs(urlsplit(path).query)["fileuri"][0]).decode() == address
    assert authorization.startswith("Bearer ")
    assert [authorization for _, authorization in signed.asked] == [""]


def test_signed_address_at_a_host_that_is_not_listed_is_refused_by_name(label_studio: Any, signed: Any) -> None:
    sources = ImageSources(Downloader(label_studio.url, "a.b.c"), None, 1000)

    reason = reason_of(sources, "s3://bucket/ä.png", task_id=7)

    assert "127.0.0.1 is not among the allowed hosts (WINNOW_IMAGE_HOSTS)" in reason
    assert "s3cret" not in reason
    assert signed.asked == []


@pytest.mark.parametrize("task_id", [None, "", "7/../../api", "²"])
def test_object_of_a_cloud_storage_needs_the_number_of_its_task(label_studio: Any, task_id: str | None) -> None:
    sources = ImageSources(Downloader(label_studio.url, "a.b.c"), None, 1000)

    assert "only be read for a task" in reason_of(sources, "s3://bucket/a.png", task_id=task_id)
    assert label_studio.asked == []


def test_upload_that_lies_in_a_cloud_storage_is_found_at_its_other_path(label_studio: Any) -> None:
    sources = ImageSources(Downloader(label_studio.url, "a.b.c"), None, 1000)

    source = sources.open("/data/upload/1/b%20c.png")

    assert read(source) == b"image"
    assert unquote(label_studio.asked[-1][0]) == "/storage-data/uploaded/?filepath=upload/1/b c.png"


def test_upload_is_downloaded_once(label_studio: Any, tmp_path: Path) -> None:
    sources = ImageSources(Downloader(label_studio.url, "a.b.c"), None, 1000, cache=ImageCache(tmp_path, 1000))

    bodies = [read(sources.open("/data/upload/1/a.png")) for _ in range(2)]

    assert bodies == [b"image"] * 2
    assert [path for path, _ in label_studio.asked].count("/data/upload/1/a.png") == 1


def test_one_label_studio_is_never_given_the_image_of_another(web_servers: Any, answering: Any, tmp_path: Path) -> None:
    servers = [web_servers(), web_servers()]
    for number, server in enumerate(servers):
        server.routes["/data/local-files/"] = answering(200, b"image %d" % number)
    cache = ImageCache(tmp_path, 1000)

    bodies = [
        read(
            ImageSources(Downloader(server.url, "0123abcd"), None, 1000, cache=cache).open("/data/local-files/?d=a.png")
        )
        for server in servers
    ]

    assert bodies == [b"image 0", b"image 1"]


def test_image_behind_a_password_is_asked_for_with_it_and_not_kept(
    web_servers: Any, answering: Any, tmp_path: Path
) -> None:
    host = web_servers()
    host.routes["/a.png"] = answering(200, b"image")
    sources = ImageSources(Downloader(rules=LOOPBACK), None, 1000, cache=ImageCache(tmp_path, 1000))

    source = sources.open(f"{host.url}/a.png", login=("anna", "pw"))

    assert read(source) == b"image"
    assert host.asked == [("/a.png", "Basic " + base64.b64encode(b"anna:pw").decode())]
    assert list(tmp_path.iterdir()) == []


def test_image_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    root = root_with(tmp_path, "big.png")
    (root / "big.png").write_bytes(png(side=11))
    sources = ImageSources(Downloader(), root, 1000, max_pixels=100)

    assert reason_of(sources, "/data/local-files/?d=big.png") == "121 pixels are more than the limit of 100"


@pytest.mark.parametrize("as_file", [True, False])
def test_size_of_a_dicom_file_is_looked_at_too(tmp_path: Path, as_file: bool) -> None:
    content = Path(str(get_testdata_file("CT_small.dcm", download=False))).read_bytes()  # 128 x 128
    (tmp_path / "a.dcm").write_bytes(content)
    inline = "data:application/dicom;base64," + base64.b64encode(content).decode()
    address = "/data/local-files/?d=a.dcm" if as_file else inline

    small, large = (ImageSources(Downloader(), tmp_path, 10**6, max_pixels=128**2 - less) for less in (1, 0))

    assert reason_of(small, address) == "16,384 pixels are more than the limit of 16,383"
    assert read(large.open(address)) == content


def test_format_for_which_another_program_would_be_started_is_refused() -> None:
    postscript = BytesIO()
    Image.new("L", (4, 4)).save(postscript, "EPS")
    uri = "data:image/png;base64," + base64.b64encode(postscript.getvalue()).decode()

    assert reason_of(sources(max_bytes=10**6), uri) == "images of the format EPS are not read"


def test_lasting_file_is_named_by_content_or_lies_where_it_lay(label_studio: Any, tmp_path: Path) -> None:
    root = root_with(tmp_path, "a.png")
    sources = ImageSources(Downloader(label_studio.url, "a.b.c"), root, 1000)

    local = sources.keep("/data/local-files/?d=a.png", tmp_path / "kept")
    uploaded, again = (sources.keep(f"/data/upload/1/a.png{query}", tmp_path / "kept") for query in ("", "?x=1"))

    assert local == (root / "a.png").resolve()
    assert uploaded == again == tmp_path / "kept" / (hashlib.sha256(b"image").hexdigest() + ".png")
    assert uploaded.read_bytes() == b"image"


@pytest.fixture
def copied(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """Return a folder of originals, and the data of a task that shows a copy of one of them."""
    content = png(side=5)
    root = tmp_path / "originals"
    (root / "ward 3").mkdir(parents=True)
    (root / "ward 3" / "ä.tif").write_bytes(content)
    (tmp_path / "secret.tif").write_bytes(content)
    copy = "data:image/png;base64," + base64.b64encode(png(winnow_original_sha256="0" * 64)).decode()
    original = Original("ward 3/ä.tif", hashlib.sha256(content).hexdigest())
    return root, {"image": copy} | original_data(original, "image")


def test_original_is_read_in_place_of_its_display_copy(copied: tuple[Path, dict[str, str]]) -> None:
    root, data = copied

    source = ImageSources(Downloader(), None, 1000, originals_root=root).open(address_in(data, "image"))

    assert read(source) == png(side=5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"winnow_sha256_image": "0" * 64}, "not the file that its display copy shows"),
        ({"winnow_sha256_image": None}, "no original with its SHA-256"),
        ({"winnow_original_image": ""}, "no original with its SHA-256"),
        ({"winnow_original_image": "gone.tif"}, "no such file below the folder of originals"),
        ({"winnow_original_image": "../secret.tif"}, "outside the folder of originals"),
        ({"winnow_original_image": "a\0.tif"}, "not an address"),
    ],
)
def test_copy_is_never_read_in_place_of_an_original_that_is_not_to_be_had(
    copied: tuple[Path, dict[str, str]], change: dict[str, str], reason: str
) -> None:
    root, data = copied
    sources = ImageSources(Downloader(), None, 1000, originals_root=root)

    assert reason in reason_of(sources, address_in(data | change, "image"))


def test_copy_is_known_as_one_where_the_task_has_lost_its_original(copied: tuple[Path, dict[str, str]]) -> None:
    _, data = copied

    assert "is a display copy" in reason_of(sources(), address_in({"image": data["image"]}, "image"))


def test_original_is_declined_where_no_folder_of_originals_is_known(copied: tuple[Path, dict[str, str]]) -> None:
    _, data = copied

    assert "WINNOW_ORIGINALS_ROOT" in reason_of(sources(), address_in(data, "image"))
