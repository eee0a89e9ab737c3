# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""Bytes are an interval: acknowledged <= received <= sent (promise 11), and nothing is lost in silence."""
import errno
import socket
import struct
import time

from case import HUB, MIB, NORD, PAYER, STORE, STRANGERS, SUED, LabCase, far, wait_for
from guard import grant, policy


class Interval(LabCase):
    servers = ("sftp",)
    policy = policy([grant("nightly", "sftp", "any", serves="tcp/22"),
                     grant("pour", "batch", "any", serves=["tcp/7000-7999", "udp/7000-7999"]),
                     grant("archive", "batch", STORE, calls=["tcp/443", "udp/443"])], STRANGERS)

    def test_sftp_download(self):
        for host, family in ((NORD, 4), (SUED, 6)):
            with self.subTest(family=family):
                counted = self.count(host)
                self.assert_all(far.sftp_get(self.lab, host, "night", HUB[family]), "night")
                self.assertGreaterEqual(self.assert_interval(counted, accepted6=family == 6), 20 * MIB)

    def test_call_and_large_datagrams(self):
        """Fragments and segments count with their headers."""
        counted = self.count(STORE)
        for family in (4, 6):
            sink, address, port = self.sink(STORE, family, 443)
            self.assertEqual(self.lab.call(far.tcp_give, address, port, 8 * MIB, host="hub", service="batch"), 8 * MIB)
            sink.task.kill()
            sink, address, port = self.sink(STORE, family, 443, udp=True)
            self.assertEqual(self.lab.call(far.udp_give, address, port, 60000, 20, host="hub", service="batch"), (20, None))
            sink.task.kill()
        self.assert_interval(counted)

    def test_datagrams_that_a_peer_makes_fragments_of(self):
        """A peer may say that its path is narrow: what then leaves in two fragments has one header more. TCP makes
        smaller segments instead, though it may not set "don't fragment" any more."""
        counted = self.count(STORE)
        own_port = next(self.ports)
        sink, address, port = self.sink(STORE, 4, 443, udp=True)
        narrow = self.lab.start(_say_narrow, address, port, own_port, host=STORE)
        for size in (548, 1400):
            self.lab.call(_give_narrow, address, port, own_port, size, 2000, host="hub", service="batch")
        narrow.kill()
        self.assert_interval(counted)
        self.assertGreaterEqual(counted[1].packets, 2000 * (2 + 3), "nothing was fragmented: this test shows nothing")
        sink.task.kill()
        sink, address, port = self.sink(STORE, 4, 443)
        self.assertEqual(self.lab.call(far.tcp_give, address, port, 2 * MIB, host="hub", service="batch"), 2 * MIB)
        sink.task.kill()
        self.assert_interval(counted)

    def test_service_and_partner_agree(self):
        port = self.pour()
        self.assert_passes(PAYER, port)
        services = sum(entry["sent_bytes"] for entry in self.guard.status()["services"])
        partners = sum(entry["sent_bytes"] for entry in self.guard.status()["partners"])
        self.assertGreater(partners, 4 * MIB)
        self.assertGreaterEqual(services * 1.05, partners)

    def test_refusals_are_counted(self):
        sink, address, port = self.sink(STORE, port=444)
        self.lab.call(far.udp_give, address, 444, 1000, 10, host="hub", service="batch")
        _, _ = self.lab.call(far.tcp_take, HUB[4], self.pour(), None, 1.0, host=STORE)
        self.assertEqual(sink.bytes, 0)
        self.assertTrue(any("444" in str(event) for event in self.guard.events()))

    def test_no_losses_in_a_quiet_lab(self):
        self.assert_all(far.sftp_get(self.lab, NORD, "night"), "night")
        lost = {name: number for name, number in self.guard.status()["lost"].items() if number}
        self.assertEqual(lost, {})

    def test_status_names_hooks_and_policy(self):
        said = self.guard.status()
        self.assertEqual((said["instance"], said["mode"], said["policy"]["name"]),
                         (self.lab.instance, "enforce", "lab"))
        self.assertEqual(len(said["policy"]["digest"]), 64)
        names = " ".join(hook["name"] for hook in said["hooks"])
        for hook in ("egress", "ingress", "connect4", "connect6", "sendmsg4", "sendmsg6", "edge"):
            self.assertIn(hook, names)

    def test_services_lists_cgroups_by_bytes(self):
        self.assert_all(far.sftp_get(self.lab, NORD, "night"), "night")
        self.assertIn("system.slice/sftp.service", self.guard.must("services").stdout)


class Edge(LabCase):
    """What a cut partner sends dies before the stack; the lifeline passes."""
    servers = ("admin",)
    policy = policy([grant("pour", "batch", "any", serves=["tcp/7000-7999", "udp/7000-7999"])], STRANGERS)

    def tearDown(self):
        for cut in self.guard.cuts():
            self.guard.weir("reopen", cut["target"], "--reason", "the test is over")

    def flood(self, host, family, address, port):
        """Datagrams of a partner that arrive at the hub's application."""
        sink = far.Sink(self.lab, "hub", address, port, udp=True, service="batch")
        before = sink.connections
        self.lab.call(_spray, address, port, 50, host=host)
        arrived = sink.connections - before
        sink.task.kill()
        return arrived

    def test_what_a_cut_partner_sends_is_dropped(self):
        for family in (4, 6):
            with self.subTest(family=family):
                where = HUB[family], next(self.ports)
                self.assertEqual(self.flood(NORD, family, *where), 50)
                self.guard.cut("partner:" + NORD)
                self.assertEqual(self.flood(NORD, family, *where), 0)
                self.assertEqual(self.flood(SUED, family, *where), 50)
                self.guard.reopen("partner:" + NORD)
                self.assertEqual(self.flood(NORD, family, *where), 50)

    def test_syn_of_a_cut_partner_gets_no_answer(self):
        port = self.pour()
        self.assert_passes(NORD, port)
        self.guard.cut("partner:" + NORD)
        count = far.Count(self.lab, NORD)
        self.assertEqual(self.lab.call(far.connect_error, HUB[4], port, 1.0, host=NORD), "timeout")
        self.assertEqual(count.settle().packets, 0)
        self.assert_passes(SUED, port)
        self.guard.reopen("partner:" + NORD)

    def test_cut_address_inside_a_partner(self):
        port = next(self.ports)
        self.guard.cut("addr:198.51.100.2/32")
        self.assertEqual(self.flood(NORD, 4, HUB[4], port), 0)
        self.assertEqual(self.flood(SUED, 4, HUB[4], port), 50)
        self.guard.reopen("addr:198.51.100.2/32")

    def test_lifeline_passes_the_edge_when_all_is_cut(self):
        port = next(self.ports)
        self.guard.cut("all")
        for family in (4, 6):
            self.assertEqual(far.ssh(self.lab, "admin", "echo alive", far.ADMIN[family]).stdout, "alive\n")
        self.assertEqual(self.flood(NORD, 4, HUB[4], port), 0)
        self.guard.reopen("all")
        self.assertEqual(self.flood(NORD, 4, HUB[4], port), 50)

    def test_neighbours_are_found_while_all_is_cut(self):
        """ARP and neighbour discovery pass: the lifeline would die with them."""
        self.guard.cut("all")
        for family in ("-4", "-6"):
            self.lab.run(["ip", family, "neigh", "flush", "dev", "uplink0"], "hub")
        for family in (4, 6):
            self.assertEqual(far.ssh(self.lab, "admin", "echo alive", far.ADMIN[family]).stdout, "alive\n")
        self.guard.reopen("all")


NARROW = 552  # net.ipv4.route.min_pmtu: the least that Linux lets a peer say


def _say_narrow(address, port, its_port):
    """Tells the hub again and again that its datagrams do not fit (RFC 1191). Runs until it is killed."""
    quoted = far.ip4(socket.IPPROTO_UDP, far.udp(port, b"", its_port), address)
    body = struct.pack("!BBHHH", 3, 4, 0, 0, NARROW) + quoted
    total = sum(struct.unpack("!%dH" % (len(body) // 2), body))
    total = (total & 0xffff) + (total >> 16)
    body = body[:2] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + body[4:]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        while True:
            raw.sendto(body, (HUB[4], 0))
            time.sleep(0.02)


def _give_narrow(address, port, own_port, size, number):
    """Sends so many datagrams once the way to the peer is narrow."""
    ip_mtu = 14
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind(("", own_port))
        client.connect((address, port))
        wait_for(lambda: client.getsockopt(socket.IPPROTO_IP, ip_mtu) <= NARROW, 10, "the way to be narrow")
        while number:
            try:
                client.send(bytes(size))
                number -= 1
            except OSError as error:  # what the peer said meanwhile
                if error.errno != errno.EMSGSIZE:
                    raise


def _spray(address, port, number):
    import time
    with socket.socket(far.family_of(address), socket.SOCK_DGRAM) as client:
        for _ in range(number):
            client.sendto(b"x" * 100, (address, port))
            time.sleep(0.001)
        time.sleep(0.1)
