"""The node's programs: Kubernetes, CoreDNS and pause from Go modules; containerd, etcd, CNI's plugins from Debian."""

from dataclasses import dataclass
from pathlib import Path

from scripts import packages
from scripts.containers import debian
from scripts.containers.client import EngineError

from . import archives, golang
from .errors import ClusterError
from .store import digest, kept

HERE = Path(__file__).parent
KUBERNETES = HERE / "kubernetes"
COREDNS = HERE / "coredns"
# What its servers are called; one program is all of them.
SERVERS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
# From the machine's own release: a newer runc wants a newer libc.
SYSTEM = {"runc": "runc", "iptables": "iptables", "nftables": "nft", "conntrack": "conntrack", "iproute2": "ip"}
# What runs on the oldest Debian here although it is built for the newest; a mirror has one version of each.
RELEASE = "sid"
UNPACKED = {
    "containerd": "usr/bin/containerd",
    "etcd-server": "usr/bin/etcd",
    "containernetworking-plugins": "usr/lib/cni/bridge",
}
# To be counted up when what _build makes of the same sources is another thing.
_LAYOUT = "1"
IMAGES = {"pause": "65535:65535", "coredns": "0:0"}


@dataclass(frozen=True)
class Programs:
    """`kubernetes` has SERVERS and the images' archives, `debian` the roots of packages."""

    kubernetes: Path
    debian: Path


def ensure() -> Programs:
    """Build or unpack what is not there yet. Raises ClusterError."""
    if not packages.provide(SYSTEM):
        raise ClusterError("A node needs the packages named above; set KUBECONFIG to use a cluster that is there.")
    sources = [KUBERNETES / name for name in ("go.mod", "go.sum", "main.go", "pause/main.go")]
    sources += [COREDNS / name for name in ("go.mod", "go.sum", "main.go")]
    return Programs(
        kept("kubernetes", digest([_LAYOUT, *sources]), _build),
        kept("debian", digest([RELEASE, *UNPACKED]), _unpack),
    )


def version() -> str:
    """Kubernetes' version, `1.34.4`, as its module is locked."""
    words = (KUBERNETES / "go.mod").read_text().split()
    return words[words.index("k8s.io/kubernetes") + 1].removeprefix("v")


def _build(target: Path) -> None:
    print(f"Building Kubernetes {version()}, once on this machine: about ten minutes on two cores ...", flush=True)
    golang.build(KUBERNETES, target, [".", "./pause"], f"-s -w {_version_flags()}")
    golang.build(COREDNS, target, ["."])
    for server in SERVERS:
        (target / server).symlink_to("node")
    for name, user in IMAGES.items():
        archives.write(target / f"{name}.tar", f"docker.io/auth0-flask-cluster/{name}:1", target / name, user)


def _version_flags() -> str:
    # What a build from a clone would find out from Git; without it no server starts.
    major, minor, _ = version().split(".")
    values = {"gitVersion": f"v{version()}", "gitMajor": major, "gitMinor": minor, "gitTreeState": "archive"}
    modules = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {module}.{name}={value}" for module in modules for name, value in values.items())


def _unpack(target: Path) -> None:
    print(f"Unpacking {', '.join(UNPACKED)} of Debian {RELEASE} ...", flush=True)
    try:
        debian.unpack(UNPACKED, RELEASE, target)
    except EngineError as error:
        raise ClusterError(f"{error} Set KUBECONFIG to use a cluster that is there.") from None
    for program in UNPACKED.values():
        if not (target / program).exists():
            raise ClusterError(f"Debian's packages have no {program}: adapt scripts/cluster/programs.py.")
