"""What holds a pod's network: its loopback, its sysctls, and sockets for those outside.

The pod runner starts it in a network namespace of its own; it ends when the runner closes its end of the line. A
socket belongs to the namespace in which it was made, wherever it is used.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
from pathlib import Path

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def main(line: int, sysctls: list[str]) -> None:
    runner = socket.socket(fileno=line)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))
    for sysctl in sysctls:
        name, _, value = sysctl.partition("=")
        Path("/proc/sys", *name.split(".")).write_text(value)
    runner.send(b"up")
    while runner.recv(1):
        with socket.socket() as new:
            socket.send_fds(runner, [b"socket"], [new.fileno()])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
