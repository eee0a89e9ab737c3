# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
stack.py - the kernel's own packets, as the far ends receive them: resets, ICMP errors, echoes, neighbour
discovery, MLD. Most of these pass a guard on the root cgroup only.
"""
import errno
import mmap
import os
import socket
import struct
import time

import far

# kind: (IP version, protocol, where the first byte after the header is this; None: a TCP segment with RST)
KINDS = {"rst4": (4, 6, None), "rst6": (6, 6, None), "unreachable4": (4, 1, 3), "unreachable6": (6, 58, 1),
         "echo4": (4, 1, 0), "echo6": (6, 58, 129), "solicitation": (6, 58, 135), "advertisement": (6, 58, 136),
         "report": (6, 58, 143)}
CLOSED = 9  # a port where nobody listens


class Kinds:
    """Counts what arrives at one interface, by kind."""

    def __init__(self, lab, host, interface):
        self.shared = mmap.mmap(-1, 4096)
        self.task = lab.start(_watch, self.shared, interface, host=host)
        while not self.shared[4095]:
            if not self.task.is_running():
                self.task.result(1)
            time.sleep(0.002)

    def __getitem__(self, kind):
        return struct.unpack_from("Q", self.shared, 8 * list(KINDS).index(kind))[0]


def _watch(shared, interface):
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    sniffer.bind((interface, 3))
    shared[4095] = 1
    while True:
        packet, where = sniffer.recvfrom(256)
        if where[2] == 4:  # PACKET_OUTGOING
            continue
        version = packet[0] >> 4
        offset, protocol = ((packet[0] & 15) * 4, packet[9]) if version == 4 else (40, packet[6])
        if version == 6 and protocol == 0:  # MLD's reports carry a hop-by-hop header
            offset, protocol = 40 + (packet[41] + 1) * 8, packet[40]
        for place, (wanted, number, first) in enumerate(KINDS.values()):
            if (version, protocol) == (wanted, number) and len(packet) > offset + 13 and (
                    packet[offset + 13] & far.RST if first is None else packet[offset] == first):
                count = struct.unpack_from("Q", shared, 8 * place)[0]
                struct.pack_into("Q", shared, 8 * place, count + 1)


# ---- what draws them; each runs at the far end ------------------------------------------------------------

def udp_error(address, seconds=10.0):
    """What a datagram to a closed port comes back with: the name of an errno, or "quiet"."""
    with socket.socket(far.family_of(address), socket.SOCK_DGRAM) as client:
        client.settimeout(seconds)
        client.connect((address, CLOSED))
        client.send(b"x")
        try:
            client.recv(64)
        except socket.timeout:
            return "quiet"
        except OSError as error:
            return errno.errorcode[error.errno]
    return "answered"


def ping(address, number=1, size=56, seconds=10.0):
    """How many of so many echoes come back; the last one's answer, or silence, ends it."""
    family = far.family_of(address)
    is_four = family == socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM, socket.IPPROTO_ICMP if is_four else socket.IPPROTO_ICMPV6) as client:
        client.settimeout(seconds)
        payload, got = os.urandom(size), 0
        for sequence in range(number):
            client.sendto(struct.pack("!BBHHH", 8 if is_four else 128, 0, 0, 0, sequence) + payload, (address, 0))
        try:
            while got < number:
                if client.recv(1 << 16)[8:] == payload:
                    got += 1
        except socket.timeout:
            pass
        return got
