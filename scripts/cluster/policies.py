"""Enforces networking.k8s.io/v1 NetworkPolicy on the node: `python policies.py PKI HOST PORT`, in its network.

No published enforcer is to be had where no image can be pulled. This one serves the tests and no more: it asks the API
server a few times a second and writes one table of nftables. Rules speak of pods' addresses, as the specification does:
with bridge-nf-call-iptables the hook sees traffic between pods of the bridge, after kube-proxy has put a pod's address
in place of a Service's. What the node itself sends, the kubelet's probes, is never filtered. IPv4 alone. Uses the
standard library only.
"""

import http.client
import ipaddress
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Object = dict[str, Any]
PATHS = {
    "namespaces": "/api/v1/namespaces",
    "pods": "/api/v1/pods",
    "policies": "/apis/networking.k8s.io/v1/networkpolicies",
}
_SECONDS = 0.25


def matches(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a label selector does; an empty one matches everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(expression, labels) for expression in selector.get("matchExpressions") or [])


def _holds(expression: Object, labels: dict[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    return {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }[expression["operator"]]


class Cluster:
    """What the API server answers, and the rules that follow from it."""

    def __init__(self, namespaces: list[Object], pods: list[Object], policies: list[Object]) -> None:
        self._namespaces = {item["metadata"]["name"]: _labels(item) for item in namespaces}
        self._pods = [pod for pod in pods if not pod["spec"].get("hostNetwork") and _is_there(pod) and _addresses(pod)]
        self._policies = policies

    def table(self) -> str:
        """All rules, for `nft -f`: a chain for each direction of a pod that a policy selects."""
        chains: list[str] = []
        jumps: dict[str, list[str]] = {"Egress": [], "Ingress": []}
        for number, pod in enumerate(sorted(self._pods, key=lambda pod: str(pod["metadata"]["uid"]))):
            for direction, there in jumps.items():
                allowed = self._allowed(pod, direction)
                if allowed is None:
                    continue
                name = f"{direction.lower()}{number}"
                rules = "".join(f"    {rule}\n" for rule in sorted(allowed))
                chains.append(f"  chain {name} {{\n{rules}    counter drop\n  }}\n")
                there += [f"{address} : jump {name}" for address in _addresses(pod)]
        maps = "".join(
            f"    ip {field} vmap {{ {', '.join(jumps[direction])} }}\n"
            for direction, field in (("Egress", "saddr"), ("Ingress", "daddr"))
            if jumps[direction]
        )
        hook = "    type filter hook forward priority 0; policy accept;\n    ct state established,related accept\n"
        return (
            "table inet policies\ndelete table inet policies\n"
            f"table inet policies {{\n{''.join(chains)}  chain forward {{\n{hook}{maps}  }}\n}}\n"
        )

    def _allowed(self, pod: Object, direction: str) -> set[str] | None:
        """Rules that let a pod's traffic through; nothing at all where no policy selects it."""
        found: set[str] | None = None
        for policy in self._policies:
            spec = policy["spec"]
            types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if "egress" in spec else [])]
            here = policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
            if here and direction in types and matches(spec.get("podSelector") or {}, _labels(pod)):
                found = found or set()
                for rule in spec.get(direction.lower()) or []:
                    found |= set(self._rule(rule, pod, ingress=direction == "Ingress"))
        return found

    def _rule(self, rule: Object, pod: Object, *, ingress: bool) -> Iterator[str]:
        field, peers = ("saddr", rule.get("from")) if ingress else ("daddr", rule.get("to"))
        ports = rule.get("ports")
        if not peers:
            # Names of ports are those of whoever is spoken to.
            targets = [pod] if ingress else self._pods
            for target in targets:
                there = "" if ingress else f"ip daddr {{ {', '.join(_addresses(target))} }} "
                yield from (f"{there}{port}return" for port in _ports(ports, target))
            if not ingress:
                yield from (f"{port}return" for port in _ports(ports, None))
            return
        for peer in peers:
            if block := peer.get("ipBlock"):
                yield from (
                    f"{where}{port}return"
                    for where in _block(field, block)
                    for port in _ports(ports, pod if ingress else None)
                )
                continue
            for other in self._selected(peer, pod["metadata"]["namespace"]):
                where = f"ip {field} {{ {', '.join(_addresses(other))} }} "
                yield from (f"{where}{port}return" for port in _ports(ports, pod if ingress else other))

    def _selected(self, peer: Object, namespace: str) -> Iterator[Object]:
        for pod in self._pods:
            there = pod["metadata"]["namespace"]
            if "namespaceSelector" in peer:
                inside = matches(peer["namespaceSelector"], self._namespaces.get(there, {}))
            else:
                inside = there == namespace
            if inside and matches(peer.get("podSelector") or {}, _labels(pod)):
                yield pod


def _labels(item: Object) -> dict[str, str]:
    return item["metadata"].get("labels") or {}


def _is_there(pod: Object) -> bool:
    return pod["status"].get("phase") in ("Pending", "Running")


def _addresses(pod: Object) -> list[str]:
    return [item["ip"] for item in pod["status"].get("podIPs", []) if ":" not in item["ip"]]


def _block(field: str, block: Object) -> Iterator[str]:
    if ipaddress.ip_network(block["cidr"], strict=False).version == 4:
        but = [address for address in block.get("except") or [] if ":" not in address]
        without = f"ip {field} != {{ {', '.join(but)} }} " if but else ""
        yield f"ip {field} {block['cidr']} {without}"


def _ports(ports: list[Object] | None, target: Object | None) -> Iterator[str]:
    """Matches for a rule's ports; a name is one of *target*'s, and of nobody's where there is none."""
    if not ports:
        yield ""
    for item in ports or []:
        protocol, port = str(item.get("protocol", "TCP")), item.get("port")
        if port is None:
            yield f"meta l4proto {protocol.lower()} "
        elif isinstance(port, str):
            yield from (f"{protocol.lower()} dport {number} " for number in _named(target, port, protocol))
        else:
            end = f"-{item['endPort']}" if "endPort" in item else ""
            yield f"{protocol.lower()} dport {port}{end} "


def _named(pod: Object | None, name: str, protocol: str) -> Iterator[int]:
    spec = pod["spec"] if pod else {}
    for container in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        for port in container.get("ports") or []:
            if port.get("name") == name and port.get("protocol", "TCP") == protocol:
                yield port["containerPort"]


def main(pki: Path, host: str, port: int) -> None:
    """Write the table whenever it is another one, until killed."""
    context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
    context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
    connection = http.client.HTTPSConnection(host, port, context=context, timeout=20)
    last = ""
    while True:
        try:
            found = Cluster(**{name: _items(connection, path) for name, path in PATHS.items()}).table()
            if found != last:
                subprocess.run(["nft", "-f", "-"], input=found, text=True, check=True)
                last = found
                print(time.strftime("%T"), "wrote", found.count("chain ") - 1, "chains", flush=True)
        except (OSError, http.client.HTTPException, subprocess.CalledProcessError) as error:
            # The API server may be away for a moment.
            print(time.strftime("%T"), repr(error), flush=True)
            connection.close()
        time.sleep(_SECONDS)


def _items(connection: http.client.HTTPSConnection, path: str) -> list[Object]:
    # From the API server's memory.
    connection.request("GET", f"{path}?resourceVersion=0")
    response = connection.getresponse()
    text = response.read()
    if response.status != 200:
        raise http.client.HTTPException(text.decode(errors="replace"))
    return list(json.loads(text)["items"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
