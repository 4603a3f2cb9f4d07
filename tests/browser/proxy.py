"""A proxy that blocks some requests, as some in offices and hotels do."""

import contextlib
import socket
import threading

# Words of the requests that begin each transport.
UPGRADE = "Upgrade: websocket"
STREAM = "GET /realtime/sse/"
POLL = "GET /realtime/topics/"


class Proxy:
    """Forwards connections to a server on this machine.

    Requests whose head contains a word of ``refused`` are answered with 400; those with a word of ``swallowed`` get
    no answer. ``removed_prefix`` is removed from the path of each request.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.refused: tuple[str, ...] = ()
        self.swallowed: tuple[str, ...] = ()
        self.removed_prefix = ""
        self.heads: list[str] = []
        """The heads of the requests so far, whatever became of them."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Handle one request: each response closes its connection."""
        with contextlib.suppress(OSError), client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536) or b"\r\n\r\n"
            self.heads.append(head.decode("latin-1"))
            if any(word.encode() in head for word in self.refused):
                client.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            if any(word.encode() in head for word in self.swallowed):
                client.recv(1)  # until the client closes
                return
            head = head.replace(f" {self.removed_prefix}/".encode(), b" /", 1)
            if b"Upgrade: websocket" not in head:
                # WebKitGTK keeps connections without this header, as HTTP/1.1 allows.
                head = head.replace(b"Connection: keep-alive\r\n", b"")
                head = head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                server.sendall(head)
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for each in (source, sink):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
