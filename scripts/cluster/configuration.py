"""What the node's servers are told in files, and why where it is unusual."""

import json
from pathlib import Path

from . import pki
from .programs import Programs

NODE = "node1"
# For benchmarks by RFC 2544, so that no machine has a network there.
HOST_ADDRESS = "198.18.77.1"
NODE_ADDRESS = "198.18.77.2"
PODS = "10.244.0.0/16"
SERVICES = "10.96.0.0/16"
DNS = "10.96.0.10"
API = f"https://{NODE_ADDRESS}:6443"
# Who shows which certificate to the API server: the file's name, then user and group.
CLIENTS = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "scheduler": ("system:kube-scheduler", ""),
    "kubelet": (f"system:node:{NODE}", "system:nodes"),
    "kube-proxy": ("system:kube-proxy", ""),
}


def write(run: Path, programs: Programs, runc: str, cgroup: str) -> None:
    """Write all of them into the folder *run*."""
    _certificates(run)
    (run / "cni").mkdir()
    (run / "cni" / "10-bridge.conflist").write_text(json.dumps(_network(run)))
    (run / "containerd.toml").write_text(_containerd(run, programs, runc))
    (run / "kubelet.json").write_text(json.dumps(_kubelet(run, cgroup)))
    (run / "kube-proxy.json").write_text(json.dumps(_kube_proxy(run)))
    # For pods that ask for it, CoreDNS; nobody answers there.
    (run / "resolv.conf").write_text(f"nameserver {HOST_ADDRESS}\n")


def _certificates(run: Path) -> None:
    authority = pki.Authority(run / "pki")
    first = f"{SERVICES.rpartition('.')[0]}.1"
    kubernetes = ["kubernetes" + suffix for suffix in ("", ".default", ".default.svc", ".default.svc.cluster.local")]
    authority.issue("apiserver", "kube-apiserver", names=(*kubernetes, "127.0.0.1", NODE_ADDRESS, first))
    authority.issue("front-proxy", "front-proxy")
    authority.service_account_key()
    for stem, (user, group) in CLIENTS.items():
        authority.issue(stem, user, group=group, names=(NODE, NODE_ADDRESS) if stem == "kubelet" else ())
        authority.kubeconfig(run / f"{stem}.conf", API, stem)


def _network(run: Path) -> dict[str, object]:
    addresses = {
        "type": "host-local",
        "dataDir": str(run / "addresses"),
        "ranges": [[{"subnet": PODS.replace("/16", "/24")}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,
        "ipMasq": False,
        "ipam": addresses,
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}


def _containerd(run: Path, programs: Programs, runc: str) -> str:
    return f"""\
version = 3
root = "{run}/containerd"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.blockfile"]
[plugins."io.containerd.internal.v1.opt"]
  path = "{run}/opt"
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "docker.io/auth0-flask-cluster/pause:1"
[plugins."io.containerd.cri.v1.runtime"]
  # Without CAP_SYS_RESOURCE nobody may ask for a value below one's own.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{programs.debian}/usr/lib/cni"]
    conf_dir = "{run}/cni"
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "{runc}"
        SystemdCgroup = false
"""


def _kubelet(run: Path, cgroup: str) -> dict[str, object]:
    authority = str(run / "pki" / "ca.crt")
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": authority},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        # A subtree of its own: another kubelet, or Docker, is not in the way.
        "cgroupRoot": cgroup,
        # From 1.35 on a machine with the first version of cgroups is refused otherwise.
        "failCgroupV1": False,
        "failSwapOn": False,
        # Without CAP_SYS_RESOURCE the default, -999, cannot be written.
        "oomScoreAdj": 0,
        "clusterDNS": [DNS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(run / "resolv.conf"),
        "podLogsDir": str(run / "pod-logs"),
        "volumePluginDir": str(run / "volume-plugins"),
        # A changed Secret is in its pods after this, or a little more; the default is a minute.
        "syncFrequency": "3s",
        # Images that are collected cannot be pulled again.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "evictionPressureTransitionPeriod": "10s",
        "tlsCertFile": str(run / "pki" / "kubelet.crt"),
        "tlsPrivateKeyFile": str(run / "pki" / "kubelet.key"),
    }


def _kube_proxy(run: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(run / "kube-proxy.conf")},
        "hostnameOverride": NODE,
        "clusterCIDR": PODS,
        # The machine's limit of connections stays as it is.
        "conntrack": {"maxPerCore": 0},
    }
