# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""A way from an agent to a broker that is somebody else's: it reads nothing, and can hold back what the broker says."""
import contextlib
import socket
import threading


class Way:
    def __init__(self, broker_port):
        self.broker_port, self.is_open, self.waiting = broker_port, threading.Event(), 0
        self.is_open.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def hold(self):
        self.is_open.clear()

    def release(self):
        self.is_open.set()
        self.waiting = 0

    def held_bytes(self):
        """Of what the broker has said since hold(), as far as it was read."""
        return self.waiting

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.broker_port))
            for source, target, can_be_held in ((near, far, False), (far, near, True)):
                threading.Thread(target=self.carry, args=(source, target, can_be_held), daemon=True).start()

    def carry(self, source, target, can_be_held):
        with contextlib.suppress(OSError):
            while True:
                part = source.recv(1 << 16)
                if not part:
                    break
                if can_be_held and not self.is_open.is_set():
                    self.waiting += len(part)
                    self.is_open.wait()
                target.sendall(part)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.release()
        self.listener.close()
