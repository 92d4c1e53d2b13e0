"""`python -m scripts.containers COMMAND`, on the machine's engine or, as root on Debian, on a private one."""

import argparse
import signal
import sys

from scripts.processes import CalledOff, Processes

from . import bases, images
from .client import Client, EngineError
from .engine import engine


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 1 with a sentence when it could not be done."""
    parser = argparse.ArgumentParser(prog="python -m scripts.containers", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="build the images, on stand-ins where no registry answers")
    building.add_argument("--target", action="append", choices=images.TARGETS, help="only this one; may be repeated")
    commands.add_parser("bases", help="build the stand-ins, and print the variables that make use of them")
    commands.add_parser("engine", help="run an engine until Ctrl-C, and print how to use it")
    options = parser.parse_args(arguments)
    try:
        # So that a signal ends the block, and with it a private engine.
        with Processes(), engine() as client:
            _run(client, options)
    except EngineError as error:
        print(error, file=sys.stderr)
        return 1
    except CalledOff as called_off:
        return 0 if options.command == "engine" else 128 + called_off.signal
    return 0


def _run(client: Client, options: argparse.Namespace) -> None:
    if options.command == "bases":
        for name, value in bases.stand_ins(client).items():
            print(f"{name}={value}")
    elif options.command == "build":
        for tag in images.build(client, bases.ensure(client), options.target or images.TARGETS).values():
            print(f"{tag}  {client.docker('image', 'inspect', '--format', '{{.Id}}', tag)}")
    else:
        for name in ("DOCKER_HOST", "DOCKER_CONFIG"):
            if name in client.environment:
                print(f"export {name}={client.environment[name]}", flush=True)
        signal.pause()


if __name__ == "__main__":
    sys.exit(main())
