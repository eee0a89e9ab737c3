# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
disk.py - a disk that loses what was not flushed.

An NBD server for one client. Killing a virtual machine alone loses nothing that its kernel has handed to
the disk: the host's page cache keeps it. Here a write is sure only after a flush (or when it is a FUA
write itself). When the client is gone, each write since the last flush is kept, lost, or kept up to
some sector: as the platters or the cells of a real disk might have it. A sector is 4 KiB, as disks have
it, and is never torn: a torn superblock of ext4 is beyond what ext4 survives.
"""
import os
import random
import socket
import struct

SECTOR = 4096
FLAGS = 1 | 1 << 2 | 1 << 3  # has flags, sends flush, sends FUA
READ, WRITE, DISCONNECT, FLUSH = range(4)
FUA = 1
OPTION, OPTION_REPLY = b"IHAVEOPT", 0x3e889045565a9
EXPORT_NAME, ABORT, INFO, GO = 1, 2, 6, 7


class Disk:
    """`current` is what the client reads, `sure` what outlives a loss of power."""

    def __init__(self, image):
        with open(image, "rb") as file:
            self.sure = bytearray(file.read())
        self.current = bytearray(self.sure)
        self.pending = []  # (offset, data, whether it was a FUA write), oldest first

    def write(self, offset, data, is_fua):
        self.current[offset:offset + len(data)] = data
        self.pending.append((offset, data, is_fua))

    def flush(self):
        for offset, data, _ in self.pending:
            self.sure[offset:offset + len(data)] = data
        self.pending = []

    def lose_power(self, chance):
        """Returns how many writes were under way, and how many of them are lost or torn."""
        lost, number = 0, len(self.pending)
        for offset, data, is_fua in self.pending:
            fate = 1.0 if is_fua else chance.random()
            if fate < 0.5:
                lost += 1
                continue
            if fate < 0.6:
                lost += 1
                data = data[:SECTOR * chance.randint(0, len(data) // SECTOR)]
            self.sure[offset:offset + len(data)] = data
        return number, lost


def _receive(client, length):
    data = b""
    while len(data) < length:
        part = client.recv(length - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def _reply(client, option, kind, data=b""):
    client.sendall(struct.pack("!QIII", OPTION_REPLY, option, kind, len(data)) + data)


def _agree(client, size):
    """The fixed newstyle handshake, without structured replies."""
    client.sendall(b"NBDMAGIC" + OPTION + struct.pack("!H", 3))
    _receive(client, 4)
    while True:
        magic, option, length = struct.unpack("!8sII", _receive(client, 16))
        _receive(client, length)
        if magic != OPTION or option == ABORT:
            raise EOFError
        if option == EXPORT_NAME:
            client.sendall(struct.pack("!QH", size, FLAGS))
            return
        if option not in (INFO, GO):
            _reply(client, option, 1 << 31 | 1)  # not supported
            continue
        _reply(client, option, 3, struct.pack("!HQH", 0, size, FLAGS))
        _reply(client, option, 1)
        if option == GO:
            return


def _serve_client(client, disk):
    _agree(client, len(disk.current))
    while True:
        _, flags, kind, cookie, offset, length = struct.unpack("!IHHQQI", _receive(client, 28))
        answer = b""
        if kind == READ:
            answer = bytes(disk.current[offset:offset + length])
        elif kind == WRITE:
            disk.write(offset, _receive(client, length), flags & FUA)
        elif kind == FLUSH:
            disk.flush()
        elif kind == DISCONNECT:
            return
        client.sendall(struct.pack("!IIQ", 0x67446698, 0, cookie) + answer)


def serve(path, image, seed):
    """Serves the image to one client on the UNIX socket `path`; then power is lost. (writes that were
    under way, those of them that are lost or torn)"""
    disk = Disk(image)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(1)
        client, _ = server.accept()
        with client:
            try:
                _serve_client(client, disk)
            except (EOFError, OSError):
                pass
    result = disk.lose_power(random.Random(seed))
    with open(image + ".next", "wb") as file:
        file.write(disk.sure)
    os.replace(image + ".next", image)
    return result
