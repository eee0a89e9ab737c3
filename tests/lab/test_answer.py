# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""An answer to who asks in datagrams is one, however fast and wherever the next question comes."""
import os
import socket
import unittest

from case import HUB, NORD, STRANGERS, LabCase, far
from guard import grant, policy

ANSWERS = 200000


def ask(address, port):
    """Asks from two ports in turn, so that each answer is judged anew. Runs until it is killed."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    for client in clients:
        client.connect((address, port))
    while True:
        for client in clients:
            try:
                client.send(b"?")
            except ConnectionRefusedError:
                pass  # nobody answers yet


def answer(address, port, number):
    """Answers both without waiting for their questions; (how many the kernel took, and refused)."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, port))
        peers, done = set(), [0, 0]
        while len(peers) < 2:
            peers.add(server.recvfrom(16)[1])
        for _ in range(number // 2):
            for peer in peers:
                try:
                    server.sendto(b"!", peer)
                    done[0] += 1
                except PermissionError:
                    done[1] += 1
        return tuple(done)


class Answer(LabCase):
    policy = policy([grant("names", "batch", NORD, serves="udp/7000-7999")], STRANGERS)

    def test_no_answer_is_taken_for_a_call(self):
        """A question that arrives on another CPU while an answer is judged is later than that answer's clock."""
        if os.cpu_count() < 2:
            self.skipTest("it takes two CPUs")
        port = next(self.ports)
        asker = self.lab.start(ask, HUB[4], port, host=NORD)
        self.addCleanup(asker.kill)
        self.assertEqual(self.lab.call(answer, HUB[4], port, ANSWERS, host="hub", service="batch", timeout=60),
                         (ANSWERS, 0))
        # and who never asked gets none
        self.assertEqual(self.lab.call(far.udp_give, "198.51.100.2", 7000, 100, 20, host="hub", service="batch"),
                         (0, "EPERM"))


if __name__ == "__main__":
    unittest.main()
