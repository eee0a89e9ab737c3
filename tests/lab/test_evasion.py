# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""More ways out that the kernel offers: each meets the same verdict (SCENARIOS, last part)."""
import array
import ctypes
import errno
import mmap
import os
import socket
import struct
import time

from case import B, HUB, KIB, MIB, NORD, PAYER, STORE, STRANGERS, SUED, LabCase, far, pause, wait_for
from guard import grant, policy
from lab import HOSTS

UDPLITE = 136
POLICY = policy([grant("pour", "batch", ["klinik-nord", "klinik-sued"],
                       serves=["tcp/7000-7999", "udp/7000-7999", "udplite/7000-7999"]),
                 grant("archive", "batch", STORE, calls=["tcp/443", "udp/443", "udplite/443", "icmp", "proto/47"]),
                 grant("side", "portal", NORD, serves="tcp/7000-7999")], STRANGERS)


def _file(size=64 << 20):
    path = "/tmp/weir-lab-%d-0-file" % os.getpid()
    with open(path, "wb") as file:
        file.truncate(size)
    descriptor = os.open(path, os.O_RDONLY)
    os.unlink(path)
    return descriptor


def by_sendfile(connection):
    descriptor = _file()
    offset = 0
    while True:
        sent = os.sendfile(connection.fileno(), descriptor, offset, MIB)
        offset = 0 if sent == 0 else offset + sent


def by_splice(connection):
    descriptor, (read, write) = _file(), os.pipe()
    while True:
        moved = os.splice(descriptor, write, 1 << 16, offset_src=0)
        while moved:
            moved -= os.splice(read, connection.fileno(), moved)


def by_zerocopy(connection):
    connection.setsockopt(socket.SOL_SOCKET, 60, 1)  # SO_ZEROCOPY
    block = mmap.mmap(-1, 1 << 16)
    while True:
        try:
            connection.send(block, 0x4000000)  # MSG_ZEROCOPY
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            try:
                connection.recvmsg(1, 1024, socket.MSG_ERRQUEUE)
            except BlockingIOError:
                time.sleep(0.001)


def by_small_writes(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        connection.send(b"x" * 100)


def by_urgent_data(connection):
    while True:
        connection.send(far.CHUNK[:1000], socket.MSG_OOB)


def by_io_uring(connection):
    """IORING_OP_SEND on a ring of its own, without a library."""
    libc = ctypes.CDLL(None, use_errno=True)
    parameters = bytearray(120)
    block = (ctypes.c_char * 120).from_buffer(parameters)
    ring = libc.syscall(425, 8, block)
    if ring < 0:
        raise OSError(ctypes.get_errno(), "io_uring_setup")
    words = struct.unpack("30I", parameters)
    sq, cq = words[10:18], words[20:28]  # head tail mask entries flags dropped array | ... cqes
    size = max(sq[6] + 4 * words[0], cq[5] + 16 * words[1])
    rings = mmap.mmap(ring, size, offset=0)
    entries = mmap.mmap(ring, 64 * words[0], offset=0x10000000)
    data = ctypes.create_string_buffer(1 << 16)
    while True:
        struct.pack_into("<BBHiQQIIQ", entries, 0, 26, 0, 0, connection.fileno(), 0,
                         ctypes.addressof(data), len(data), 0, 0)
        tail = struct.unpack_from("I", rings, sq[1])[0]
        struct.pack_into("I", rings, sq[6] + 4 * (tail & 7), 0)
        struct.pack_into("I", rings, sq[1], tail + 1)
        if libc.syscall(426, ring, 1, 1, 1, None, 0) < 0:
            raise OSError(ctypes.get_errno(), "io_uring_enter")
        head = struct.unpack_from("I", rings, cq[0])[0]
        result = struct.unpack_from("<Qi", rings, cq[5] + 16 * (head & struct.unpack_from("I", rings, cq[2])[0]))[1]
        struct.pack_into("I", rings, cq[0], head + 1)
        if result < 0:
            raise OSError(-result, "send")


class Answering(LabCase):
    """Other ways to send on a connection that a stranger opened."""
    policy = POLICY

    def check(self, send=None, prepare=None, family=4, address=None, service="batch"):
        port = self.pour(service, family, send, prepare, address)
        got = self.lab.call(far.tcp_take_many, HUB[family], port, self.stranger(family), 4, 1.0, host="stranger")
        self.assertGreater(got, 0)
        self.assert_bounded(got)
        self.assert_passes(NORD, port, family, MIB)

    def test_sendfile(self):
        self.check(by_sendfile)

    def test_splice(self):
        self.check(by_splice)

    def test_zerocopy(self):
        self.check(by_zerocopy)

    def test_io_uring(self):
        self.check(by_io_uring)

    def test_small_writes(self):
        self.check(by_small_writes)

    def test_urgent_data(self):
        self.check(by_urgent_data)

    def test_ipv4_on_an_ipv6_socket(self):
        self.check(address="::")

    def test_cgroup_below_the_service(self):
        self.check(service="system.slice/batch.service/session-1/deeper")

    def test_cgroup_deep_below_the_service(self):
        """Of a path the topmost 8 components count, whatever is below these; up to 63 levels are walked."""
        for levels in (7, 8, 9, 16, 17, 63):
            with self.subTest(levels=levels):
                self.check(service="system.slice/batch.service" + "/d" * (levels - 2))

    def test_cgroup_too_deep_is_no_service(self):
        """No grant is its own, and that it could not be read is counted."""
        before = self.guard.status()["lost"]["cgroup-unread"]
        port = self.pour("system.slice/batch.service" + "/d" * 62)
        self.assert_bounded(self.take(NORD, port))
        self.assertGreater(self.guard.status()["lost"]["cgroup-unread"], before)
        self.assert_passes(NORD, self.pour(), size=MIB)

    def test_another_address_of_the_partner(self):
        """S25: a partner's new address inside its prefix."""
        port = self.pour()
        got = self.take(NORD, port, far.HOSTS[NORD][0][1], limit=MIB)
        self.assertGreaterEqual(got, MIB)
        self.assert_bounded(self.take("stranger", port, self.stranger()))

    def test_address_of_a_partner_taken_by_nobody_else(self):
        """One /56 is one peer: other addresses in it share its budget."""
        port = self.pour(family=6)
        for address in ("2001:db8:bad:1b01::2", "2001:db8:bad:1bff::2"):
            self.lab.run(["ip", "addr", "add", address + "/40", "dev", "eth0", "nodad"], "stranger")
        got = sum(self.lab.call(far.tcp_take, HUB[6], port, address, 1.0, host="stranger")[0]
                  for address in ("2001:db8:bad:1b00::2", "2001:db8:bad:1b01::2", "2001:db8:bad:1bff::2"))
        self.assertGreater(got, 0)
        self.assert_bounded(got)
        self.assert_passes(NORD, port, 6, MIB)

    def test_udplite_answers(self):
        self.needs("UDP-Lite", socket.SOCK_DGRAM, UDPLITE)
        port = next(self.ports)
        self.lab.start(far.udp_answer, HUB[4], port, 1000, 1000, UDPLITE, host="hub", service="batch")
        far.wait_for_udp(self.lab, "hub", port)
        got = self.lab.call(far.udp_take, HUB[4], port, self.stranger(), 1.0, UDPLITE, host="stranger")
        fair = self.lab.call(far.udp_take, HUB[4], port, far.HOSTS[NORD][0][0], 1.0, UDPLITE, host=NORD)
        self.assert_bounded(got)
        self.assertEqual(fair, 1000000)

    def test_mptcp_is_refused_at_creation(self):
        def create(protocol):
            try:
                socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol).close()
                return None
            except OSError as error:
                return error.errno
        for service in ("batch", "portal", "session"):
            self.assertIsNotNone(self.lab.call(create, 262, host="hub", service=service))
            self.assertIsNone(self.lab.call(create, 6, host="hub", service=service))


def fast_open(address, port, data):
    with socket.socket(far.family_of(address), socket.SOCK_STREAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 2, 0))
        try:
            return client.sendto(data, socket.MSG_FASTOPEN, (address, port))
        except OSError as error:
            return -error.errno


def raw_ipv4(address, protocol, size, header_included):
    """Raw IPv4 packets; with IP_HDRINCL the program writes the header itself. Number sent."""
    sent = 0
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, 255 if header_included else protocol) as raw:
        for _ in range(20):
            payload = bytes(size)
            if protocol == socket.IPPROTO_UDP:
                payload = struct.pack("!HHHH", 7, 443, 8 + size, 0) + payload
            if header_included:
                payload = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0,
                                      socket.inet_aton(HUB[4]), socket.inet_aton(address)) + payload
            try:
                raw.sendto(payload, (address, 0))
                sent += 1
            except OSError:
                pass
    return sent


def ping(address, kind, size):
    """Echo requests over a raw socket, or a ping socket; number sent."""
    is6 = ":" in address
    protocol = socket.IPPROTO_ICMPV6 if is6 else socket.IPPROTO_ICMP
    sent = 0
    with socket.socket(far.family_of(address), kind, protocol) as pinger:
        packet = struct.pack("!BBHHH", 128 if is6 else 8, 0, 0, 1, 1) + bytes(size)
        total = sum(struct.unpack("!%dH" % (len(packet) // 2), packet))
        total = (total >> 16) + (total & 0xffff)
        packet = packet[:2] + struct.pack("!H", 0 if is6 else ~(total + (total >> 16)) & 0xffff) + packet[4:]
        for _ in range(20):
            try:
                pinger.sendto(packet, (address, 0))
                sent += 1
            except OSError:
                pass
    return sent


def call_then_serve(port, address):
    """Calls by a socket that afterwards listens, and gives to who calls it there without end."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind((HUB[4], port))
    sock.settimeout(5)
    sock.connect((address, 443))
    sock.sendall(b"x" * 1000)
    if ctypes.CDLL(None).connect(sock.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16):
        raise OSError("it stays connected")
    sock.settimeout(None)
    sock.listen()
    connection, _ = sock.accept()
    while True:
        connection.sendall(far.CHUNK[:1000])


def call_again(address, port, ends):
    """
    Calls, and calls again by the same socket: from a port that another call to there has, and then, once `ends`
    says so, where nobody listens. The names of the errnos.
    """
    errors = []
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client, \
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        for one in (client, other):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # it leaves its port at once
        other.connect((address, port))
        client.connect((address, port))
        client.sendall(b"x" * 1000)
        while not ends[0]:
            time.sleep(0.01)
        for taken in (True, False):
            if ctypes.CDLL(None).connect(client.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16):
                raise OSError("it stays connected")
            if taken:
                client.bind(other.getsockname())
            else:
                while ends[0] < 2:
                    time.sleep(0.01)
                other.close()
            errors.append(errno.errorcode.get(client.connect_ex((address, port))))
            ends[1] = 1
    return errors


def serve_then_call(port, size):
    """Takes a call, and then calls back by the socket that took it; the bytes that it got rid of."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind((HUB[4], port))
        server.listen()
        connection, peer = server.accept()
    connection.settimeout(3)
    connection.sendall(b"x" * 1000)
    connection.recv(1)  # until it has come
    if ctypes.CDLL(None).connect(connection.fileno(), struct.pack("H14x", socket.AF_UNSPEC), 16):
        raise OSError("it stays connected")
    sent = 0
    try:
        for _ in range(50):
            if connection.connect_ex(peer) == 0:
                break
            time.sleep(0.1)
        while sent < size:
            sent += connection.send(far.CHUNK[:min(1000, size - sent)])
    except OSError:
        pass
    return sent


def call_then_listen(address, source_port, port, shared):
    """Calls, and then is called at the port that it called from; counts what comes."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind((address, source_port))
        client.connect((HUB[4], port))
        got = 0
        while got < 1000:
            got += len(client.recv(1000))
        client.send(b"y")
        try:
            client.recv(1)
        except ConnectionResetError:
            pass
    far.sink(address, source_port, shared)


def call_across(source, target, port, shared=None, size=0):
    """Calls from the same port that it calls, as the other end does at the same time. Sends, or counts what comes."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.bind((source, port))
        client.settimeout(3)
        try:
            client.connect((target, port))
            while size:
                size -= client.send(far.CHUNK[:min(1000, size)])
            part = b"x"
            while shared and part:
                part = client.recv(1 << 18)
                struct.pack_into("Q", shared, 0, struct.unpack_from("Q", shared, 0)[0] + len(part))
        except OSError as error:
            return errno.errorcode.get(error.errno, "timeout")
    return None


def call_from(address, source_port, port):
    """The bytes that come until two seconds bring none."""
    got = 0
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        client.bind((address, source_port))
        client.settimeout(2)
        try:
            client.connect_ex((HUB[4], port))  # it may be over by then: what came is there all the same
            part = b"x"
            while part and got < 8 * MIB:
                part = client.recv(1 << 18)
                got += len(part)
        except OSError:
            pass
    return got


class Calling(LabCase):
    """Other ways to send to who has no grant."""
    policy = POLICY

    def arrived(self, function, *args, service="portal", host="stranger"):
        """Payload bytes that reach the host while function runs in the service."""
        count = far.Count(self.lab, host)
        self.lab.call(function, *args, host="hub", service=service)
        got = count.settle().payload
        count.stop()
        return got

    def test_tcp_fast_open(self):
        for family in (4, 6):
            sink, address, port = self.sink("stranger", family)
            self.assertEqual(self.arrived(fast_open, address, port, b"x" * 1000), 0)
            self.assertEqual(sink.bytes, 0)
            sink, address, port = self.sink(STORE, family, 443)
            self.lab.call(fast_open, address, port, b"x" * 1000, host="hub", service="batch")
            wait_for(lambda: sink.bytes == 1000, 5, "the store's data")
            sink.task.kill()

    def test_udplite(self):
        self.needs("UDP-Lite", socket.SOCK_DGRAM, UDPLITE)
        for connected in (False, True):
            sink, address, port = self.sink("stranger", udp=True, protocol=UDPLITE)
            self.assertEqual(self.arrived(far.udp_give, address, port, 1000, 20, connected, UDPLITE), 0)
            self.assertEqual(sink.bytes, 0)
        sink, address, port = self.sink(STORE, 4, 443, True, UDPLITE)
        self.lab.call(far.udp_give, address, port, 1000, 20, False, UDPLITE, host="hub", service="batch")
        wait_for(lambda: sink.bytes == 20000, 5, "the store's data")
        sink.task.kill()

    def test_sctp(self):
        def associate(address, port):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132) as client:
                client.settimeout(2)
                try:
                    client.connect((address, port))
                except OSError:
                    pass
        self.needs("SCTP", socket.SOCK_STREAM, 132)
        self.assertEqual(self.arrived(associate, self.lab.hosts["stranger"].v4, 443), 0)
        self.assertGreater(self.arrived(associate, self.lab.hosts["stranger"].v4, 443, service=None), 0)

    def test_raw_ipv4_with_own_header(self):
        for protocol in (socket.IPPROTO_UDP, 47, 253):
            self.assertEqual(self.arrived(raw_ipv4, self.lab.hosts["stranger"].v4, protocol, 1000, True), 0)
        self.assertGreater(self.arrived(raw_ipv4, self.lab.hosts[STORE].v4, socket.IPPROTO_UDP, 1000, True,
                                        service="batch", host=STORE), 19000)

    def test_raw_ipv4(self):
        for protocol in (47, 253):
            self.assertEqual(self.arrived(raw_ipv4, self.lab.hosts["stranger"].v4, protocol, 1000, False), 0)
        self.assertGreater(self.arrived(raw_ipv4, self.lab.hosts[STORE].v4, 47, 1000, False,
                                        service="batch", host=STORE), 19000)
        self.assertEqual(self.arrived(raw_ipv4, self.lab.hosts[STORE].v4, 253, 1000, False,
                                      service="batch", host=STORE), 0)

    def test_icmp_echo(self):
        """S17: raw sockets and ping sockets, both families."""
        for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
            for family in (4, 6):
                with self.subTest(kind=kind, family=family):
                    address = self.lab.hosts["stranger"].address(family)
                    self.assertEqual(self.arrived(ping, address, kind, 1000), 0)
                    address = self.lab.hosts[STORE].address(family)
                    self.assertGreater(self.arrived(ping, address, kind, 1000, service="batch", host=STORE), 19000)

    def test_ipv4_through_an_ipv6_socket(self):
        def mapped(kind, address, port):
            with socket.socket(socket.AF_INET6, kind) as client:
                client.settimeout(2)
                try:
                    if kind == socket.SOCK_STREAM:
                        client.connect(("::ffff:" + address, port))
                        client.sendall(b"x" * 1000)
                    else:
                        client.sendto(b"x" * 1000, ("::ffff:" + address, port))
                except OSError as error:
                    return errno.errorcode.get(error.errno)
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            is_udp = kind == socket.SOCK_DGRAM
            sink, address, port = self.sink("stranger", udp=is_udp)
            self.assertEqual(self.lab.call(mapped, kind, address, port, host="hub", service="portal"), "EPERM")
            self.assertEqual((sink.bytes, sink.connections), (0, 0))
            sink, address, port = self.sink(STORE, 4, 443, is_udp)
            self.assertIsNone(self.lab.call(mapped, kind, address, port, host="hub", service="batch"))
            wait_for(lambda: sink.bytes == 1000, 5, "the store's data")
            sink.task.kill()

    def test_socket_that_called_and_then_listens(self):
        """What it may send to whom it called is not what it may send to who calls it from there."""
        sink, address, _ = self.sink(STORE, 4, 443)
        port = next(self.ports)
        task = self.lab.start(call_then_serve, port, address, host="hub", service="batch")
        self.addCleanup(task.kill)
        wait_for(lambda: sink.bytes == 1000, 5, "the store's data")
        sink.task.kill()
        far.wait_listening(self.lab, "hub", HUB[4], port)
        got = self.lab.call(call_from, address, 443, port, host=STORE)
        self.assertGreater(got, 0, "nothing was served: this test shows nothing")
        self.assert_bounded(got)

    def test_socket_that_was_called_and_then_calls(self):
        """What it may send to who called it is not what it may send to whom it calls."""
        self.guard.apply(policy([grant("pour", "batch", NORD, serves="tcp/7000-7999"),
                                 grant("notice", "batch", NORD, ["64KiB/10m"], calls="tcp/7000-7999")], STRANGERS))
        self.addCleanup(self.guard.apply, POLICY)
        address, port, source_port = HOSTS[NORD][0][0], next(self.ports), next(self.ports)
        shared = mmap.mmap(-1, 4096)
        task = self.lab.start(serve_then_call, port, MIB, host="hub", service="batch")
        self.addCleanup(task.kill)
        far.wait_listening(self.lab, "hub", HUB[4], port)
        sink = self.lab.start(call_then_listen, address, source_port, port, shared, host=NORD)
        self.addCleanup(sink.kill)
        task.result(30)
        pause(0.3)
        got = struct.unpack_from("q", shared, 0)[0]
        self.assertGreater(got, 0, "nothing was called: this test shows nothing")
        self.assert_bounded(got)

    def test_both_call_at_once(self):
        """It is a call, though a SYN answers ours. The peer hears nothing of that one, and so sends its own."""
        self.guard.apply(policy([grant("pour", "batch", NORD, serves="tcp/7000-7999"),
                                 grant("across", "batch", NORD, ["64KiB/10m"], calls="tcp/7000-7999")], STRANGERS))
        self.addCleanup(self.guard.apply, POLICY)
        deaf = "table ip deaf { chain c { type filter hook input priority 0; tcp flags & (syn | ack) == syn drop; }; }"
        self.assertEqual(self.lab.run(["nft", deaf], NORD).returncode, 0)
        self.addCleanup(self.lab.run, ["nft", "delete table ip deaf"], NORD)
        port, address, shared = next(self.ports), HOSTS[NORD][0][0], mmap.mmap(-1, 4096)
        task = self.lab.start(call_across, HUB[4], address, port, None, MIB, host="hub", service="batch")
        self.addCleanup(task.kill)
        pause(0.3)
        far_end = self.lab.start(call_across, address, HUB[4], port, shared, host=NORD)
        self.addCleanup(far_end.kill)
        task.result()
        got = struct.unpack_from("Q", shared, 0)[0]
        self.assertGreater(got, 0, "the calls did not meet: this test shows nothing")
        self.assert_bounded(got)

    def test_socket_that_calls_again_and_is_refused(self):
        """What was acknowledged on its first connection stays acknowledged (promise 11)."""
        sink, address, port = self.sink(STORE, 4, 443)
        before, ends = self.guard.partner(STORE), mmap.mmap(-1, 4096)

        def assert_kept():
            after = self.guard.partner(STORE)
            self.assertGreater(after["sent_bytes"] - before["sent_bytes"], 1000)
            self.assertIn(after["acked_bytes"] - before["acked_bytes"], (999, 1000))  # one may be the FIN's
        task = self.lab.start(call_again, address, port, ends, host="hub", service="batch")
        self.addCleanup(task.kill)
        wait_for(lambda: sink.bytes == 1000, 5, "the store's data")
        ends[0] = 1
        wait_for(lambda: ends[1], 5, "the second call")
        assert_kept()
        sink.task.kill()
        ends[0] = 2
        self.assertEqual(task.result(), ["EADDRNOTAVAIL", "ECONNREFUSED"])
        assert_kept()

    def test_unconnected_udp_that_changes_its_peer(self):
        """The answer for one peer is none for the next."""
        def alternate(good, bad, port, number):
            sent = [0, 0]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                for _ in range(number):
                    for place, address in enumerate((good, bad)):
                        try:
                            client.sendto(b"x" * 1000, (address, port))
                            sent[place] += 1
                        except OSError:
                            pass
            return sent
        sink, address, port = self.sink("stranger", udp=True, port=443)
        fair, good, _ = self.sink(STORE, udp=True, port=443)
        self.assertEqual(self.lab.call(alternate, good, address, 443, 20, host="hub", service="batch"), [20, 0])
        pause(0.2)
        self.assertEqual((fair.bytes, sink.bytes), (20000, 0))
        fair.task.kill()

    def test_connected_udp_that_sends_elsewhere(self):
        def astray(good, bad):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                client.connect((good, 443))
                client.send(b"x" * 1000)
                try:
                    client.sendto(b"x" * 1000, (bad, 443))
                except OSError as error:
                    return errno.errorcode[error.errno]
        sink, address, port = self.sink("stranger", udp=True, port=443)
        fair, good, _ = self.sink(STORE, udp=True, port=443)
        self.assertEqual(self.lab.call(astray, good, address, host="hub", service="batch"), "EPERM")
        wait_for(lambda: fair.bytes == 1000, 5, "the store's data")
        self.assertEqual(sink.bytes, 0)
        fair.task.kill()

    def test_fragments(self):
        """Large datagrams leave in fragments; none of them gets out."""
        for family in (4, 6):
            address = self.lab.hosts["stranger"].address(family)
            self.assertEqual(self.arrived(far.udp_give, address, 9, 60000, 5), 0)
            sink, address, port = self.sink(STORE, family, 443, True)
            self.assertEqual(self.lab.call(far.udp_give, address, port, 60000, 5, host="hub", service="batch"),
                             (5, None))
            wait_for(lambda: sink.bytes == 300000, 5, "the store's data")
            sink.task.kill()

    def test_ipv6_extension_headers(self):
        """A destination options header in front of UDP."""
        def extended(address, port):
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
                client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_DSTOPTS, struct.pack("!BBBB4x", 0, 0, 1, 4))
                for _ in range(20):
                    try:
                        client.sendto(bytes(1000), (address, port))
                    except OSError:
                        pass
        sink, address, port = self.sink("stranger", 6, udp=True)
        self.assertEqual(self.arrived(extended, address, port), 0)
        self.assertEqual(sink.bytes, 0)
        fair, address, port = self.sink(STORE, 6, 443, True)
        self.lab.call(extended, address, port, host="hub", service="batch")
        wait_for(lambda: fair.bytes == 20000, 5, "the store's data")
        fair.task.kill()


def hand_over(channel, good, bad):
    """Makes a socket here and sends its descriptor through `channel`."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        socket.socket(fileno=channel).sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                                        array.array("i", [made.fileno()]))])


def take_over(channel, address, port):
    """Takes the descriptor and uses it; the name of the errno, or None when the data was sent."""
    _, ancillary, _, _ = socket.socket(fileno=channel).recvmsg(1, socket.CMSG_SPACE(4))
    client = socket.socket(fileno=array.array("i", ancillary[0][2])[0])
    client.settimeout(2)
    try:
        client.connect((address, port))
        client.sendall(b"x" * 1000)
    except OSError as error:
        return errno.errorcode.get(error.errno, "timeout")
    return None


def move_and_connect(procs, address, port):
    """Makes a socket, moves this process to another cgroup, then connects."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
        client.settimeout(2)
        with open(procs, "w", encoding="utf-8") as file:
            file.write("0")
        try:
            client.connect((address, port))
            client.sendall(b"x" * 1000)
        except OSError as error:
            return errno.errorcode.get(error.errno, "timeout")
    return None


def pose_as(how, source, target, number, size, user):
    """Sends `number` packets in the name of `source`, an address of somebody else, to `target`; how many the kernel
    took. On IPv6 that needs no right (IPV6_FREEBIND; `user` has none), on IPv4 it takes a raw socket."""
    sent, payload, ancillary, port = 0, bytes(size), [], 9
    kind, protocol = {"echo": (socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6),
                      "raw": (socket.SOCK_RAW, socket.IPPROTO_RAW)}.get(how, (socket.SOCK_DGRAM, socket.IPPROTO_UDP))
    if how == "echo":
        payload = struct.pack("!BBHHH", 128, 0, 0, 1, 1) + payload
    elif how == "raw":
        echo = struct.pack("!BBHHH", 8, 0, 0xf7fd, 1, 1) + payload  # the sum of an echo request full of zeros
        payload = far.ip4(socket.IPPROTO_ICMP, echo, target, source)
    if user:
        os.setuid(user)
    with socket.socket(far.family_of(target), kind, protocol) as poser:
        if how != "raw":
            poser.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND
        if how in ("echo", "udp", "connected udp"):
            poser.bind((source, 0))
        if how.startswith("connected"):
            poser.connect((target, port))
        if how.endswith("message"):
            ancillary = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO,
                          struct.pack("16sI", socket.inet_pton(socket.AF_INET6, source), 0))]
        for _ in range(number):
            try:
                poser.sendmsg([payload], ancillary, 0, *([] if how.startswith("connected") else [(target, port)]))
                sent += 1
            except ConnectionRefusedError:
                sent += 1  # of the one before
            except OSError:
                pass
    return sent


def echo_once(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", port))
        data, peer = server.recvfrom(2048)
        server.sendto(data, peer)


def ask_redirected(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect((address, port))
        client.send(b"hello")
        return client.recv(100)


class Mirrors(LabCase):
    """What the host's own kernel answers goes to who seems to have asked: asked in a stranger's name, and over
    loopback, it would carry to them what was asked."""
    policy = POLICY

    def check(self, how, family=6, user=65534, number=50, size=1200):
        stranger = self.lab.hosts["stranger"].address(family)
        for target in (HUB[family], far.ADMIN[family]):
            count = far.Count(self.lab, "stranger")
            self.addCleanup(count.stop)
            self.lab.call(pose_as, how, stranger, target, number, size, user, host="hub", service="portal")
            self.assertEqual(count.settle().other_payload, 0)
        self.assertEqual(self.lab.call(pose_as, how, far.ADMIN[family], HUB[family], number, size, user,
                                       host="hub", service="portal"), number, "its own address may ask")

    def test_echo_replies(self):
        self.check("echo")

    def test_errors_that_quote(self):
        for how in ("udp", "udp by message", "connected udp", "connected udp by message"):
            with self.subTest(how=how):
                self.check(how)

    def test_echo_replies_ipv4(self):
        self.check("raw", 4, None)

    def test_in_the_name_of_a_partner(self):
        count = far.Count(self.lab, STORE)
        self.addCleanup(count.stop)
        self.lab.call(pose_as, "echo", self.lab.hosts[STORE].v6, HUB[6], 50, 1200, None, host="hub", service="batch")
        self.assertEqual(count.settle().other_payload, 0)

    def test_redirected_answers_pass(self):
        """NAT gives what a local server answers the address that was asked."""
        port, address = next(self.ports), self.lab.hosts[STORE].v4
        rules = "add table ip r; add chain ip r o { type nat hook output priority -100; }; " \
                "add rule ip r o ip daddr %s udp dport 443 redirect to :%d" % (address, port)
        done = self.lab.run(["nft", rules])
        if done.returncode:
            self.skipTest("nft: " + done.stderr)
        self.addCleanup(self.lab.run, ["nft", "delete table ip r"])
        self.lab.start(echo_once, port, host="hub", service="portal")
        far.wait_for_udp(self.lab, "hub", port)
        self.assertEqual(self.lab.call(ask_redirected, address, 443, host="hub", service="batch"), b"hello")


def hear_errors(shared):
    """Counts the payload of large ICMPv6 packets, whoever sends them."""
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x86dd))
    struct.pack_into("Q", shared, 8, 1)
    while True:
        packet, where = sniffer.recvfrom(1 << 16)
        if where[2] != 4 and packet[6] == socket.IPPROTO_ICMPV6 and len(packet) > 500:
            far._add(shared, 0, len(packet) - 48)


def forge(how, source, target, hops, number):
    """Calls a partner in a stranger's name, without any right. Returns how many packets the kernel took."""
    is_syn, sent = how == "syn", 0
    os.setgid(65534)
    os.setuid(65534)
    named = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("16sI", socket.inet_pton(socket.AF_INET6, source), 0))]
    for _ in range(number):
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM if is_syn else socket.SOCK_DGRAM) as forger:
            try:
                if hops:
                    forger.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hops)
                if how == "late":  # it has sent as itself before
                    forger.connect((target, 443))
                    forger.send(b"x" * 20)
                    time.sleep(0.02)
                    forger.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # what came of it
                forger.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND
                if how in ("bound", "syn"):
                    forger.bind((source, 0))
                if how == "syn":
                    forger.setblocking(False)
                    forger.setsockopt(socket.IPPROTO_TCP, 34, 1)  # TCP_FASTOPEN_NO_COOKIE
                    forger.sendto(bytes(1100), socket.MSG_FASTOPEN, (target, 443))
                elif how == "bound":
                    forger.sendto(bytes(1200), (target, 443))
                elif how == "named":
                    forger.sendmsg([bytes(1200)], named, 0, (target, 443))
                elif how == "late":
                    forger.sendmsg([bytes(1200)], named)
                else:  # corked: what was asked for leaves when nothing says so any more
                    forger.connect((target, 443))
                    forger.sendmsg([bytes(1100)], named, socket.MSG_MORE)
                    forger.setsockopt(socket.IPPROTO_IPV6, 78, 0)
                    forger.send(bytes(100))
                sent += 1
            except BlockingIOError:
                sent += 1  # a SYN is on its way
            except OSError:
                pass
            time.sleep(0.005)
    return sent


class Forged(LabCase):
    """What a partner's host or a router answers goes to who seems to have asked."""
    policy = POLICY

    def check(self, how):
        for hops in (0, 1):  # the partner answers, or the router before it
            with self.subTest(hops=hops):
                shared = mmap.mmap(-1, 4096)
                task = self.lab.start(hear_errors, shared, host="stranger")
                self.addCleanup(task.kill)
                wait_for(lambda: struct.unpack_from("Q", shared, 8)[0], 5, "the sniffer")
                counter = far.Count(self.lab, "stranger")
                self.addCleanup(counter.stop)
                self.lab.call(forge, how, self.lab.hosts["stranger"].v6, self.lab.hosts[STORE].v6, hops, 60, host="hub",
                              service="batch")
                counter.settle(0.5)
                self.assertEqual(struct.unpack_from("Q", shared, 0)[0], 0)
                self.assertEqual(self.lab.call(forge, how, HUB[6], self.lab.hosts[STORE].v6, 0, 5, host="hub",
                                               service="batch"), 5, "in its own name it may send")

    def test_bound(self):
        self.check("bound")

    def test_named_by_the_message(self):
        self.check("named")

    def test_connected_and_named_after_a_packet_of_its_own(self):
        self.check("late")

    def test_corked(self):
        self.check("corked")

    def test_syns_with_data(self):
        self.check("syn")


class Owners(LabCase):
    """A socket belongs to the cgroup it was made in, whoever uses it."""
    policy = POLICY

    def assert_store(self, function, *args, service, data):
        """function gets to the store on port 443 with its data, or with none of it."""
        sink, address, port = self.sink(STORE, port=443)
        error = self.lab.call(function, *args, address, port, host="hub", service=service)
        if data:
            self.assertIsNone(error)
            wait_for(lambda: sink.bytes == data, 5, "the store's data")
        else:
            pause(0.3)
            self.assertEqual(sink.bytes, 0)
        sink.task.kill()

    def handed(self, maker, user, data):
        ours, theirs = socket.socketpair()
        task = self.lab.start(hand_over, ours.fileno(), None, None, host="hub", service=maker)
        self.assert_store(take_over, theirs.fileno(), service=user, data=data)
        task.result()

    def test_socket_handed_to_a_granted_service_stays_its_makers(self):
        self.handed("portal", "batch", 0)
        self.handed("batch", "batch", 1000)

    def test_process_that_moves_keeps_its_sockets_service(self):
        procs = os.path.join(self.lab.cgroup_of("batch"), "cgroup.procs")
        self.assert_store(move_and_connect, procs, service="portal", data=0)
        self.assert_store(move_and_connect, procs, service="batch", data=1000)

    def test_listener_handed_to_another_service_is_charged_to_its_maker(self):
        """portal's listener, served by a worker of batch: the stranger's budget is portal's."""
        port = next(self.ports)
        procs = os.path.join(self.lab.cgroup_of("session"), "cgroup.procs")

        def prepare(_):
            with open(procs, "w", encoding="utf-8") as file:
                file.write("0")
        self.lab.start(far.pour, HUB[4], port, None, prepare, host="hub", service="batch")
        far.wait_listening(self.lab, "hub", HUB[4], port)
        self.assert_passes(NORD, port)  # `session` has no grant: it would stop
        self.assert_bounded(self.take("stranger", port, self.stranger()))


def join_and_connect(procs, address, port, number=1000):
    """Joins a service's cgroup, then calls; the name of the errno, or None when all was sent."""
    with open(procs, "w", encoding="utf-8") as file:
        file.write("0")
    with socket.socket(far.family_of(address), socket.SOCK_STREAM) as client:
        client.settimeout(5)
        try:
            client.connect((address, port))
            while number > 0:
                number -= client.send(far.CHUNK[:number])
        except OSError as error:
            return errno.errorcode.get(error.errno, "timeout")
    return None


class Namespaces(LabCase):
    """A process of a service in a network namespace with an uplink of its own."""
    policy = policy([grant("archive", "batch", STORE, calls="tcp/443")], STRANGERS)

    def call_from_there(self, address, port, number=1000):
        procs = os.path.join(self.lab.cgroup_of("batch"), "cgroup.procs")
        return self.lab.start(join_and_connect, procs, address, port, number, host=PAYER)

    def test_calls_are_judged_there_too(self):
        for family in (4, 6):
            sink, address, port = self.sink("stranger", family)
            self.assertEqual(self.call_from_there(address, port).result(), "EPERM")
            self.assertEqual((sink.bytes, sink.connections), (0, 0))
            sink, address, port = self.sink(STORE, family, 443)
            self.assertIsNone(self.call_from_there(address, port).result())
            wait_for(lambda: sink.bytes == 1000, 5, "the store's data")
            sink.task.kill()

    def assert_settles(self, sink):
        """Nothing comes any more, once the sink has read what it had received."""
        def is_still():
            got = sink.bytes
            pause(0.3)
            return sink.bytes == got
        wait_for(is_still, 3, "the flow to end")

    def test_cut_ends_sockets_there_too(self):
        sink, address, port = self.sink(STORE, port=443)
        task = self.call_from_there(address, port, 1 << 40)
        wait_for(lambda: sink.bytes > MIB, 10, "the call to run")
        self.guard.cut("partner:" + STORE)
        self.assertNotIn(task.result(4), (None, "timeout"))
        self.assert_settles(sink)
        self.guard.reopen("partner:" + STORE)
        self.assertIsNone(self.call_from_there(address, port).result())


class Older(LabCase):
    """Sockets that were there before the guard."""

    def setUp(self):
        if self.guard.is_pinned():
            self.guard.stop()
            self.guard.must("unload", "--yes")

    def test_old_listener_is_judged(self):
        ports = {family: self.pour(family=family) for family in (4, 6)}
        self.guard.start(POLICY)
        for family, port in ports.items():
            self.assert_bounded(self.take("stranger", port, self.stranger(family), family))
            self.assert_passes(NORD, port, family)

    def test_old_connection_of_a_stranger_is_judged(self):
        port = self.pour(send=_gently)
        source = self.stranger()
        count = far.Count(self.lab, "stranger", source)
        task = self.lab.start(far.tcp_take, HUB[4], port, source, 4, b"go\n", 1 << 40, host="stranger")
        wait_for(lambda: count.tcp_payload > KIB, 5, "the old flow")
        self.guard.start(POLICY)
        since = count.tcp_payload
        pause(3)
        self.assert_bounded(count.tcp_payload - since)
        task.kill()
        self.assert_passes(NORD, self.pour())

    def test_old_udp_socket_is_judged(self):
        sink, address, port = self.sink("stranger", udp=True)
        shared = mmap.mmap(-1, 4096)
        task = self.lab.start(_trickle, address, port, shared, host="hub", service="portal")
        wait_for(lambda: sink.bytes > 10000, 5, "the old socket's data")
        self.guard.start(POLICY)
        pause(0.1)
        got = sink.bytes
        pause(0.5)
        self.assertTrue(task.is_running())
        self.assertEqual(sink.bytes, got)
        self.assert_passes(NORD, self.pour())


def _gently(connection):
    connection.sendall(bytes(16 << 10))
    time.sleep(0.02)


def _trickle(address, port, _):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect((address, port))
        while True:
            try:
                client.send(bytes(1000))
            except OSError:
                pass
            time.sleep(0.005)


def fill_option_memory(made):
    """Attaches the largest filter that the socket's option memory holds, so that no more than a few
    bytes of it are left (SO_ATTACH_FILTER needs no right)."""
    def attach(loads, returns):
        code = [struct.pack("HBBI", 0x20, 0, 0, 0)] * loads  # ld [0]: grows when it is translated
        code += [struct.pack("HBBI", 0x00, 0, 0, 0)] * returns + [struct.pack("HBBI", 0x06, 0, 0, 0xffffffff)]
        text = ctypes.create_string_buffer(b"".join(code))
        try:
            made.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HxxxxxxP", len(code), ctypes.addressof(text)))
            return True
        except OSError:
            return False

    def most(fits, high):
        low = 0
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(middle) else (low, middle - 1)
        return low
    loads = most(lambda n: attach(n, 0), 4090)
    returns = most(lambda n: attach(loads, n), 4090 - loads)
    attach(loads, returns)


def starved_calls(address, port):
    """Calls with sockets that have no option memory left: errors of connect and of sendto."""
    errors = []
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(far.family_of(address), kind) as client:
            client.settimeout(2)
            fill_option_memory(client)
            try:
                if kind == socket.SOCK_STREAM:
                    client.connect((address, port))
                    client.sendall(b"x" * 1000)
                else:
                    client.sendto(b"x" * 1000, (address, port))
                errors.append(None)
            except OSError as error:
                errors.append(errno.errorcode.get(error.errno, "timeout"))
    return errors


class Starved(LabCase):
    """S28: a socket without option memory gets the same verdicts and the same meters."""

    @classmethod
    def prepare(cls):
        cls.old = {family: cls.pour(cls, family=family, prepare=fill_option_memory) for family in (4, 6)}
        cls.guard.start(POLICY)

    def test_listener_older_than_the_guard(self):
        for family, port in self.old.items():
            with self.subTest(family=family):
                got = self.lab.call(far.tcp_take_many, HUB[family], port, self.stranger(family), 4, 1.0,
                                    host="stranger")
                self.assert_bounded(got)
                self.assert_passes(NORD, port, family, MIB)

    def test_new_listener(self):
        port = self.pour(prepare=fill_option_memory)
        got = self.lab.call(far.tcp_take_many, HUB[4], port, self.stranger(), 4, 1.0, host="stranger")
        self.assert_bounded(got)
        self.assert_passes(NORD, port)

    def test_connection_that_starves_itself(self):
        def send(connection):
            fill_option_memory(connection)
            while True:
                connection.sendall(far.CHUNK)
        port = self.pour(send=send)
        got = self.lab.call(far.tcp_take_many, HUB[4], port, self.stranger(), 4, 1.0, host="stranger")
        self.assert_bounded(got)
        self.assert_passes(SUED, port)

    def test_calls(self):
        sink, address, port = self.sink("stranger")
        datagrams, _, _ = self.sink("stranger", udp=True, port=port)
        self.assertEqual(self.lab.call(starved_calls, address, port, host="hub", service="portal"),
                         ["EPERM", "EPERM"])
        self.assertEqual((sink.connections, datagrams.bytes), (0, 0))
        sink, address, port = self.sink(STORE, port=443)
        datagrams, _, _ = self.sink(STORE, udp=True, port=443)
        self.assertEqual(self.lab.call(starved_calls, address, port, host="hub", service="batch"), [None, None])
        wait_for(lambda: (sink.bytes, datagrams.bytes) == (1000, 1000), 5, "the store's data")


class Floods(LabCase):
    """S28: what outsiders can send in bulk opens nothing and shuts nobody out."""
    policy = POLICY

    def test_forged_syns_do_not_lock_a_partner_out(self):
        port = self.pour()
        count = far.Count(self.lab, "stranger")
        self.lab.call(_forge_syns, HUB[4], port, 3000, host="stranger")
        self.assert_passes(NORD, port)
        self.assert_passes(SUED, port)
        self.assertLess(count.settle().ip_bytes, MIB)
        self.assertEqual(self.guard.cuts(), [])


def _forge_syns(target, port, number):
    """SYNs from addresses of the strangers' prefix, by a raw socket."""
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for place in range(number):
            source = "203.0.113.%d" % (130 + place % 28)
            tcp = struct.pack("!HHIIBBHHH", 1024 + place % 60000, port, place, 0, 0x50, 2, 8192, 0, 0)
            pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!BBH", 0, 6, 20)
            total = sum(struct.unpack("!16H", pseudo + tcp))
            total = (total >> 16) + (total & 0xffff)
            tcp = tcp[:16] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + tcp[18:]
            raw.sendto(struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, socket.inet_aton(source),
                                   socket.inet_aton(target)) + tcp, (target, 0))
