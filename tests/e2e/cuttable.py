"""A network between a client and an address, that can be cut."""

import contextlib
import socket
import struct
import threading


class Cuttable:
    """Forwards TCP from .port to a port. cut() resets every connection there is; fade() lets them stay open with
    nothing passing any more, as when a client's network is gone. New connections pass."""

    def __init__(self, port):
        self.target, self.pairs, self.faded = port, [], set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    client.close()
                    continue
                pair = (client, server)
                self.pairs.append(pair)
                for source, sink in (pair, pair[::-1]):
                    threading.Thread(target=self._pass, args=(pair, source, sink), daemon=True).start()

    def _pass(self, pair, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if pair in self.faded:
                    return
                sink.sendall(data)
        if pair not in self.faded:
            for one in pair:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def cut(self):
        for pair in self.pairs:
            for one in pair:
                with contextlib.suppress(OSError):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    one.shutdown(socket.SHUT_RDWR)
                    one.close()
        self.pairs.clear()

    def fade(self):
        self.faded.update(self.pairs)

    def close(self):
        self.listener.close()
        self.cut()
