"""What a Docker engine leaves in the machine's network when it has ended, and its removal, one by one.

An engine makes chains, rules, a bridge, lets the kernel forward and sets FORWARD's policy to DROP, and takes none of it
back. What was there before it is kept; of what came since, only what is plainly an engine's goes.
"""

import ipaddress
import json
import re
import shlex
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
_BRIDGE = re.compile(r"docker0|br-[0-9a-f]{12}")
_NETWORK = re.compile(r"[0-9.]+/[0-9]+")


@dataclass(frozen=True)
class State:
    """The parts of the network that an engine touches.

    rules: `table -A CHAIN ...`, `table -N CHAIN` and `table -P CHAIN POLICY`; bridges: their networks by name;
    forwarding: the kernel's switch, `0` or `1`.
    """

    rules: list[str]
    bridges: dict[str, list[str]]
    forwarding: str

    @classmethod
    def now(cls) -> "State":
        """As it is."""
        return cls(_rules(), _bridges(), _FORWARD.read_text().strip())

    def save(self, path: Path) -> None:
        """Keep it for a later process, which may have to clean up after this one."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "State":
        """What `save` has written."""
        return cls(**json.loads(path.read_text()))


def restore(before: State) -> None:
    """Remove what an engine has made since *before*. For when no engine runs."""
    now = State.now()
    bridges = {name: networks for name, networks in now.bridges.items() if name not in before.bridges}
    ours = [rule for rule in now.rules if rule not in before.rules and _is_an_engines(rule, bridges)]
    # What refers to a chain has to go before the chain.
    for rule in (rule for rule in ours if " -A " in rule):
        _iptables(rule.replace(" -A ", " -D ", 1))
    for rule in (rule for rule in ours if " -N " in rule):
        _iptables(rule.replace(" -N ", " -X ", 1))
    for rule in before.rules:
        if " -P " in rule and rule not in now.rules:
            _iptables(rule)
    for name in bridges:
        subprocess.run(["ip", "link", "delete", name], check=True, capture_output=True)
    if now.forwarding != before.forwarding:
        _FORWARD.write_text(before.forwarding)


def _is_an_engines(rule: str, bridges: dict[str, list[str]]) -> bool:
    words = shlex.split(rule)
    if any(word.startswith("DOCKER") or word in bridges for word in words):
        return True
    # A published port's rule names the container's address alone.
    networks = [ipaddress.ip_network(network) for name in bridges for network in bridges[name]]
    addresses = [ipaddress.ip_network(word) for word in words if _NETWORK.fullmatch(word)]
    return any(address.subnet_of(network) for address in addresses for network in networks)  # type: ignore[arg-type]


def _rules() -> list[str]:
    saved = subprocess.run(["iptables-save"], check=True, capture_output=True, text=True).stdout
    rules, table = [], ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        elif line.startswith(":"):
            chain, policy, _ = line[1:].split(None, 2)
            rules.append(f"{table} -N {chain}" if policy == "-" else f"{table} -P {chain} {policy}")
        elif line.startswith("-A"):
            rules.append(f"{table} {line}")
    return rules


def _iptables(rule: str) -> None:
    table, *arguments = shlex.split(rule)
    subprocess.run(["iptables", "--wait", "--table", table, *arguments], check=True, capture_output=True)


def _bridges() -> dict[str, list[str]]:
    listed = subprocess.run(
        ["ip", "-json", "-4", "address", "show", "type", "bridge"], check=True, capture_output=True, text=True
    ).stdout
    links = [link for link in json.loads(listed or "[]") if _BRIDGE.fullmatch(link.get("ifname", ""))]
    return {
        link["ifname"]: [
            str(ipaddress.ip_interface(f"{address['local']}/{address['prefixlen']}").network)
            for address in link["addr_info"]
        ]
        for link in links
    }
