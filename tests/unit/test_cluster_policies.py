"""The rules that scripts/cluster/policies.py makes of NetworkPolicies."""

import re
from typing import Any

from scripts.cluster.policies import Cluster, matches


def pod(name: str, address: str, namespace: str = "ours", ports: dict[str, int] | None = None) -> dict[str, Any]:
    listed = [{"name": port, "containerPort": number} for port, number in (ports or {}).items()]
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": name, "labels": {"app": name}},
        "spec": {"containers": [{"ports": listed}]},
        "status": {"phase": "Running", "podIPs": [{"ip": address}]},
    }


def policy(spec: dict[str, Any], namespace: str = "ours") -> dict[str, Any]:
    return {"metadata": {"name": "policy", "namespace": namespace}, "spec": spec}


NAMESPACES = [{"metadata": {"name": name, "labels": {"name": name}}} for name in ("ours", "theirs")]
WEB = pod("web", "10.0.0.1", ports={"https": 8443})
CLIENT = pod("client", "10.0.0.2")
STRANGER = pod("stranger", "10.0.0.3", "theirs")
SELECTS_WEB = {"podSelector": {"matchLabels": {"app": "web"}}}


def rules(*specs: dict[str, Any]) -> dict[str, list[str]]:
    """The chains by the addresses that lead to them, and their rules."""
    text = Cluster(NAMESPACES, [WEB, CLIENT, STRANGER], [policy(spec) for spec in specs]).table()
    jumps = dict(re.findall(r"([\d.]+) : jump (\w+)", text))
    chains = dict(re.findall(r"chain (\w+) \{\n(.*?)\n  \}", text, re.DOTALL))
    return {f"{address} {name.rstrip('0123456789')}": chains[name].split("\n") for address, name in jumps.items()}


def bare(found: list[str]) -> list[str]:
    return [line.strip() for line in found]


def test_a_pod_that_no_policy_selects_is_not_filtered() -> None:
    assert rules() == {}
    assert set(rules({**SELECTS_WEB, "policyTypes": ["Ingress"]})) == {"10.0.0.1 ingress"}


def test_a_policy_without_rules_lets_nothing_through() -> None:
    found = rules({**SELECTS_WEB, "policyTypes": ["Ingress", "Egress"]})
    assert bare(found["10.0.0.1 ingress"]) == ["counter drop"]


def test_peers_ports_and_names_of_ports_are_those_of_the_specification() -> None:
    peer = {"podSelector": {"matchLabels": {"app": "client"}}}
    found = rules(
        {**SELECTS_WEB, "policyTypes": ["Ingress"], "ingress": [{"from": [peer], "ports": [{"port": "https"}]}]}
    )
    assert bare(found["10.0.0.1 ingress"]) == ["ip saddr { 10.0.0.2 } tcp dport 8443 return", "counter drop"]
    elsewhere = {"namespaceSelector": {"matchLabels": {"name": "theirs"}}}
    found = rules({**SELECTS_WEB, "policyTypes": ["Ingress"], "ingress": [{"from": [elsewhere]}]})
    assert bare(found["10.0.0.1 ingress"]) == ["ip saddr { 10.0.0.3 } return", "counter drop"]
    everybody = {**SELECTS_WEB, "policyTypes": ["Ingress"], "ingress": [{}]}
    assert bare(rules(everybody)["10.0.0.1 ingress"]) == ["return", "counter drop"]


def test_a_block_excepts_networks_and_one_of_ipv6_concerns_nobody() -> None:
    blocks = [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}, {"ipBlock": {"cidr": "2000::/3"}}]
    found = rules({**SELECTS_WEB, "policyTypes": ["Egress"], "egress": [{"to": blocks, "ports": [{"port": 443}]}]})
    wanted = "ip daddr 0.0.0.0/0 ip daddr != { 10.0.0.0/8 } tcp dport 443 return"
    assert bare(found["10.0.0.1 egress"]) == [wanted, "counter drop"]


def test_several_policies_let_through_what_one_of_them_does() -> None:
    first, second = ({**SELECTS_WEB, "policyTypes": ["Ingress"], "ingress": [{"ports": [{"port": n}]}]} for n in (1, 2))
    assert bare(rules(first, second)["10.0.0.1 ingress"]) == [
        "tcp dport 1 return",
        "tcp dport 2 return",
        "counter drop",
    ]


def test_selectors() -> None:
    labels = {"app": "web"}
    assert matches({}, labels)
    assert matches({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]}, labels)
    assert not matches({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, labels)
    assert matches({"matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["web"]}]}, labels)
    assert not matches({"matchExpressions": [{"key": "x", "operator": "Exists"}]}, labels)
    assert matches({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]}, labels)
