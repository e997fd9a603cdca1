"""Replays Pulumi's command line from a file, and writes such a file where the real one is to be had.

A recording (`pulumi/replays/*.jsonl`) has a line for each time that the command was called, which says how and how it
ended, and after it a line for each engine event that it told meanwhile. Run as
``python -m tests.aphiria_deploy.stacks.replay ARGUMENT…``; `tiny` sets it up for a test.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.aphiria_deploy.stacks.command_line import CommandLine, UnknownWordError, parse
from tests.aphiria_deploy.stacks.stand_in import send

FILE: Final = "PULUMI_REPLAY"
"""The variable that names the recording to replay."""
PLACE: Final = "PULUMI_REPLAY_PLACE"
"""The variable that names the file with how many of its calls were made."""
REAL: Final = "PULUMI_RECORDED"
"""The variable that names the real command, where there is one to record: what it does is added to the recording."""

_FOLDER: Final = "{folder}"
_INTERRUPTED: Final = "interrupted"
_STATUS: Final = 70


@dataclass
class Call:
    """One call of the command.

    Attributes:
        line: How it was called.
        code: What it ended with.
        stdout: What it wrote; of a run that went well, which shows the same as its events, nothing is kept.
        stderr: What it wrote as errors.
        interrupted: After how many events it was told to stop.
        events: The events.
    """

    line: Mapping[str, Any]
    code: int = 0
    stdout: str = ""
    stderr: str = ""
    interrupted: int | None = None
    events: list[dict[str, Any]] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """The lines of a recording."""
        head = {"call": self.line, "code": self.code, "stdout": self.stdout, "stderr": self.stderr}
        if self.interrupted is not None:
            head[_INTERRUPTED] = self.interrupted
        yield json.dumps(head)
        yield from (json.dumps(event) for event in self.events)


def read(file: Path) -> list[Call]:
    """Reads a recording."""
    calls: list[Call] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        data = json.loads(line)
        if "call" in data:
            calls.append(Call(data["call"], data["code"], data["stdout"], data["stderr"], data.get(_INTERRUPTED)))
        else:
            calls[-1].events.append(data)
    return calls


def main(arguments: Sequence[str]) -> int:
    """Runs the command."""
    if REAL in os.environ:
        return _record(arguments)
    if list(arguments) == ["version"]:
        sys.stdout.write("v3.259.0\n")
        return 0
    try:
        line = parse(arguments, debugging=os.environ.get("PULUMI_DEBUG_COMMANDS") == "true")
    except UnknownWordError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return _replay(line)


def _replay(line: CommandLine) -> int:
    place, calls = Path(os.environ[PLACE]), read(Path(os.environ[FILE]))
    number = int(place.read_text()) if place.exists() else 0
    place.write_text(str(number + 1))
    call = calls[number] if number < len(calls) else None
    if call is None or call.line != line.as_data():
        expected = call.line if call else "no further call"
        sys.stderr.write(f"error: call {number} of {os.environ[FILE]}: found {line.as_data()}, expected {expected}\n")
        return _STATUS
    if call.events:
        send(line.options["event-log"], call.events, until=call.interrupted, wait=_interruption())
    folder = os.getcwd()  # noqa: PTH109 - as text
    sys.stdout.write(call.stdout.replace(_FOLDER, folder))
    sys.stderr.write(call.stderr.replace(_FOLDER, folder))
    return call.code


def _interruption() -> threading.Event:
    told = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: told.set())
    return told


def _record(arguments: Sequence[str]) -> int:
    """Has the real command do it, and writes down what it said."""
    environment = {name: value for name, value in os.environ.items() if name != REAL}
    if list(arguments) == ["version"]:
        return subprocess.run([os.environ[REAL], *arguments], env=environment, check=False).returncode
    line = parse(arguments, debugging=True)
    call = Call(line.as_data())
    with _listening(line.options.get("event-log", ""), call.events) as address:
        words = [address if word == line.options.get("event-log") else word for word in arguments]
        with subprocess.Popen(
            [os.environ[REAL], *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:

            def interrupt(*_: object) -> None:
                call.interrupted = len(call.events)
                process.send_signal(signal.SIGINT)

            signal.signal(signal.SIGINT, interrupt)
            out, err = process.communicate()
    sys.stdout.write(out)
    sys.stderr.write(err)
    folder = os.getcwd()  # noqa: PTH109 - as text
    tells = "event-log" in line.options and process.returncode == 0
    call.code, call.stdout, call.stderr = process.returncode, "" if tells else out, err
    call.stdout, call.stderr = call.stdout.replace(folder, _FOLDER), call.stderr.replace(folder, _FOLDER)
    with Path(os.environ[FILE]).open("a", encoding="utf-8") as file:
        file.writelines(f"{each}\n" for each in call.lines())
    return call.code


@contextmanager
def _listening(address: str, events: list[dict[str, Any]]) -> Iterator[str]:
    """Listens for events in the place of who asked for them, and hands them on."""
    if not address:
        yield ""
        return
    import grpc  # type: ignore[import-untyped]  # noqa: PLC0415
    from google.protobuf import empty_pb2  # type: ignore[import-untyped]  # noqa: PLC0415
    from pulumi.runtime.proto import events_pb2_grpc  # noqa: PLC0415

    class Servicer(events_pb2_grpc.EventsServicer):
        def StreamEvents(self, requests: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
            def handed_on() -> Iterator[Any]:
                for request in requests:
                    events.append(json.loads(request.event))
                    yield request

            with grpc.insecure_channel(address.removeprefix("tcp://")) as channel:
                events_pb2_grpc.EventsStub(channel).StreamEvents(handed_on())
            return empty_pb2.Empty()

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
    events_pb2_grpc.add_EventsServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"tcp://127.0.0.1:{port}"
    server.stop(grace=5).wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
