# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
What a socket has sent, to the byte, while the usual packet of its flow does without its storage (bpf/flow.bpf.h): also
of two sockets with one place in `flows`, and of a connection that has ended.
"""
import json
import mmap
import signal
import socket
import struct
import subprocess
import unittest

from case import MIB, STORE, STRANGERS, LabCase, far
from guard import grant, policy
from lab import wait_for

SO_COOKIE, SIZE, HEADERS = 57, 500, 28
FIRST, SECOND, THIRD = 10000, 12000, 8000  # datagrams


def cookie_of(sock):
    return struct.unpack("Q", sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0]


def same_place(places):
    """Two sockets whose place is the same. Cookies are given out in turn, but to each CPU in batches."""
    kept = {}
    for number in range(6 * places):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        place = cookie_of(sock) % places
        if place in kept:
            return kept[place], sock
        if number % 1000:
            sock.close()
        else:
            kept[place] = sock
    raise LookupError("no two sockets have the same place")


def give(client, heard, begun, number):
    """No faster than they are taken: a queue between them has no room for more."""
    for sent in range(number):
        if sent % 64 == 0:
            far.wait_heard(heard, begun + sent - 64)
        client.send(far.CHUNK[:SIZE])


def give_from_one_place(address, sinks, places, shared):
    """`sinks`: (port, Sink.shared) of each. `shared`: the cookies, then how far it is, and how far it may go."""
    first, second = same_place(places)
    for client, (port, _) in zip((first, second), sinks):
        client.connect((address, port))
    struct.pack_into("QQ", shared, 0, cookie_of(first), cookie_of(second))
    give(first, sinks[0][1], 0, FIRST)
    give(second, sinks[1][1], 0, SECOND)
    struct.pack_into("Q", shared, 16, 1)
    wait_for(lambda: struct.unpack_from("Q", shared, 24)[0], 60, "the word to go on")
    first.close()
    give(second, sinks[1][1], SECOND, THIRD)
    struct.pack_into("Q", shared, 16, 2)
    signal.pause()


def give_in_two_halves(address, port, shared):
    """`shared`: the cookie, once half of it has left; the rest leaves once the place behind that is not 0. Then it is
    closed, or stays as it is: its end is to come from elsewhere."""
    with socket.create_connection((address, port), 4) as client:
        client.sendall(b"\0" * 12 * MIB)
        struct.pack_into("Q", shared, 0, cookie_of(client))
        wait_for(lambda: struct.unpack_from("Q", shared, 8)[0], 60, "the word to go on")
        client.sendall(b"\0" * 12 * MIB)
        if struct.unpack_from("Q", shared, 8)[0] == 2:
            struct.pack_into("Q", shared, 16, 1)
            signal.pause()


class Flows(LabCase):
    policy = policy([grant("wide", "batch", STORE, ["4GiB/1h"], calls=["tcp/7000-7999", "udp/7000-7999"])], STRANGERS)

    def flows_map(self, *words):
        path = "/sys/fs/bpf/weir/%s/flows" % self.lab.instance
        shown = subprocess.run(["bpftool", "-j", "map", words[0], "pinned", path, *words[1:]], check=True,
                               capture_output=True)
        return json.loads(shown.stdout)

    def place(self, cookie, places):
        """What stands at its place: (cookie, bytes that its socket has not got)."""
        key = struct.pack("<I", cookie % places)
        value = self.flows_map("lookup", "key", "hex", *("%02x" % byte for byte in key))["formatted"]["value"]
        return value["cookie"], value["word"] & 0xffffffff

    def assert_has_place(self, cookie, places, why):
        of, unsettled = self.place(cookie, places)
        self.assertEqual(of, cookie, why)
        self.assertGreater(unsettled, 0, "nothing went by the place: this test shows nothing")

    def sent(self, port):
        """What weir says that the sockets to this port have sent."""
        said = json.loads(self.guard.must("show", "partner:" + STORE, "--json").stdout)["sessions"]
        return [session["sent_bytes"] for session in said if session["peer_port"] == port]

    def wait_for_word(self, task, shared, place):
        wait_for(lambda: struct.unpack_from("Q", shared, place)[0] or not task.is_running(), 60, "what is sent")
        if not task.is_running():
            task.result(1)
        return struct.unpack_from("Q", shared, place)[0]

    def begin(self, function, *args):
        task = self.lab.start(function, *args, host="hub", service="batch")
        self.addCleanup(task.kill)
        return task

    def test_two_sockets_with_one_place(self):
        places, shared = self.flows_map("show")["max_entries"], mmap.mmap(-1, 4096)
        (one, address, port), (other, _, other_port) = (self.sink(STORE, udp=True) for _ in range(2))
        task = self.begin(give_from_one_place, address, ((port, one.shared), (other_port, other.shared)), places, shared)
        self.wait_for_word(task, shared, 16)
        cookie, other_cookie = struct.unpack_from("QQ", shared, 0)
        self.assert_has_place(cookie, places, "another socket pushed it out")
        wait_for(lambda: (one.connections, other.connections) == (FIRST, SECOND), 10, "the last datagrams")
        self.assertEqual(self.sent(port), [one.bytes + HEADERS * one.connections])
        self.assertEqual(self.sent(other_port), [other.bytes + HEADERS * other.connections])
        struct.pack_into("Q", shared, 24, 1)
        wait_for(lambda: self.wait_for_word(task, shared, 16) == 2, 60, "the rest")
        self.assert_has_place(other_cookie, places, "the place of a socket that is closed was not free")
        wait_for(lambda: other.connections == SECOND + THIRD, 10, "the last datagrams")
        self.assertEqual(self.sent(other_port), [other.bytes + HEADERS * other.connections])

    def assert_told(self, port, counter, payload):
        """The end of the one connection to this port is told with all that it has sent."""
        def told():
            return [event["cumulative_traffic"]["bytes_out"] for event in self.guard.events()
                    if "acked_bytes" in event["unmapped"] and event["dst_endpoint"]["port"] == port]
        wait_for(told, 10, "the end to be told")
        counter.settle()
        self.assertEqual(counter.dropped, 0, "the far end's counter lost packets")
        self.assertGreaterEqual(counter.tcp_payload, payload)
        self.assertEqual(len(told()), 1)
        self.assertGreaterEqual(told()[0], counter.laden)
        self.assertLessEqual(told()[0], counter.ip_bytes * 1.02)

    def test_a_connection_that_has_ended(self):
        """By its owner, who closes it; by a cut, while its owner holds it."""
        places = self.flows_map("show")["max_entries"]
        for is_cut in (False, True):
            with self.subTest(is_cut=is_cut):
                shared = mmap.mmap(-1, 4096)
                _, counter, _ = self.count(STORE)
                _, address, port = self.sink(STORE)
                task = self.begin(give_in_two_halves, address, port, shared)
                self.assert_has_place(self.wait_for_word(task, shared, 0), places, "it got no place")
                struct.pack_into("Q", shared, 8, 1 + is_cut)
                if is_cut:
                    self.wait_for_word(task, shared, 16)
                    counter.settle()
                    self.guard.cut("partner:" + STORE)
                    self.addCleanup(self.guard.reopen, "partner:" + STORE)
                self.assert_told(port, counter, 24 * MIB)


if __name__ == "__main__":
    unittest.main()
