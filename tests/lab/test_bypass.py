# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
Ways past the verdict and the budget that headers, options, fragments and races offer, and approved
traffic that the defence against them must not touch. Each was found by an attack on the guard.
"""
import errno
import fcntl
import json
import mmap
import os
import socket
import struct
import subprocess
import termios
import time

from case import B, HUB, KIB, MIB, NORD, PAYER, STORE, STRANGERS, SUED, LabCase, far, pause, wait_for
from guard import grant, policy
from lab import SLOWNESS

NOBODY = 65534
RATE = 64 * KIB  # what DHCP clients and router solicitations of a service may send in 10 minutes
GRANTS = [grant("pour", "batch", [NORD, SUED], serves=["tcp/7000-7999", "udp/7000-7999"]),
          grant("archive", "batch", STORE, calls=["tcp/443", "udp/443"])]
POLICY = policy(GRANTS, STRANGERS)
# An IP option that any user may set and fill: a route record that is full already, and a no-op.
RECORD = bytes([7, 39, 40]) + b"secret" * 6 + b"\x01"


def unacknowledged(connection):
    """Bytes in the connection's send queue."""
    return struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)))[0]


def chat(address, port, source, number, patience):
    """Sends one-byte messages, each after the last was acknowledged; how many were. `patience`: s."""
    with socket.socket(far.family_of(address), socket.SOCK_STREAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.settimeout(patience)
        client.bind((source, 0))
        try:
            client.connect((address, port))
        except OSError:
            return 0
        for done in range(number):
            client.send(b"x")
            end = time.monotonic() + patience
            while unacknowledged(client):
                if time.monotonic() > end:
                    return done
                time.sleep(0.0001)
    return number


def listen_to_chat(address, port, options):
    """A server that acknowledges at once, as any user may, and sends `options` in its IP headers."""
    server = far._listen(address, port)
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    while True:
        connection, _ = server.accept()
        try:
            if options:
                connection.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, options)
            while True:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                if not connection.recv(4096):
                    break
        except OSError:
            pass
        connection.close()


def connect_with_options(address, port, number):
    """SYNs with IP options, by a user without rights; how many connects began."""
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    began = 0
    for _ in range(number):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, RECORD)
            try:
                client.connect((address, port))
            except BlockingIOError:
                began += 1
            except OSError:
                pass
    return began


def bare_tcp4(_):
    """A TCP header of which 40 bytes are the sender's choice, without payload."""
    return struct.pack("!HHIIBBHHH", 5555, 443, 1, 0, 0xf0, 0x10, 1, 0, 0) + b"secret" * 6 + b"xxxx"


def bare_tcp6(address):
    """The same without options, behind 1400 bytes of destination options."""
    options = struct.pack("BB", socket.IPPROTO_TCP, 1400 // 8 - 1) + bytes(1398)
    return far.ip6(socket.IPPROTO_DSTOPTS, options + struct.pack("!HHIIBBHHH", 5555, 443, 1, 0, 0x50, 0x10, 1, 0, 0),
                   address)


def hop_by_hop(size):
    """A hop-by-hop header of `size` bytes, all padding (PadN)."""
    body, left = b"", size - 2
    while left:
        part = min(left, 250)
        part -= left - part == 1
        body += bytes([0x1e, part - 2]) + bytes(part - 2)
        left -= part
    return struct.pack("BB", 0, size // 8 - 1) + body


def give_in_fragments(address, level, option, value, number):
    with socket.socket(far.family_of(address), socket.SOCK_DGRAM) as client:
        client.setsockopt(level, option, value)
        for _ in range(number):
            client.sendto(bytes(30000), (address, 443))


def route_by_option(address, via, number):
    """UDP datagrams with a loose source route by setsockopt: via one address to another."""
    options = bytes([131, 7, 4]) + socket.inet_aton(via) + b"\x01"
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, options)
        for _ in range(number):
            try:
                client.sendto(bytes(1000), (address, 443))
                sent += 1
            except OSError:
                pass
    return sent


class Headers(LabCase):
    """Bytes in headers are bytes, and detours are refused."""
    policy = POLICY

    def payers_budget(self):
        """Grants the payer calls with a budget of its own for this test; counts what it receives."""
        name = "tight-%d" % next(self.ports)
        self.guard.apply(policy(GRANTS + [grant(name, "batch", PAYER, ["64KiB/10m"], calls=["tcp/443", "udp/443"])],
                                STRANGERS))
        count = far.Count(self.lab, PAYER)
        self.addCleanup(count.stop)
        return count

    def assert_spent(self, count):
        """The budget was used, and not more."""
        self.assert_bounded(count.settle().ip_bytes)
        self.assertGreater(count.ip_bytes, B // 4, "the budget was not there to be used")

    def test_ip_options_in_acknowledgements_are_charged(self):
        port, source = next(self.ports), self.stranger()
        self.lab.start(listen_to_chat, HUB[4], port, RECORD, host="hub", service="batch")
        far.wait_listening(self.lab, "hub", HUB[4], port)
        count = far.Count(self.lab, "stranger", source)
        self.addCleanup(count.stop)
        for _ in range(4):
            self.lab.call(chat, HUB[4], port, source, 700, 0.5, host="stranger")
        self.assert_bounded(count.settle().laden)
        self.assertGreater(count.laden, B // 2)
        self.assertEqual(self.lab.call(chat, HUB[4], port, far.HOSTS[NORD][0][0], 1500, 2, host=NORD), 1500)

    def test_ip_options_in_syns_are_charged(self):
        count = self.payers_budget()
        address = self.lab.hosts[PAYER].v4
        self.assertGreater(self.lab.call(connect_with_options, address, 443, 3000, host="hub", service="batch"), 0)
        self.assert_spent(count)
        sink, address, port = self.sink(STORE, port=443)
        self.assertIsNone(self.lab.call(far.connect_error, address, port, host="hub", service="batch"))
        sink.task.kill()

    def test_forged_tcp_headers_are_charged(self):
        count = self.payers_budget()
        self.lab.call(far.raw_give, self.lab.hosts[PAYER].v4, bare_tcp4, 5000, socket.IPPROTO_TCP,
                      host="hub", service="batch")
        self.assert_spent(count)

    def test_extension_headers_before_forged_tcp_headers_are_charged(self):
        count, address = self.payers_budget(), self.lab.hosts[PAYER].v6
        self.lab.call(far.raw_give, address, lambda _: bare_tcp6(address), 500, host="hub", service="batch")
        self.assert_spent(count)

    def test_small_messages_of_a_partner_are_all_acknowledged(self):
        port = next(self.ports)
        self.lab.start(listen_to_chat, HUB[4], port, b"", host="hub", service="batch")
        far.wait_listening(self.lab, "hub", HUB[4], port)
        self.assertEqual(self.lab.call(chat, HUB[4], port, far.HOSTS[NORD][0][0], 3000, 4, host=NORD), 3000)

    # ---- each fragment repeats the header ----------------------------------------------------------

    def assert_counted(self, family, level, option, value):
        """What weir counts as sent is never less than the wire carried, whatever a fragment repeats."""
        before = self.guard.partner(STORE)["sent_bytes"]
        count = far.Count(self.lab, STORE)
        self.addCleanup(count.stop)
        self.lab.call(give_in_fragments, self.lab.hosts[STORE].address(family), level, option, value, 5,
                      host="hub", service="batch")
        self.assertGreater(count.settle().ip_bytes, 150000, "the approved datagrams did not arrive")
        sent = self.guard.partner(STORE)["sent_bytes"] - before
        self.assertGreaterEqual(sent, count.ip_bytes)
        self.assertLess(sent, 3 * count.ip_bytes)

    def test_fragments_with_ip_options(self):
        self.assert_counted(4, socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x01" * 40)

    def test_fragments_for_a_smaller_mtu_of_the_socket(self):
        self.assert_counted(6, socket.IPPROTO_IPV6, 24, struct.pack("i", 1280))  # IPV6_MTU

    def test_fragments_with_hop_by_hop_headers(self):
        for size in (256, 1024):
            with self.subTest(size=size):
                self.assert_counted(6, socket.IPPROTO_IPV6, socket.IPV6_HOPOPTS, hop_by_hop(size))

    # ---- the address in the header is not where the packet goes --------------------------------------

    def arrived(self, function, *args, service="batch"):
        """IP bytes at the router, the first hop, while function runs; nothing else sends."""
        count = far.Count(self.lab, self.lab.router)
        self.lab.call(function, *args, host="hub", service=service)
        got = count.settle().laden
        count.stop()
        return got

    def assert_refused(self, bad, good, *args):
        """`bad` reaches the router only from where nothing is guarded; `good` also from batch."""
        self.assertGreater(self.arrived(*bad, *args, service=None), 18000, "the test itself cannot send this")
        self.assertLess(self.arrived(*bad, *args), 1000)  # no more than neighbour discovery
        self.assertGreater(self.arrived(*good, *args), 18000)

    def test_ipv6_packets_to_a_mapped_address(self):
        """::ffff:192.0.2.66 would stand for the partner, and the next hop is anyone's."""
        store, stranger = self.lab.hosts[STORE], self.lab.hosts["stranger"]
        payload = far.udp(443, bytes(1000))
        self.assert_refused((far.raw_give, stranger.v6, lambda _: far.ip6(17, payload, "::ffff:" + store.v4)),
                            (far.raw_give, store.v6, lambda _: far.ip6(17, payload, store.v6)), 20)

    def test_routing_header_with_segments_left(self):
        store, stranger = self.lab.hosts[STORE].v6, self.lab.hosts["stranger"].v6

        def routed(left):
            header = struct.pack("!BBBBBBH", 17, 2, 4, left, 0, 0, 0) + socket.inet_pton(socket.AF_INET6, stranger)
            return lambda _: far.ip6(socket.IPPROTO_ROUTING, header + far.udp(443, bytes(1000)), store)
        self.assert_refused((far.raw_give, store, routed(1)), (far.raw_give, store, routed(0)), 20)

    def test_source_route_in_a_raw_header(self):
        store, stranger = self.lab.hosts[STORE].v4, self.lab.hosts["stranger"].v4
        payload = far.udp(443, bytes(1000))

        def packet(options):
            return lambda _: far.ip4(17, payload, store, options=options)
        for kind in (131, 137):  # loose, strict
            for before in (b"", b"\x01" + bytes([68, 4, 5, 0])):
                with self.subTest(kind=kind, before=before):
                    route = before + bytes([kind, 7, 4]) + socket.inet_aton(stranger)
                    route += b"\x01" * (-len(route) % 4)
                    self.assert_refused((far.raw_give, store, packet(route)),
                                        (far.raw_give, store, packet(b"\x01" * 8)), 20)

    def test_source_route_by_a_socket_option(self):
        store, stranger = self.lab.hosts[STORE].v4, self.lab.hosts["stranger"].v4
        self.assert_refused((route_by_option, stranger, store, 20), (far.udp_give, store, 443, 1000, 20))


def leak(address, seconds):
    """Raw UDP packets to two ports in turn; how many were tried."""
    packets, tried = [far.udp(port, b"leak") for port in (100, 200)], 0
    end = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
        while time.monotonic() < end:
            for packet in packets * 50:
                tried += 1
                try:
                    raw.sendto(packet, (address, 0))
                except OSError:
                    pass
    return tried


def turned(is_turned):
    """One policy, with the two services in the other order: each has the index of the other."""
    result = policy([grant("x", "a-sftp" if is_turned else "sftp", STORE, calls=["udp/100", "udp/200"])],
                    {"serves": "deny", "calls": "deny", "on_breach": "hold"})
    services = result["services"]
    first = {"a-sftp": services.pop("sftp")} if is_turned else {"batch": services.pop("batch")}
    result["services"] = dict(first, **services)
    return result


class HalfAPolicy(LabCase):
    policy = turned(False)

    def test_no_packet_is_judged_by_two_policies(self):
        """The service is looked up in one, the grant in the other: batch would get sftp's grant."""
        address = self.lab.hosts[STORE].v4
        count = far.Count(self.lab, STORE)
        self.addCleanup(count.stop)
        tasks = [self.lab.start(leak, address, 7 * SLOWNESS, host="hub", service="batch") for _ in range(2)]
        end, switches = time.monotonic() + 6 * SLOWNESS, 0
        while time.monotonic() < end:
            switches += 1
            self.guard.apply(turned(switches % 2 == 1))
        self.assertGreater(min(task.result(60) for task in tasks), 1000)
        self.assertGreater(switches, 10 if SLOWNESS == 1 else 3)
        self.assertEqual(count.settle().ip_bytes, 0)
        self.lab.call(far.udp_give, address, 100, 1000, 20, host="hub", service="sftp")
        self.assertEqual(count.settle().udp_payload, 20000)


class Vital(LabCase):
    """What must get through whatever the policy says: through it goes, and no more than that."""
    policy = POLICY

    def test_lifeline_learns_a_smaller_mtu_while_all_is_cut(self):
        """The router's "too big" comes from an address that nobody named."""
        router = ["ip", "-n", self.lab.router, "link", "set", "admin", "mtu"]
        subprocess.run(router + ["1300"], check=True)
        self.addCleanup(subprocess.run, router + ["1500"], check=True)
        self.guard.cut("all")
        self.addCleanup(self.guard.reopen, "all")
        batch = self.pour()
        for family in (4, 6):
            with self.subTest(family=family):
                self.lab.start(far.pour, far.ADMIN[family], 22, host="hub", service="admin")
                far.wait_listening(self.lab, "hub", far.ADMIN[family], 22)
                got, _ = self.lab.call(far.tcp_take, far.ADMIN[family], 22, None, 4.0, b"go\n", 2 * MIB, host="admin")
                self.assertGreaterEqual(got, 2 * MIB)
        self.assertEqual(self.take(NORD, batch, seconds=0.7), 0)

    def test_cut_does_not_end_connections_between_own_addresses(self):
        port = self.pour(send=_drip)
        count = far.Count(self.lab, NORD)
        own = self.lab.start(far.tcp_take, HUB[4], port, None, 2.0, b"go\n", 150, host="hub", service="batch")
        other = self.lab.start(far.tcp_take, HUB[4], port, None, 4.0, b"go\n", 1 << 40, host=NORD)
        wait_for(lambda: count.tcp_payload > 10, 5, "the partner's connection")
        self.guard.cut("all")
        self.addCleanup(self.guard.reopen, "all")
        self.assertNotEqual(other.result()[1], "limit")
        got, how = own.result()
        self.assertEqual((got, how), (150, "limit"))

    def dhcp(self, family, service, number):
        client, server = (68, 67) if family == 4 else (546, 547)
        return self.lab.call(send_from, HUB[family], client, self.lab.hosts["stranger"].address(family), server,
                             number, host="hub", service=service)

    def test_dhcp_client_renews_at_a_rate(self):
        for family, service in ((4, "portal"), (6, "sftp")):
            with self.subTest(family=family):
                count = far.Count(self.lab, "stranger")
                self.addCleanup(count.stop)
                self.assertEqual(self.dhcp(family, service, 10), 10)
                self.assertEqual(count.settle().udp_payload, 10 * 300)
                self.dhcp(family, service, 1000)
                self.assertLessEqual(count.settle().ip_bytes, RATE)
                count.stop()

    def test_dhcp_client_renews_while_all_is_cut(self):
        self.guard.cut("all")
        self.addCleanup(self.guard.reopen, "all")
        count = far.Count(self.lab, "stranger")
        self.addCleanup(count.stop)
        self.assertEqual(self.dhcp(4, "session", 10), 10)
        self.assertEqual(count.settle().udp_payload, 10 * 300)

    def test_router_solicitations_have_a_rate(self):
        count = far.Count(self.lab, self.lab.router)
        self.addCleanup(count.stop)
        self.lab.call(solicit, 3, host="hub", service="ftp")
        self.assertGreater(count.settle().other_payload, 0)
        self.lab.call(solicit, 5000, host="hub", service="ftp")
        self.assertLessEqual(count.settle().other_payload, RATE)


def _drip(connection):
    connection.sendall(b"x")
    time.sleep(0.02)


def send_from(source, source_port, address, port, number):
    """Datagrams of 300 bytes by sendto; how many the kernel took."""
    sent = 0
    with socket.socket(far.family_of(address), socket.SOCK_DGRAM) as client:
        client.bind((source, source_port))
        for _ in range(number):
            try:
                client.sendto(bytes(300), (address, port))
                sent += 1
            except OSError:
                pass
    return sent


def solicit(number):
    """Router solicitations with 76 bytes of the sender's choice."""
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        raw.bind((HUB[6], 0))
        link = socket.if_nametoindex("uplink0")
        for _ in range(number):
            try:
                raw.sendto(struct.pack("!BBHI", 133, 0, 0, 0) + os.urandom(76), ("ff02::2", 0, 0, link))
            except OSError:
                pass


def call_after_word(source_port, port, number):
    """Waits for a datagram, then sends `number` to who sent it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((HUB[4], source_port))
        client.settimeout(5)
        _, peer = client.recvfrom(100)
        for _ in range(number):
            try:
                client.sendto(bytes(1000), (peer[0], port))
            except OSError:
                pass


def speak_first(source, port, target_port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.bind((source, port))
        client.sendto(b"x", (HUB[4], target_port))


def answer_to_go(address, port):
    """Answers each "go" with ten datagrams, and nothing else."""
    with socket.socket(far.family_of(address), socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE: none is lost here
        server.bind((address, port))
        while True:
            data, peer = server.recvfrom(64)
            for _ in range(10 if data == b"go" else 0):
                try:
                    server.sendto(bytes(1000), peer)
                except OSError:
                    pass


GRE = 47


def speak_too_early(peer, shared):
    """Sends to `peer` before that has spoken, and ten times after; the names of the errnos."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, GRE) as raw:
        def send():
            try:
                raw.sendto(bytes(1000), (peer, 0))
                return None
            except OSError as error:
                return errno.errorcode[error.errno]
        raw.settimeout(5)
        early = send()
        shared[0] = 1
        raw.recv(2048)
        return early, [send() for _ in range(10)]


class SpokeFirst(LabCase):
    """Datagrams: who spoke first."""
    policy = POLICY

    def word_and_call(self, host, source):
        """Payload bytes that reach `source`, which spoke first, of a call of 300,000."""
        port = 10000 + next(self.ports)
        count = far.Count(self.lab, host, source)
        task = self.lab.start(call_after_word, port, 443, 300, host="hub", service="batch")
        far.wait_for_udp(self.lab, "hub", port)
        self.lab.call(speak_first, source, 443, port, host=host)
        task.result()
        got = count.settle().udp_payload
        count.stop()
        return got

    def check(self):
        self.assertEqual(self.word_and_call(STORE, self.lab.hosts[STORE].v4), 300 * 1000)
        self.assert_bounded(self.word_and_call("stranger", self.stranger()))

    def test_granted_call_goes_on_after_the_partner_spoke_first(self):
        self.check()

    def test_granted_call_goes_on_where_strangers_are_not_served(self):
        self.guard.apply(policy(GRANTS, dict(STRANGERS, serves="deny")))
        self.addCleanup(self.guard.apply, POLICY)
        self.check()
        self.assertEqual(self.word_and_call("stranger", self.stranger()), 0)

    def test_refusal_before_the_partner_spoke_is_none_after(self):
        self.guard.apply(policy([grant("tunnel", "batch", NORD, serves="proto/%d" % GRE)], STRANGERS))
        self.addCleanup(self.guard.apply, POLICY)
        shared, address = mmap.mmap(-1, 4096), self.lab.hosts[NORD].v4
        task = self.lab.start(speak_too_early, address, shared, host="hub", service="batch")
        self.addCleanup(task.kill)
        wait_for(lambda: shared[0], 5, "the early word")
        self.lab.call(far.raw_give, HUB[4], lambda _: bytes(8), 1, GRE, host=NORD)
        self.assertEqual(task.result(), ("EPERM", [None] * 10))

    def flood_in_sueds_name(self):
        """At a server, whose port is the answer."""
        port = next(self.ports)
        self.lab.start(answer_to_go, HUB[4], port, host="hub", service="batch")
        far.wait_for_udp(self.lab, "hub", port)

        def forge(place):
            return far.ip4(socket.IPPROTO_UDP, far.udp(port, b"q", 1024 + place % 60000), HUB[4],
                           "198.51.100.%d" % (18 + place % 12))
        self.assertEqual(self.lab.call(far.raw_give, HUB[4], forge, 60000, socket.IPPROTO_RAW, 50,
                                       host="stranger", timeout=60), 60000)
        return port

    def assert_answered(self, host, port):
        source = self.lab.hosts[host].v4
        self.assertEqual([self.lab.call(far.udp_take, HUB[4], port, source, 0.6, host=host) for _ in range(5)],
                         [10000] * 5)

    def test_flood_in_one_partners_name_takes_nothing_from_another(self):
        port = self.flood_in_sueds_name()
        self.assert_answered(NORD, port)
        source = self.stranger()
        self.assert_bounded(sum(self.lab.call(far.udp_take, HUB[4], port, source, 0.3, host="stranger")
                                for _ in range(10)))

    def test_flood_in_the_name_of_one_with_the_same_share(self):
        """Names that fall into one share of the table of who spoke first (spoke_base(), bpf/spoke.bpf.h)."""
        other = json.loads(json.dumps(POLICY).replace('"%s"' % SUED, '"klinik-40"'))
        self.guard.apply(other)
        self.addCleanup(self.guard.apply, POLICY)
        port = self.flood_in_sueds_name()
        self.assert_answered(NORD, port)


def connect_from_many(address, port, prefix, number):
    """Opens and resets a connection from each of many addresses; how many were made."""
    made = 0
    for place in range(number):
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND
            client.settimeout(2)
            try:
                client.bind((prefix + "%x" % (place + 1), 0))
                client.connect((address, port))
                made += 1
            except OSError:
                pass
    return made


def hold_until(address, port, flag):
    with socket.create_connection((address, port)):
        while not os.path.exists(flag):
            time.sleep(0.01)


def accept_and_keep(address, port):
    """Never closes what it accepts."""
    server, kept = far._listen(address, port), []
    while True:
        kept.append(server.accept())


class Holders(LabCase):
    """calls_back is for who holds a connection, and who held one leaves nothing behind."""
    policy = policy([grant("ftp", "batch", [NORD, SUED], serves="tcp/7000-7999", calls_back="tcp/20000-20100"),
                     grant("plain", "portal", [NORD, SUED], serves="tcp/7000-7999")], STRANGERS)

    def holders(self):
        path = "/sys/fs/bpf/weir/%s/holders" % self.lab.instance
        done = subprocess.run(["bpftool", "map", "dump", "pinned", path, "-j"], capture_output=True, text=True,
                              check=True)
        return len(json.loads(done.stdout))

    def sink_to_call_back(self, port):
        _, address, _ = self.sink(SUED, port=port)
        return lambda: self.lab.call(far.connect_error, address, port, host="hub", service="batch")

    def hold(self, port, flag):
        """A connection of klinik-sued's that stays until the file `flag` is there."""
        task = self.lab.start(hold_until, HUB[4], port, flag, host=SUED)
        self.addCleanup(task.kill)
        return task

    def test_many_connections_of_one_partner_leave_nothing_behind(self):
        prefix, flag = "2001:db8:1:0:1::", self.lab.path("enough")
        self.lab.run(["ip", "-6", "route", "add", "local", prefix + "/80", "dev", "lo"], NORD)
        subprocess.run(["ip", "-n", self.lab.router, "-6", "route", "add", prefix + "/80", "via", "2001:db8:1::2"],
                       check=True)
        many, port = self.pour(family=6), self.pour()
        call_back = self.sink_to_call_back(20001)
        made = self.lab.call(connect_from_many, HUB[6], many, prefix, 1000, host=NORD, timeout=60)
        self.assertEqual(made, 1000)
        wait_for(lambda: self.holders() < 20, 5, "the holders to go")
        self.assertEqual(call_back(), "EPERM")
        self.hold(port, flag)
        wait_for(lambda: self.holders() >= 1, 5, "the holder")
        self.assertIsNone(call_back())
        open(flag, "w", encoding="utf-8").close()
        wait_for(lambda: self.holders() == 0, 5, "the holder to go")
        self.assertEqual(call_back(), "EPERM")

    def test_connection_that_the_partner_has_closed_is_not_held(self):
        """The service keeps its end of it: that is not the partner's doing."""
        flag, port = self.lab.path("enough-3"), next(self.ports)
        self.lab.start(accept_and_keep, HUB[4], port, host="hub", service="batch")
        far.wait_listening(self.lab, "hub", HUB[4], port)
        call_back = self.sink_to_call_back(20002)
        task = self.hold(port, flag)
        wait_for(lambda: call_back() is None, 5, "the holder")
        open(flag, "w", encoding="utf-8").close()
        task.result()
        wait_for(lambda: self.holders() == 0, 5, "the holder to go")
        self.assertEqual(call_back(), "EPERM")

    def test_service_that_calls_nobody_back_notes_no_holders(self):
        flag = self.lab.path("enough-2")
        port = self.pour("portal")
        count = far.Count(self.lab, SUED)
        self.addCleanup(count.stop)
        self.hold(port, flag)
        wait_for(lambda: count.packets > 0, 5, "the connection")
        pause(0.2)
        self.assertEqual(self.holders(), 0)
        open(flag, "w", encoding="utf-8").close()
