# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
far.py - what happens at the far end: real clients, raw sockets, and a count of what arrived.

Everything is judged here, by bytes that a partner or a stranger really holds, never by what the host
says about itself.
"""
import errno
import hashlib
import mmap
import os
import select
import signal
import socket
import struct
import time

from lab import HOSTS, SLOWNESS

FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
HUB = {family: HOSTS["hub"][0 if family == 4 else 3][0] for family in (4, 6)}
ADMIN = {family: HOSTS["hub"][0 if family == 4 else 3][1] for family in (4, 6)}
CHUNK = bytes(1 << 16)
PLENTY = 64 << 20  # bytes after which a client without a limit stops


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def in_url(address):
    return "[%s]" % address if ":" in address else address


# ---- counting what arrives ------------------------------------------------------------------------

IDLE_SECONDS = 0.05


class Count:
    """Counts what reaches one host from the hub, in a process of its own. IP bytes are those on the
    wire: a GSO packet counts its headers once per segment. `only` limits it to some of the host's
    addresses. `unowned` are those of ip_bytes that may come from no full socket: RSTs, and bare ACKs
    after the hub's own FIN (TIME_WAIT). Below the root cgroup no guard sees these. `laden` are the IP
    bytes of packets with payload, IPv4 options or IPv6 extension headers: what can carry data; laden_ns
    is when the last of these came (time.time_ns()). `idle` counts the times that it waited IDLE_SECONDS, and
    nothing came."""

    FIELDS = ("packets", "ip_bytes", "tcp_payload", "udp_payload", "other_payload", "syn", "dropped",
              "unowned", "laden", "seen", "laden_ns", "idle")

    def __init__(self, lab, host, only=None):
        self.shared = mmap.mmap(-1, 4096)
        addresses = [only] if isinstance(only, str) else only
        packed = {socket.inet_pton(family_of(a), a) for a in addresses} if addresses else None
        self.task = lab.start(_count, self.shared, packed, host=host)
        end = time.monotonic() + 5
        while self.seen == 0:
            if time.monotonic() > end or not self.task.is_running():
                self.task.result(1)
                raise TimeoutError("the counter did not start")
            time.sleep(0.002)

    def __getattr__(self, name):
        if name not in Count.FIELDS:
            raise AttributeError(name)
        return struct.unpack_from("Q", self.shared, 8 * Count.FIELDS.index(name))[0]

    @property
    def payload(self):
        return self.tcp_payload + self.udp_payload + self.other_payload

    def settle(self, quiet=0.25, timeout=20.0):
        """Waits until nothing has arrived for `quiet` seconds, as the counter has it: it may be behind."""
        end, last, since = time.monotonic() + timeout * SLOWNESS, self.packets, self.idle
        while time.monotonic() < end and (self.idle - since - 1) * IDLE_SECONDS < quiet:
            time.sleep(0.02)
            if self.packets != last:
                last, since = self.packets, self.idle
        return self

    def stop(self):
        self.task.kill()


def _segments(payload, gso_size):
    return -(-payload // gso_size) if gso_size and payload else 1


def _transport(protocol, packet, offset):
    """Header length of a transport protocol, and TCP's flags."""
    if protocol == socket.IPPROTO_TCP:
        return (packet[offset + 12] >> 4) * 4, packet[offset + 13]
    return 8, 0


def _nanoseconds(ancillary):
    """The kernel's time of a packet; now, when it has none."""
    for _, _, data in ancillary:
        seconds, nanoseconds = struct.unpack("qq", data)
        return seconds * 10**9 + nanoseconds
    return time.time_ns()


FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10


def _count(shared, only):
    sniffer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    sniffer.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
    sniffer.setsockopt(263, 15, 1)                       # SOL_PACKET, PACKET_VNET_HDR
    sniffer.setsockopt(socket.SOL_SOCKET, 35, 1)         # SO_TIMESTAMPNS
    sniffer.settimeout(IDLE_SECONDS)
    hub = {socket.inet_pton(family_of(a), a) for index in (0, 3) for a in HOSTS["hub"][index]}
    buffer = bytearray(256)
    totals, form = [0] * len(Count.FIELDS), "%dQ" % len(Count.FIELDS)
    totals[Count.FIELDS.index("seen")] = 1
    ended = set()  # the connections on which the hub sent its FIN
    struct.pack_into(form, shared, 0, *totals)
    while True:
        try:
            _, ancillary, _, where = sniffer.recvmsg_into([buffer], 64)
        except socket.timeout:
            statistics = sniffer.getsockopt(263, 6, 8)  # PACKET_STATISTICS; reading clears it
            totals[6] += struct.unpack("II", statistics)[1]
            totals[11] += 1
            struct.pack_into(form, shared, 0, *totals)
            continue
        if where[2] == 4:  # PACKET_OUTGOING
            continue
        gso_size = struct.unpack_from("H", buffer, 4)[0] if buffer[1] else 0
        kind = struct.unpack_from("!H", buffer, 22)[0]
        packet = memoryview(buffer)[24:]
        if kind == 0x0800:
            source, target = bytes(packet[12:16]), bytes(packet[16:20])
            length, header = struct.unpack_from("!H", packet, 2)[0], (packet[0] & 15) * 4
            fragment = struct.unpack_from("!H", packet, 6)[0] & 0x1fff
            protocol = packet[9]
        elif kind == 0x86dd:
            source, target = bytes(packet[8:24]), bytes(packet[24:40])
            length, header = struct.unpack_from("!H", packet, 4)[0] + 40, 40
            protocol, fragment = packet[6], 0
            if protocol == 44:
                protocol, header = packet[40], 48
                fragment = struct.unpack_from("!H", packet, 42)[0] & 0xfff8
        else:
            continue
        if source not in hub or (only and target not in only):
            continue
        extra, flags = (0, 0) if fragment else _transport(protocol, packet, header)
        payload = max(length - header - extra, 0)
        wire = payload + _segments(payload, gso_size) * (header + extra)
        totals[0] += 1
        totals[1] += wire
        if payload or header != (20 if kind == 0x0800 else 40):
            totals[8] += wire
            totals[10] = _nanoseconds(ancillary)
        if flags:
            ports = bytes(packet[header:header + 4])
            if flags & RST or (ports in ended and not payload and not flags & FIN):
                totals[7] += wire
            if flags & FIN:
                ended.add(ports)
        place = {socket.IPPROTO_TCP: 2, socket.IPPROTO_UDP: 3}.get(protocol, 4)
        if protocol != socket.IPPROTO_ICMPV6 or payload > 64:  # neighbour discovery is no payload
            totals[place] += payload
        totals[5] += flags & (SYN | ACK) == SYN
        struct.pack_into(form, shared, 0, *totals)


# ---- raw sockets; each runs where the caller puts it ----------------------------------------------------

def tcp_take(address, port, source=None, seconds=3.0, request=b"go\n", limit=None):
    """Connects, asks, and counts bytes until the end, an error, `limit`, or `seconds` without any.
    A server that never ends is left after PLENTY.
    Returns (bytes, how it ended): "eof", "quiet", "limit" or the name of an errno."""
    got, limit = 0, limit or PLENTY
    try:
        with socket.socket(family_of(address), socket.SOCK_STREAM) as client:
            client.settimeout(seconds)
            if source:
                client.bind((source, 0))
            client.connect((address, port))
            client.sendall(request)
            while got < limit:
                part = client.recv(1 << 18)
                if not part:
                    return got, "eof"
                got += len(part)
            return got, "limit"
    except socket.timeout:
        return got, "quiet"
    except OSError as error:
        return got, errno.errorcode.get(error.errno, str(error))


def tcp_take_many(address, port, source, number, seconds=3.0):
    """tcp_take() on `number` connections at once; the bytes of all."""
    clients = []
    for _ in range(number):
        client = socket.socket(family_of(address), socket.SOCK_STREAM)
        client.settimeout(seconds)
        if source:
            client.bind((source, 0))
        try:
            client.connect((address, port))
            client.sendall(b"go\n")
            clients.append(client)
        except OSError:
            client.close()
    got, last = 0, time.monotonic()
    while clients and time.monotonic() - last < seconds and got < PLENTY:
        for client in select.select(clients, [], [], 0.1)[0]:
            try:
                part = client.recv(1 << 18)
            except OSError:
                part = b""
            if part:
                got, last = got + len(part), time.monotonic()
            else:
                clients.remove(client)
    return got


def tcp_give(address, port, size, seconds=10.0):
    """Connects and sends `size` bytes; returns bytes accepted by the peer's application, which
    answers their number (see sink())."""
    with socket.socket(family_of(address), socket.SOCK_STREAM) as client:
        client.settimeout(seconds)
        client.connect((address, port))
        left = size
        while left:
            left -= client.send(CHUNK[:left])
        client.shutdown(socket.SHUT_WR)
        return int(client.makefile().readline() or 0)


def sink(address, port, shared):
    """A server that counts the bytes it receives and the connections, and answers the number."""
    server = _listen(address, port)
    while True:
        connection, _ = server.accept()
        _add(shared, 1, 1)
        if os.fork() == 0:
            server.close()
            got = 0
            try:
                while True:
                    part = connection.recv(1 << 18)
                    if not part:
                        break
                    got += len(part)
                    _add(shared, 0, len(part))
                connection.sendall(b"%d\n" % got)
            except OSError:
                pass
            os._exit(0)
        connection.close()


def udp_sink(address, port, shared, protocol=0):
    server = socket.socket(family_of(address), socket.SOCK_DGRAM, protocol)
    server.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)  # SO_RCVBUFFORCE: none is lost here
    server.bind((address, port))
    struct.pack_into("Q", shared, 24, 1)
    while True:
        _add(shared, 0, len(server.recv(1 << 16)))
        _add(shared, 1, 1)


def _add(shared, place, value):
    struct.pack_into("Q", shared, 8 * place, struct.unpack_from("Q", shared, 8 * place)[0] + value)


class Sink:
    """sink() or udp_sink() on a host: .bytes and .connections (datagrams) so far."""

    def __init__(self, lab, host, address, port, udp=False, protocol=0, service=None):
        self.shared, self.port = mmap.mmap(-1, 4096), port
        if udp:
            self.task = lab.start(udp_sink, address, port, self.shared, protocol, host=host,
                                  service=service)
            while not struct.unpack_from("Q", self.shared, 24)[0]:
                if not self.task.is_running():
                    self.task.result(1)
                time.sleep(0.002)
        else:
            self.task = lab.start(sink, address, port, self.shared, host=host, service=service)
            wait_listening(lab, host, address, port)

    @property
    def bytes(self):
        return struct.unpack_from("Q", self.shared, 0)[0]

    @property
    def connections(self):
        return struct.unpack_from("Q", self.shared, 8)[0]


def _is_listening(address, port):
    """Looks into the namespace's table of sockets, so that no connection is made."""
    table = "/proc/self/net/tcp" + ("6" if ":" in address else "")
    with open(table, encoding="ascii") as lines:
        return any(line.split()[3] == "0A" and line.split()[1].endswith(":%04X" % port)
                   for line in lines.readlines()[1:])


def wait_listening(lab, host, address, port, timeout=10.0):
    end = time.monotonic() + timeout
    while not lab.call(_is_listening, address, port, host=host):
        if time.monotonic() > end:
            raise TimeoutError("nobody listens on %s port %d" % (address, port))
        time.sleep(0.01)


def _listen(address, port, backlog=128):
    server = socket.socket(family_of(address), socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if server.family == socket.AF_INET6:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address != "::"))
    server.bind((address, port))
    server.listen(backlog)
    return server


def pour(address, port, send=None, prepare=None):
    """A server that answers each request with bytes without end; `send(connection)` sends some, and
    `prepare(listener)` may set options. It stands for any service, and for any way of sending."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    server = _listen(address, port)
    if prepare:
        prepare(server)
    while True:
        connection, _ = server.accept()
        if os.fork() == 0:
            server.close()
            try:
                connection.recv(64)
                while True:
                    if send:
                        send(connection)
                    else:
                        connection.sendall(CHUNK)
            except OSError:
                pass
            os._exit(0)
        connection.close()


def udp_answer(address, port, datagrams, size, protocol=0):
    """A server without connections: each request gets many answers. Runs until it is killed."""
    server = socket.socket(family_of(address), socket.SOCK_DGRAM, protocol)
    server.bind((address, port))
    while True:
        _, peer = server.recvfrom(2048)
        for _ in range(datagrams):
            try:
                server.sendto(CHUNK[:size], peer)
            except OSError:
                pass


def udp_take(address, port, source, seconds=1.0, protocol=0):
    """Asks a udp_answer() and counts the bytes of its answers until `seconds` pass without any."""
    with socket.socket(family_of(address), socket.SOCK_DGRAM, protocol) as client:
        client.setsockopt(socket.SOL_SOCKET, 33, 32 << 20)
        client.bind((source, 0))
        client.settimeout(seconds)
        client.sendto(b"go", (address, port))
        got = 0
        try:
            while True:
                got += len(client.recv(1 << 16))
        except OSError:
            return got


MOST_AHEAD = 500  # of what a CPU's queue takes, net.core.netdev_max_backlog


def wait_heard(shared, number, seconds=10.0):
    """Until the Sink with this memory has got so many datagrams."""
    end = time.monotonic() + seconds * SLOWNESS
    while struct.unpack_from("Q", shared, 8)[0] < number:
        if time.monotonic() > end:
            raise TimeoutError("%d datagrams did not come" % number)
        os.sched_yield()


def udp_give(address, port, size=1000, number=20, connected=False, protocol=0, heard=None):
    """
    Sends datagrams; returns (how many the kernel took, name of the last errno or None). `heard`: Sink.shared of
    who takes them all, which is not left far behind: what a queue between them has no room for is lost.
    """
    sent, last = 0, None
    with socket.socket(family_of(address), socket.SOCK_DGRAM, protocol) as client:
        try:
            if connected:
                client.connect((address, port))
        except OSError as error:
            return 0, errno.errorcode[error.errno]
        for _ in range(number):
            if heard and sent % (MOST_AHEAD // 2) == 0:
                wait_heard(heard, sent - MOST_AHEAD // 2)
            try:
                if connected:
                    client.send(CHUNK[:size])
                else:
                    client.sendto(CHUNK[:size], (address, port))
                sent += 1
            except OSError as error:
                last = errno.errorcode[error.errno]
    return sent, last


def connect_error(address, port, seconds=3.0):
    """The name of the errno that connect() gives, or None."""
    with socket.socket(family_of(address), socket.SOCK_STREAM) as client:
        client.settimeout(seconds)
        try:
            client.connect((address, port))
        except socket.timeout:
            return "timeout"
        except OSError as error:
            return errno.errorcode[error.errno]
    return None


# ---- packets made by hand ---------------------------------------------------------------------------------

def ip4(protocol, payload, target, source=HUB[4], options=b""):
    """An IPv4 packet; `options` are a multiple of 4 bytes. The kernel fills in the checksum."""
    words = 5 + len(options) // 4
    return struct.pack("!BBHHHBBH4s4s", 0x40 | words, 0, 4 * words + len(payload), 0, 0, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(target)) + options + payload


def ip6(protocol, payload, target, source=HUB[6]):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), protocol, 64,
                       socket.inet_pton(socket.AF_INET6, source), socket.inet_pton(socket.AF_INET6, target)) + payload


def udp(port, data, source_port=443):
    """A UDP header without checksum, which IPv4 allows, and data."""
    return struct.pack("!HHHH", source_port, port, 8 + len(data), 0) + data


def raw_give(address, packet, number, protocol=socket.IPPROTO_RAW, pause_each=0):
    """Sends `number` raw packets that packet(place) makes, to the next hop of `address`; how many the
    kernel took. With `pause_each` it rests a few ms after each so many."""
    sent = 0
    with socket.socket(family_of(address), socket.SOCK_RAW, protocol) as raw:
        for place in range(number):
            try:
                raw.sendto(packet(place), (address, 0))
                sent += 1
            except OSError:
                pass
            if pause_each and place % pause_each == 0:
                time.sleep(0.004)
    return sent


# ---- real clients ---------------------------------------------------------------------------------------

SSH_OPTIONS = ["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
               "-o", "UserKnownHostsFile=/dev/null", "-o", "GlobalKnownHostsFile=/dev/null",
               "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-o", "ConnectTimeout=10"]


def ssh_options(lab, source=None):
    return SSH_OPTIONS + ["-i", lab.path("client_key")] + (["-o", "BindAddress=" + source] if source else [])


def ssh(lab, host, command, address=ADMIN[4], timeout=20.0):
    """A command over ssh on the hub; a CompletedProcess."""
    return lab.run(["ssh"] + ssh_options(lab) + ["transfer@" + address, command], host, timeout=timeout)


def _size(path):
    return os.path.getsize(path) if os.path.exists(path) else 0


class Download:
    """A running client that writes to a file at the far end; .bytes is what is there now."""

    def __init__(self, process, path):
        self.process, self.path = process, path

    @property
    def bytes(self):
        return _size(self.path)

    def wait(self, timeout=60.0):
        """The exit code; -9 when it had to be killed."""
        import subprocess
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def sha256(self):
        digest = hashlib.sha256()
        with open(self.path, "rb") as file:
            for part in iter(lambda: file.read(1 << 20), b""):
                digest.update(part)
        return digest.hexdigest()


_numbers = iter(range(1 << 30))


def _target(lab):
    return lab.path("got-%d" % next(_numbers))


def sftp_get(lab, host, name, address=HUB[4], kbits=None, source=None):
    """Starts a download with OpenSSH's sftp."""
    import subprocess
    path = _target(lab)
    argv = ["sftp", "-q"] + (["-l", str(kbits)] if kbits else []) + ssh_options(lab, source)
    argv += ["transfer@%s:%s" % (in_url(address), lab.path("data", name)), path]
    return Download(lab.spawn(argv, host, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), path)


def sftp_put(lab, host, source, name, address=HUB[4], timeout=60.0):
    """Uploads a file with OpenSSH's sftp; a CompletedProcess."""
    batch = lab.path("batch-%d" % next(_numbers))
    with open(batch, "w", encoding="utf-8") as file:
        file.write("put %s %s\n" % (source, lab.path("data", "in", name)))
    return lab.run(["sftp", "-q", "-b", batch] + ssh_options(lab) + ["transfer@" + in_url(address)],
                   host, timeout=timeout)


def rsync_get(lab, host, name, address=HUB[4]):
    import subprocess
    path = _target(lab)
    argv = ["rsync", "--inplace", "--whole-file", "-e", "ssh " + " ".join(ssh_options(lab)),
            "transfer@%s:%s" % (in_url(address), lab.path("data", name)), path]
    return Download(lab.spawn(argv, host, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), path)


def curl(lab, host, url, source=None, seconds=10, headers=(), options=()):
    """Starts curl; the body goes to a file at the far end."""
    import subprocess
    path = _target(lab)
    argv = ["curl", "-gsk", "--max-time", str(seconds), "-o", path] + list(options)
    argv += (["--interface", source] if source else []) + [word for h in headers for word in ("-H", h)]
    return Download(lab.spawn(argv + [url], host, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL), path)


def steal(lab, host, name, address=HUB[4], source=None, seconds=10 * min(SLOWNESS, 3)):
    """S01: asks the web shell for a file."""
    return curl(lab, host, "https://%s/" % in_url(address), source, seconds, ["X-Shell-File: " + name])


def lftp_get(lab, host, name, address=HUB[4], passive=True, timeout=30.0):
    """An FTP download with lftp; (exit code, bytes at the far end)."""
    path = _target(lab)
    script = ("set ftp:ssl-allow off; set net:timeout 4; set net:max-retries 1; set ftp:passive-mode %s;"
              " set ftp:prefer-epsv yes; set net:reconnect-interval-base 1; set cmd:fail-exit yes;"
              " open ftp://%s; get %s -o %s"
              % ("on" if passive else "off", in_url(address), name, path))
    done = lab.run(["lftp", "--norc", "-c", script], host, timeout=timeout)
    return done.returncode, _size(path)


def _has_udp(port):
    for table in ("/proc/self/net/udp", "/proc/self/net/udp6", "/proc/self/net/udplite",
                  "/proc/self/net/udplite6"):
        if os.path.exists(table):
            with open(table, encoding="ascii") as lines:
                if any(line.split()[1].endswith(":%04X" % port) for line in lines.readlines()[1:]):
                    return True
    return False


def wait_for_udp(lab, host, port, timeout=10.0):
    end = time.monotonic() + timeout
    while not lab.call(_has_udp, port, host=host):
        if time.monotonic() > end:
            raise TimeoutError("nobody has UDP port %d" % port)
        time.sleep(0.01)


def servers_data():
    """Size of the file `night`."""
    import servers
    return servers.DATA
