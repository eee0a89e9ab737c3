# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""As much of MQTT 5 as it takes to be a client that may not, and a broker that lies."""
import socket
import ssl
import struct
import threading

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 8, 9, 12, 13, 14
NOT_AUTHORIZED = 0x87


def length_of(count):
    out = b""
    while True:
        count, digit = count >> 7, count & 0x7f
        out += bytes([digit | (0x80 if count else 0)])
        if not count:
            return out


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + length_of(len(body)) + body


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(value)) + value


def publish(topic, payload, number=1, retained=True):
    return packet(PUBLISH, 2 | retained, text(topic) + struct.pack(">H", number) + b"\0" + payload)


def read_exactly(stream, count):
    data = b""
    while len(data) < count:
        got = stream.recv(count - len(data))
        if not got:
            raise EOFError
        data += got
    return data


def read_packet(stream):
    """(kind, flags, body)"""
    first, size, shift = read_exactly(stream, 1)[0], 0, 0
    while True:
        digit = read_exactly(stream, 1)[0]
        size |= (digit & 0x7f) << shift
        shift += 7
        if not digit & 0x80:
            break
    return first >> 4, first & 15, read_exactly(stream, size)


def take_publish(flags, body):
    """(topic, payload, number), of one without properties that are longer than 127 bytes."""
    end = 2 + struct.unpack(">H", body[:2])[0]
    topic, number = body[2:end].decode(), 0
    if flags & 6:
        number = struct.unpack(">H", body[end:end + 2])[0]
        end += 2
    return topic, body[end + 1 + body[end]:], number


class Client:
    """One connection, with the certificate of `name`."""

    def __init__(self, ca, name, port):
        context = ssl.create_default_context(cafile=ca.path("ca.pem"))
        context.load_cert_chain(ca.path(name + ".pem"), ca.path(name + ".key"))
        raw = socket.create_connection(("127.0.0.1", port), 10)
        self.stream = context.wrap_socket(raw, server_hostname="127.0.0.1")
        self.number = 0
        try:
            self.stream.sendall(packet(CONNECT, 0, text("MQTT") + b"\5\2\0\x3c\0" + text("test-%d" % id(self))))
            kind, _, body = read_packet(self.stream)
            assert kind == CONNACK and body[1] == 0, (kind, body)
        except Exception:
            self.stream.close()
            raise

    def wait(self, wanted):
        while True:
            kind, flags, body = read_packet(self.stream)
            if kind == wanted:
                return flags, body

    def publish(self, topic, payload):
        """The broker's reason: 0 or 0x10 when it takes it."""
        self.number += 1
        self.stream.sendall(publish(topic, payload, self.number))
        body = self.wait(PUBACK)[1]
        return body[2] if len(body) > 2 else 0

    def retained(self, topic):
        """What it keeps there, or None."""
        self.number += 1
        self.stream.sendall(packet(SUBSCRIBE, 2, struct.pack(">H", self.number) + b"\0" + text(topic) + b"\0"))
        reason = self.wait(SUBACK)[1][-1]
        assert reason <= 2, reason
        self.stream.sendall(packet(PINGREQ, 0, b""))
        while True:
            kind, flags, body = read_packet(self.stream)
            if kind == PUBLISH and flags & 1:
                return take_publish(flags, body)[1]
            if kind == PINGRESP:
                return None

    def close(self):
        self.stream.close()


class FakeBroker:
    """
    Answers as a broker does but for what `lie(connection, kind, flags, body)` does instead: it gets (send, number of
    the connection) and returns True when nothing else is to be answered.
    """

    def __init__(self, ca, name, lie):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(ca.path(name + ".pem"), ca.path(name + ".key"))
        self.context.load_verify_locations(ca.path("ca.pem"))
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.lie, self.connections, self.failed = lie, 0, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            number, self.connections = self.connections, self.connections + 1
            threading.Thread(target=self.serve, args=(raw, number), daemon=True).start()

    def serve(self, raw, number):
        try:
            raw.settimeout(60)
            with self.context.wrap_socket(raw, server_side=True) as stream:
                while True:
                    kind, flags, body = read_packet(stream)
                    if not self.lie(stream.sendall, number, kind, flags, body):
                        self.answer(stream.sendall, kind, flags, body)
        except (OSError, EOFError):
            pass
        except Exception as error:  # a fault of the test's own has to be seen
            self.failed.append(error)

    @staticmethod
    def answer(send, kind, flags, body):
        if kind == CONNECT:
            send(packet(CONNACK, 0, b"\0\0\0"))
        elif kind == SUBSCRIBE:
            send(packet(SUBACK, 0, body[:2] + b"\0\1"))
        elif kind == PUBLISH and flags & 6:
            send(packet(PUBACK, 0, struct.pack(">H", take_publish(flags, body)[2])))
        elif kind == PINGREQ:
            send(packet(PINGRESP, 0, b""))

    def close(self):
        self.listener.close()
