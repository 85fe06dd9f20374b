"""Imported by every Python process that a watched command starts: sockets are recorded and refused."""

import os
import sys


def refuse(event: str, arguments: tuple[object, ...]) -> None:
    """Refuse sockets and names of hosts; an audit hook."""
    if event.startswith("socket."):
        with open(os.environ["LSTM2D_TEST_SOCKETS"], "a", encoding="utf-8") as file:
            file.write(f"{event} {' '.join(sys.argv)}\n")
        raise PermissionError(f"{event} is not allowed")


sys.addaudithook(refuse)
