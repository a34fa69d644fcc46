from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_app.errors import BundleError, DeviceError, EdgeError, NotCertified
from edge_app.installed.certificate import certified_device, certify, explain_device, try_devices
from edge_app.installed.home import Home
from edge_app.model.choice import Choice, Measurement, chosen_variant
from tests.edge_app.installed.drawn_release import write_release
from tests.toy import features_graph, write_toy_bundle, write_two_variants


def deployed(tmp_path: Path, bundle_dir: Path, port: int = 5000) -> Home:
    home = Home(tmp_path / "home")
    program = write_release(home.versions / "1.2.3-aaaa")
    home.switch_to(home.deploy(program, bundle_dir, port))
    return home


def test_certificate_tells_the_pc_the_versions_and_each_precision(tmp_path: Path) -> None:
    home = deployed(tmp_path, write_two_variants(tmp_path / "bundle"))
    text = certify(home, home.current()).read_text()
    content = json.loads((home.folder(1) / "certificate.json").read_bytes())
    assert content["verdict"] == "certified"
    assert content["program"]["version"] == "1.2.3"
    assert content["golden_cases"] == 2
    assert content["measured"]["cpu"].keys() == {"float32", "int8"}
    assert "Assistive tool, not a diagnosis." in text
    assert certified_device(home, home.current()) == "cpu"
    assert chosen_variant(home.model(1), "cpu") == content["chosen"]["precision"]


def test_precision_that_answers_otherwise_here_is_told_and_not_chosen(tmp_path: Path) -> None:
    wrong = features_graph(white=300)
    home = deployed(tmp_path, write_two_variants(tmp_path / "bundle", wrong))
    assert "does not give the answer" in certify(home, home.current()).read_text()
    content = json.loads((home.folder(1) / "certificate.json").read_bytes())
    assert content["measured"]["cpu"]["int8"]["reproduces"] is False
    assert content["chosen"]["precision"] == "float32"


def test_pc_that_gives_other_answers_is_not_certified(tmp_path: Path) -> None:
    bundle = write_toy_bundle(tmp_path / "bundle", {"features.onnx": features_graph(white=300)})
    home = deployed(tmp_path, bundle)
    with pytest.raises(NotCertified, match="nothing was switched"):
        certify(home, home.current())
    assert not (home.folder(1) / "certificate.json").exists()


def measured(device: str, median_ms: float) -> Choice:
    measurements = {"float32": Measurement(median_ms, True, "")}
    return Choice("", device, device, "1.31", "a processor", 0, "float32", "It is alone.", measurements, "")


def trial(cuda: float | EdgeError | None):  # type: ignore[no-untyped-def]
    """Try a PC whose CPU takes 50 ms; `cuda` takes its time, fails, or is not there."""

    def measure(device: str) -> Choice:
        if device == "cpu":
            return measured("cpu", 50)
        if isinstance(cuda, EdgeError):
            raise cuda
        return measured("cuda", cuda)  # type: ignore[arg-type]

    return try_devices(["cpu"] if cuda is None else ["cuda", "cpu"], measure)


@pytest.mark.parametrize(
    ("cuda", "device", "reason"),
    [
        (5.0, "cuda", "The NVIDIA GPU was the fastest."),
        (60.0, "cpu", "The NVIDIA GPU works, but the CPU was as fast, so the app runs on the CPU."),
        (None, "cpu", "This PC has no NVIDIA driver, so the app runs on the CPU."),
    ],
)
def test_release_for_gpus_tells_in_a_sentence_where_it_runs(
    cuda: float | None, device: str, reason: str
) -> None:
    trials = trial(cuda)
    assert trials.best.device == device
    assert explain_device("gpu", trials) == reason


@pytest.mark.parametrize("error", [DeviceError("no cuDNN"), BundleError("other answers")])
def test_gpu_that_fails_is_told_and_the_cpu_goes_on(error: EdgeError) -> None:
    trials = trial(error)
    assert trials.failures == {"cuda": str(error)}
    assert trials.best.device == "cpu"
    assert "does not give the known answers, so the app runs on the CPU" in explain_device("gpu", trials)


def test_release_for_cpus_says_nothing_of_gpus() -> None:
    assert explain_device("cpu", trial(None)) == "This release is for the CPU."


def test_gpu_that_was_chosen_may_be_taken_out_later(tmp_path: Path) -> None:
    home = deployed(tmp_path, write_two_variants(tmp_path / "bundle"))
    (home.folder(1) / "certificate.json").write_text('{"chosen": {"device": "cuda"}}')
    assert certified_device(home, home.current()) == "auto"
