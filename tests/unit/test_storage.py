"""Films in an object store: a real S3-compatible server, real sockets, and what goes wrong on the way."""

import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path, PurePosixPath

import pytest
from gcp_storage_emulator.server import create_server
from gcsfs.core import GCSFileSystem
from lrrg.agent.state import Failure
from lrrg.pipelines import places, settings, storage
from lrrg.pipelines.adapters import DatasetError, mimic
from lrrg.pipelines.adapters.base import Dataset
from lrrg.pipelines.annotate.stage import Order, annotate
from lrrg.pipelines.catalog.stage import adapter_of, catalog
from lrrg.pipelines.engines.worker import answer, read
from lrrg.pipelines.places import Listing, ObjectPath, location
from lrrg.pipelines.records import CatalogRow
from lrrg.pipelines.settings import ReadSettings
from lrrg.pipelines.storage import RefusedStore, StorageError, read_bytes
from lrrg.pipelines.store import Store
from lrrg.tests.buckets import BUCKET, CREDENTIALS, KEY, SECRET, Bucket, object_store, spoiling
from lrrg.tests.poison import encoded, picture
from lrrg.tests.project import LRRG, printed
from lrrg.tests.scripted import AGES, reserved
from lrrg.tests.unit.test_catalog import write_dicom, write_image
from lrrg.tests.unit.test_mimic_tree import root  # noqa: F401 - the tree as a fixture
from lrrg.tools.image import ImageError


def quiet(done: int = 1, **counts: int) -> None:
    pass


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with object_store() as made:
        yield made


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (CREDENTIALS | {"AWS_EC2_METADATA_DISABLED": "true"}).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stall of this process, which is the proxy too, is no fault of the store."""
    for name in storage.TIMEOUTS:
        monkeypatch.setitem(storage.TIMEOUTS, name, AGES)


def limits(bucket: Bucket, **changed: object) -> ReadSettings:
    return ReadSettings.model_validate({"endpoint": bucket.endpoint} | changed)


def lrrg(bucket: Bucket, *arguments: str) -> subprocess.CompletedProcess[str]:
    given = os.environ | bucket.environment | {"OMP_NUM_THREADS": "1", "LRRG_ANNOTATE__WORKERS": "1"}
    return subprocess.run([*LRRG, *arguments], env=given, capture_output=True, text=True, timeout=AGES)


def catalogued(path: str, limits: ReadSettings) -> Dataset:
    where = location(path, limits)
    return adapter_of(where).read(where, None, quiet)


def rows(path: str, limits: ReadSettings) -> tuple[object, ...]:
    """All that cataloguing a place gives, the place itself left out."""
    found = catalogued(path, limits)
    warnings = [text.replace(str(location(path, limits)), "ROOT") for text in found.warnings]
    return found.images, list(found.reports), set(found.labels), found.missing, warnings


def test_a_mimic_tree_in_a_bucket_gives_the_rows_of_the_tree_on_disk(bucket: Bucket, root: Path):  # noqa: F811
    url = bucket.mirror(root, "mimic")
    assert rows(url, limits(bucket)) == rows(str(root), limits(bucket))
    assert len(catalogued(url, limits(bucket)).images) == 2


def test_any_folder_in_a_bucket_gives_the_rows_of_the_folder_on_disk(bucket: Bucket, tmp_path: Path):
    for name in ("b.PNG", "ward/a.jpg", ".hidden.png", "ward/.cache/c.png"):
        write_image(tmp_path / name)
    write_dicom(tmp_path / "ct/1.2.840.77", PatientID="P7", Rows=30, Columns=20)
    write_dicom(tmp_path / "ct/long.dcm", ImageComments="x" * 10_000, DerivationDescription="y" * 70_000, Columns=9)
    (tmp_path / "notes.txt").write_text("x")
    url = bucket.mirror(tmp_path, "any")
    bucket.put("any/empty/", b"")  # what some tools leave for a folder
    assert rows(url, limits(bucket)) == rows(str(tmp_path), limits(bucket))


def test_reports_in_a_zip_and_elsewhere_are_read(bucket: Bucket, root: Path, tmp_path: Path):  # noqa: F811
    url = bucket.mirror(root, "split")
    texts = bucket.mirror(root / "files", "texts/files")
    where, elsewhere = location(url, limits(bucket)), location(texts, limits(bucket))
    (one,), (two,) = (list(mimic.read(where, given, quiet).reports) for given in (None, elsewhere))
    assert (one.findings, one.impression) == (two.findings, two.impression) == ("Clear ___.", "Normal.")
    assert two.path == f"{texts}/p10/p10000032/s50414267.txt"


def test_many_folders_are_listed_by_pages_not_one_by_one(bucket: Bucket):
    names = [f"p1{k % 3}/p1{k % 3}{k:06d}/s{k:08d}/{k:08x}.jpg" for k in range(3 * places.FAN_OUT + 3)]
    client = bucket.client
    for name in names:
        client.put_object(Bucket=BUCKET, Key=f"wide/files/{name}", Body=b"")
    with spoiling(bucket) as (seen, spoiler):
        where = location(f"s3://{BUCKET}/wide", limits(seen))
        found = mimic.read(where, None, quiet)
        requests = [each for each in spoiler.requests if "list-type=2" in each]
    assert [image.path for image in found.images] == sorted(f"files/{name}" for name in names)
    assert len(requests) <= 12


def test_the_time_to_list_a_prefix_grows_with_its_names_alone(monkeypatch: pytest.MonkeyPatch):
    names = [f"{k}.png" for k in range(50_000)]
    monkeypatch.setattr(Listing, "_asked", lambda self, key, deep: iter(names))
    began = time.process_time()
    assert len(Listing(f"s3://{BUCKET}", ReadSettings.model_validate({})).names("")) == len(names)
    assert time.process_time() - began < 2, "once some 10 seconds"


def test_a_film_is_read_with_one_request_and_never_beyond_the_cap(bucket: Bucket):
    bucket.put("film.jpg", b"x" * 1000)
    with spoiling(bucket) as (seen, spoiler):
        assert read_bytes(f"s3://{BUCKET}/film.jpg", limits(seen)) == b"x" * 1000
        assert len(spoiler.requests) == 1
    with pytest.raises(ImageError) as error:
        read_bytes(f"s3://{BUCKET}/film.jpg", limits(bucket, max_bytes=999))
    assert error.value.code == "too-many-bytes"


@pytest.mark.parametrize(("key", "code"), [("none.jpg", "missing"), ("empty.jpg", "empty")])
def test_what_an_object_lacks_has_the_code_of_a_file(bucket: Bucket, key: str, code: str):
    bucket.put("empty.jpg", b"")
    found = answer(f"s3://{BUCKET}/{key}", limits(bucket), read)
    assert isinstance(found, Failure)
    assert (found.status, found.code) == ("unreadable", code)


@pytest.mark.parametrize("faults", [["busy", "busy"], ["reset", "half"], ["half", "busy", "reset"]])
def test_passing_faults_are_waited_out(bucket: Bucket, faults: list[str]):
    content = random.Random(0).randbytes(200_000)
    bucket.put("noisy.jpg", content)
    with spoiling(bucket) as (seen, spoiler):
        spoiler.faults = list(faults)
        assert read_bytes(f"s3://{BUCKET}/noisy.jpg", limits(seen)) == content
        assert len(spoiler.requests) == len(faults) + 1


def test_a_store_that_stays_down_makes_a_failed_row_after_bounded_waiting(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
):
    waited: list[float] = []
    monkeypatch.setattr(time, "sleep", waited.append)
    with reserved() as port:
        gone = ReadSettings.model_validate({"endpoint": f"http://127.0.0.1:{port}"})
        found = answer(f"s3://{BUCKET}/film.jpg", gone, read)
    assert isinstance(found, Failure)
    assert (found.status, found.code) == ("failed", "io-error")
    assert "no answer from the store" in found.detail
    assert len(waited) == len(storage.WAITS)
    assert sum(waited) <= sum(storage.WAITS)


def test_expired_credentials_fail_at_once_and_never_call_the_film_unreadable(bucket: Bucket):
    bucket.put("film.jpg", b"x")
    with spoiling(bucket) as (seen, spoiler):
        spoiler.faults = ["expired"] * 9
        found = answer(f"s3://{BUCKET}/film.jpg", limits(seen), read)
        assert len(spoiler.requests) == 1
    assert isinstance(found, Failure)
    assert (found.status, found.code) == ("failed", "io-error")
    assert "ExpiredToken" in found.detail
    assert SECRET not in found.detail


def test_a_fault_in_the_middle_of_a_table_is_waited_out(bucket: Bucket, root: Path, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    url = bucket.mirror(root, "tables")
    monkeypatch.setattr(places, "BLOCK", 100)
    with spoiling(bucket) as (seen, spoiler):
        spoiler.only, spoiler.faults = mimic.METADATA, ["half", "busy", "reset"]
        assert rows(url, limits(seen)) == rows(url, limits(bucket))
        assert spoiler.faults == []


@pytest.mark.parametrize(
    "url", [f"s3://{KEY}:{SECRET}@films/mimic", "https://films.example.org/a", "s3://", "s3://films?versionId=1/a"]
)
def test_what_is_no_plain_bucket_is_refused_without_repeating_it(url: str):
    with pytest.raises(RefusedStore) as error:
        location(url, ReadSettings.model_validate({}))
    assert error.value.code == "refused-url"
    assert SECRET not in str(error.value)
    assert KEY not in str(error.value)


@pytest.mark.parametrize(("user", "named"), [("", "films.example.org"), (f"{KEY}:{SECRET}@", "…")])
def test_a_url_of_something_else_is_refused_by_its_host_alone(user: str, named: str):
    with pytest.raises(RefusedStore, match=f"^http://{re.escape(named)}: films are read from folders"):
        location(f"http://{user}films.example.org/mimic", ReadSettings.model_validate({}))


@pytest.mark.parametrize("endpoint", [None, "http://10.1.2.3:9000", "http://store.example.org"])
def test_a_store_elsewhere_is_refused_before_anything_is_sent(endpoint: str | None):
    with pytest.raises(RefusedStore, match=r"read\.allow_hosts"):
        location("s3://films/mimic", ReadSettings.model_validate({"endpoint": endpoint}))


def test_a_store_elsewhere_that_the_tools_own_settings_name_is_refused_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://elsewhere.example.org:9000")
    with pytest.raises(RefusedStore, match=r"elsewhere\.example\.org"):
        location("s3://films/other", ReadSettings.model_validate({"allow_hosts": ("amazonaws.com",)}))


def test_a_store_allowed_by_name_or_domain_is_taken(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-north-1")
    for allowed in ("s3.eu-north-1.amazonaws.com", "amazonaws.com"):
        where = location("s3://films/mimic", ReadSettings.model_validate({"allow_hosts": (allowed,)}))
        assert str(where) == "s3://films/mimic"
    with pytest.raises(RefusedStore):
        location("s3://films/mimic", ReadSettings.model_validate({"allow_hosts": ("north-1.amazonaws.com",)}))


def test_proxy_variables_are_not_read(bucket: Bucket, monkeypatch: pytest.MonkeyPatch):
    bucket.put("film.jpg", b"x")
    with reserved() as port:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
        assert read_bytes(f"s3://{BUCKET}/film.jpg", limits(bucket, allow_hosts=("proxy.test",))) == b"x"


def test_an_empty_prefix_is_no_data_set(bucket: Bucket, tmp_path: Path):
    where = location(f"s3://{BUCKET}/nothing/here", limits(bucket))
    with Store.open(tmp_path / "db") as store, pytest.raises(DatasetError) as error:
        catalog(where, store, None, quiet)
    assert error.value.code == "no-root"


def test_a_bucket_that_is_not_there_is_named(bucket: Bucket):
    with pytest.raises(StorageError, match="NoSuchBucket") as error:
        location("s3://no-such-films/mimic", limits(bucket)).is_dir()
    assert error.value.filename == "s3://no-such-films/mimic"


def test_the_whole_run_leaves_no_credential_anywhere(bucket: Bucket, tmp_path: Path):
    study = "files/p11/p11000001/s50000001"
    for number in range(3):
        bucket.put(f"run/{study}/{number}.jpg", encoded(picture(480, 400, seed=number), "JPEG", quality=95))
    bucket.put(f"run/{study}/broken.jpg", b"no film")
    db = str(tmp_path / "films.duckdb")
    with spoiling(bucket) as (seen, spoiler):
        spoiler.only, spoiler.faults = "2.jpg", ["expired"]
        done = [
            lrrg(seen, "catalog", f"s3://{BUCKET}/run", "--db", db, "--json"),
            lrrg(seen, "annotate", "--db", db, "--json"),
            lrrg(seen, "annotate", "--db", db, "--json", "--retry-failed"),
            lrrg(seen, "explain", f"s3://{BUCKET}/run/{study}/0.jpg", "--html", str(tmp_path / "card.html")),
            lrrg(seen, "explain", f"s3://{KEY}:{SECRET}@{BUCKET}/run/{study}/0.jpg"),
            lrrg(seen, "report", "--db", db, "--out", str(tmp_path / "report.html")),
        ]
    assert [each.returncode for each in done] == [0, 0, 0, 0, 2, 0], [each.stderr for each in done]
    assert json.loads(done[0].stdout)["images"] == 4
    first, second = (json.loads(each.stdout.splitlines()[-1]) for each in done[1:3])
    assert (first["failed"], first["unreadable"]) == (1, 1)
    assert sum(second.values()) == 1
    left = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    told = "".join(each.stdout + each.stderr for each in done).encode()
    assert f"s3://{BUCKET}/run".encode() in left
    for secret in (KEY, SECRET, SECRET.split("/")[1]):
        assert secret.encode() not in left + told


def test_a_run_on_films_of_a_store_nobody_allows_stops_before_any_work(tmp_path: Path):
    film = CatalogRow("a", "a.jpg")
    with Store.open(tmp_path / "db") as store:
        store.add_images(
            ObjectPath(Listing("s3://films/run", ReadSettings.model_validate({})), PurePosixPath()), [film]
        )
    with pytest.raises(RefusedStore):
        annotate(tmp_path / "db", settings.load(), Order(), lambda label, total: nullcontext(quiet))
    with Store.open(tmp_path / "db") as store:
        assert store.query("FROM verdict").rows == []


def test_files_on_disk_load_no_library_of_object_stores(tmp_path: Path):
    write_image(tmp_path / "films/a.png")
    code = (
        "import sys; from typer.testing import CliRunner; from lrrg.pipelines.cli import app;"
        f"done = CliRunner().invoke(app, ['catalog', {str(tmp_path / 'films')!r}, '--db', {str(tmp_path / 'db')!r}]);"
        "assert done.exit_code == 0, done.output;"
        "from lrrg.pipelines.engines import worker;"
        "print([m for m in sys.modules if m.partition('.')[0] in ('fsspec', 's3fs', 'botocore', 'aiohttp')])"
    )
    assert printed(code) == "[]"


def test_without_the_extra_the_message_names_it():
    code = (
        "import sys; from importlib import util; real = util.find_spec;"
        "util.find_spec = lambda name, *rest: None if name == 's3fs' else real(name, *rest);"
        "from lrrg.pipelines.cli import main; sys.argv = ['lrrg', 'explain', 's3://films/a.jpg']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "lrrg[cloud]" in done.stderr


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReadSettings]:
    """A server that speaks Google's protocol, with a bucket."""
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with reserved() as port:
        pass
    server = create_server("localhost", port, in_memory=True, default_bucket=BUCKET)
    server.start()
    yield ReadSettings.model_validate({"endpoint": f"http://localhost:{port}"})
    server.stop()


def test_a_bucket_of_google_is_listed_and_read_too(google: ReadSettings):
    writer = GCSFileSystem(token="anon", endpoint_url=google.endpoint, project="any", skip_instance_cache=True)
    names = [f"files/p10/p100000{k:02d}/s500000{k:02d}/{k}.jpg" for k in range(places.FAN_OUT + 3)]
    for name in names:
        writer.pipe_file(f"{BUCKET}/mimic/{name}", name.encode())
    where = location(f"gs://{BUCKET}/mimic", google)
    assert sorted(image.path for image in mimic.read(where, None, quiet).images) == names
    assert read_bytes(f"gs://{BUCKET}/mimic/{names[0]}", google) == names[0].encode()
    with pytest.raises(ImageError) as error:
        read_bytes(f"gs://{BUCKET}/mimic/none.jpg", google)
    assert error.value.code == "missing"
    with pytest.raises(RefusedStore, match=r"storage\.googleapis\.com"):
        location(f"gs://{BUCKET}/mimic", ReadSettings.model_validate({}))
