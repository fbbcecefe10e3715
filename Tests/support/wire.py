"""A TCP proxy between the service and a store: forwards bytes, and does to them what a test asks for."""

import socket
import threading
import urllib.parse


class Wire:
    """Use as a context manager. `url` is the store's; `through(url)` gives the address by way of the proxy."""

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        # Where new connections go; another address is a failover.
        self.target = (parts.hostname, parts.port)
        self._lock = threading.Lock()
        self._connections = set()
        # Called with each piece that goes to the service, and to the store; False cuts the connection before it arrives.
        self.passes = lambda piece: True
        self.sends = lambda piece: True
        # What stands in the place of what on the way to the store, of the same length.
        self.replacement = None
        self.replaced = 0

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listener.close()
        self.cut_all()

    def through(self, url):
        parts = urllib.parse.urlsplit(url)
        user, _, _ = parts.netloc.rpartition("@")
        return urllib.parse.urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{self.port}"))

    def cut_all(self):
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            self._cut(*connection)

    @staticmethod
    def _cut(*ends):
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.target)
            except OSError:
                near.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._connections.add((near, far))
            for work in (self._to_store, self._to_service):
                threading.Thread(target=work, args=(near, far), daemon=True).start()

    def _to_store(self, near, far):
        kept = b""
        try:
            while piece := near.recv(65_536):
                piece, kept = self._replace(kept + piece)
                if not self.sends(piece):
                    break
                far.sendall(piece)
        except OSError:
            pass
        self._cut(near, far)

    def _replace(self, piece):
        """Replaces, and keeps back an end that may be the beginning of what is looked for."""
        if self.replacement is None:
            return piece, b""
        old, new = self.replacement
        self.replaced += piece.count(old)
        piece = piece.replace(old, new)
        keep = next((size for size in range(len(old) - 1, 0, -1) if piece.endswith(old[:size])), 0)
        return (piece[:-keep], piece[-keep:]) if keep else (piece, b"")

    def _to_service(self, near, far):
        try:
            while piece := far.recv(65_536):
                if not self.passes(piece):
                    break
                near.sendall(piece)
        except OSError:
            pass
        self._cut(near, far)
