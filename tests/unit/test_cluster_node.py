"""What a node of one's own asks of the machine, and its images."""

import json
import platform
import tarfile
from pathlib import Path

import pytest

from scripts.cluster import archives
from scripts.cluster.errors import ClusterError
from scripts.cluster.node import _filter_bridges


@pytest.mark.parametrize(("machine", "architecture"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("s390x", "s390x")])
def test_an_image_is_for_the_machine_that_its_program_was_built_on(
    machine: str, architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    (tmp_path / "program").write_bytes(b"program")
    archives.write(tmp_path / "image.tar", "docker.io/program:1", tmp_path / "program", "0:0")
    with tarfile.open(tmp_path / "image.tar") as image:

        def read(path: str) -> dict[str, object]:
            content = image.extractfile(path)
            assert content
            return dict(json.load(content))

        def blob(descriptor: dict[str, str]) -> dict[str, object]:
            return read("blobs/" + descriptor["digest"].replace(":", "/"))

        (manifest,) = read("index.json")["manifests"]
        assert blob(blob(manifest)["config"])["architecture"] == architecture


def test_a_kernel_that_does_not_filter_bridges_is_told_to_or_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modprobe = tmp_path / "modprobe"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    modprobe.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\n')
    modprobe.chmod(0o755)
    _filter_bridges(tmp_path)
    assert not (tmp_path / "asked").exists()
    _filter_bridges(tmp_path / "missing")
    assert (tmp_path / "asked").read_text() == "br_netfilter\n"
    modprobe.write_text("#!/bin/sh\necho 'Module br_netfilter not found.' >&2\nexit 1\n")
    with pytest.raises(
        ClusterError, match=r"br_netfilter, for policies .* \(Module br_netfilter not found\.\): load it"
    ):
        _filter_bridges(tmp_path / "missing")
