# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
Brokers that lie, lose, and attack: nothing that they do loosens a host, ends an agent or passes for a host's word;
each thing is named, and the other broker serves meanwhile.
"""
import os
import random
import subprocess

from mqtt import CONNECT, PUBLISH, SUBSCRIBE, Client, FakeBroker, packet, publish, take_publish, text
from parts import FleetCase, id_of, wait_for

MARK = b"-----BEGIN SSH SIGNATURE"
BAD_PROPERTY = random.Random(4).randbytes(60)


def suback(body, reasons):
    return packet(9, 0, body[:2] + b"\0" + reasons)


class Orders(FleetCase):
    """What whoever may publish puts among the orders."""
    hosts = {"hub-1": ("hub",)}
    running = ("hub-1",)

    def put(self, topic, payload, broker=0):
        client = Client(self.fleet.ca, "push-alice", self.fleet.ports[broker])
        self.assertEqual(client.publish(topic, payload) & 0x80, 0)
        client.close()

    def assert_named(self, *parts):
        agent = self.fleet.hosts["hub-1"].agent
        wait_for(" ".join(parts), lambda: any(all(part in line for part in parts)
                                              for line in agent.said().splitlines()))

    def test_what_is_no_good_order_changes_nothing_and_is_named(self):
        host = self.fleet.hosts["hub-1"]
        before = host.cuts()
        cut = self.fleet.text("cut", "partner:nord")
        self.put("weir/order/" + id_of(cut), cut)
        wait_for("it is cut", lambda: host.cuts() == before + 1)
        other, beat = self.fleet.text("cut", "all"), self.fleet.text("beat", "--version", "1")
        reopen = self.fleet.text("reopen", "--cut", id_of(cut), by=("alice", "bob"))
        one = self.fleet.text("reopen", "--cut", id_of(cut), by=("alice",))
        # cross-namespace: alice's signature on the cut behind the reopening's body, and bob's own
        crossed = one + cut[cut.index(MARK):]
        for name, topic, payload, parts in (
                ("truncated", id_of(other), other[:-40], ("no order", "has no end")),
                ("half", id_of(other), other[:60], ("no order",)),
                ("garbage", id_of(other), os.urandom(4096), ("no order",)),
                ("another's id", id_of(other), one, ("not under its own id",)),
                ("unsigned", id_of(other), other[:other.index(MARK)], ("not signed",)),
                ("a beat as an order", id_of(beat), beat, ("does not belong there",)),
                ("one signature", id_of(one), one, (id_of(one)[:12], "refused", "takes 2")),
                ("crossed", id_of(crossed), crossed, (id_of(crossed)[:12], "refused")),
                ("forged", id_of(reopen), reopen[:reopen.index(MARK)] + other[other.index(MARK):],
                 (id_of(reopen)[:12], "refused"))):
            with self.subTest(name):
                self.put("weir/order/" + topic, payload)
                self.assert_named(*parts)
                self.assertEqual(host.cuts(), before + 1)
        self.put("weir/beat", other, broker=1)
        self.assert_named("weir/beat", "does not belong there")
        self.assertEqual(host.cuts(), before + 1)
        # and after all of that the good one counts, which shares its id with the forged
        self.put("weir/order/" + id_of(reopen), reopen)
        wait_for("it is let back", lambda: host.cuts() == before)
        self.put("weir/order/" + id_of(cut), cut, broker=1)  # replayed
        self.assert_pushed(self.fleet.order("cut", "partner:payer"))
        self.assertEqual(host.cuts(), before + 1)

    def test_the_largest_order_passes_and_a_larger_one_not(self):
        host = self.fleet.hosts["hub-1"]
        self.put("weir/order/" + "1" * 64, b"a" * ((32 << 20) + 1))
        self.assert_named("larger than any order")
        self.put("weir/order/" + "1" * 64, b"")
        before = host.cuts()
        self.assert_pushed(self.fleet.order("cut", "service:portal"))
        self.assertEqual(host.cuts(), before + 1)

    def test_a_later_order_is_not_lost_behind_a_reordered_one(self):
        """The reopening comes from one broker before its cut comes from the other."""
        host = self.fleet.hosts["hub-1"]
        before = host.cuts()
        cut = self.fleet.text("cut", "service:sftp")
        reopen = self.fleet.text("reopen", "--cut", id_of(cut), by=("alice", "bob"))
        self.put("weir/order/" + id_of(reopen), reopen, broker=1)
        self.assert_named(id_of(reopen)[:12], "done")
        self.put("weir/order/" + id_of(cut), cut)
        self.assert_named(id_of(cut)[:12], "done")
        self.assertEqual(host.cuts(), before)


class Crashes(FleetCase):
    def cuts(self):
        return [host.cuts() for host in self.fleet.hosts.values()]

    def test_what_a_broker_lost_is_published_again_and_nothing_loosens(self):
        for host in self.fleet.hosts.values():
            wait_for("connected", lambda host=host: host.agent.said().count("connected") == 2)
        broker = self.fleet.brokers[0]
        path = self.fleet.order("cut", "partner:nord")
        with open(path, "rb") as file:
            order = file.read()
        self.assert_pushed(path)
        after = self.cuts()
        broker.crash(forget=True)
        broker.start()
        self.assertEqual(self.cuts(), after)
        client = Client(self.fleet.ca, "push-alice", broker.port)
        self.assertIsNone(client.retained("weir/order/" + id_of(order)))
        code, status = self.fleet.status()
        self.assertEqual(code, 1)
        self.assertGreaterEqual(status["disagreements"], 1)
        self.assert_pushed(path)
        self.assertEqual(client.retained("weir/order/" + id_of(order)), order)
        client.close()
        for name in self.fleet.hosts:  # what they had said is there again too
            client = Client(self.fleet.ca, "push-alice", broker.port)
            wait_for("acknowledged again",
                     lambda client=client, name=name: client.retained("weir/ack/%s/%s" % (name, id_of(order))))
            client.close()
        self.assertEqual(self.cuts(), after)

    def test_an_older_order_in_its_place_is_replaced(self):
        path = self.fleet.order("cut", "partner:payer")
        with open(path, "rb") as file:
            order = file.read()
        client = Client(self.fleet.ca, "push-alice", self.fleet.ports[1])
        client.publish("weir/order/" + id_of(order), b"something else")
        self.assert_pushed(path)
        self.assertEqual(client.retained("weir/order/" + id_of(order)), order)
        client.close()


class Liars(FleetCase):
    """One of the two brokers is Python's."""
    hosts = {"hub-1": ("hub",)}
    running = ()

    def setUp(self):
        self.host = self.fleet.hosts["hub-1"]
        self.host.start_daemon()
        self.addCleanup(self.end)

    def end(self):
        self.host.stop()
        self.host.run_dir = None

    def start(self, lie):
        liar = FakeBroker(self.fleet.ca, "b", lie)
        self.addCleanup(liar.close)
        self.addCleanup(lambda: self.assertEqual(liar.failed, []))
        self.fleet.ports[1] = liar.port
        return liar

    def test_malformed_packets_end_no_agent(self):
        def on_subscribe(data):
            return lambda send, kind, body: kind == SUBSCRIBE and (send(data(body)) or True)
        attacks = [
            on_subscribe(lambda body: packet(9, 0, body[:2] + b"\0")),             # no reason (CVE-2024-10525)
            on_subscribe(lambda body: packet(9, 0, body[:2])),
            on_subscribe(lambda body: packet(9, 0, b"")),
            on_subscribe(lambda body: suback(body, b"\x01" * 5000)),
            on_subscribe(lambda body: packet(9, 0, b"\x7f\xff\0\1")),              # of another's
            on_subscribe(lambda body: suback(body, b"\1") + b"\x32\xff\xff\xff\x7f"),   # 256 MiB announced
            on_subscribe(lambda body: suback(body, b"\1") + b"\x32\xff\xff\xff\xff\x7f"),  # a length of 5 bytes
            on_subscribe(lambda body: suback(body, b"\1") + packet(PUBLISH, 3, b"\xff\xffa")),
            on_subscribe(lambda body: suback(body, b"\1") + packet(PUBLISH, 3, b"\0\0\0\1\0")),
            on_subscribe(lambda body: suback(body, b"\1") + packet(PUBLISH, 3, text(b"\xff\xfe") + b"\0\1\0")),
            on_subscribe(lambda body: suback(body, b"\1") + packet(PUBLISH, 3, text("weir/order/x") + b"\0\1\x7f")),
            on_subscribe(lambda body: suback(body, b"\1") + packet(PUBLISH, 7, text("weir/beat") + b"\0\1\0")),
            on_subscribe(lambda body: suback(body, b"\1") + packet(4, 0, b"\x77\x77")),
            on_subscribe(lambda body: suback(body, b"\1") + packet(6, 2, b"\x77\x77")),
            on_subscribe(lambda body: suback(body, b"\1") + packet(15, 0, b"\x19\0")),
            on_subscribe(lambda body: suback(body, b"\1") + packet(14, 0, b"\x8b\0")),
            on_subscribe(lambda body: suback(body, b"\1") + random.Random(1).randbytes(20000)),
            on_subscribe(lambda body: suback(body, b"\1") + packet(4, 0, BAD_PROPERTY)),     # an assertion of the library's
            on_subscribe(lambda body: suback(body, b"\x87")),
            lambda send, kind, body: kind == CONNECT and (send(packet(2, 0, b"")) or True),
            lambda send, kind, body: kind == CONNECT and (send(packet(2, 0, b"\0\x87\0")) or True),
            lambda send, kind, body: kind == CONNECT and (send(packet(2, 0, b"\0\0\xff\xff\xff\x7f")) or True),
            lambda send, kind, body: kind == CONNECT and (send(packet(2, 0, b"\0\0\5\x21\0\0\x27\0")) or True),
            lambda send, kind, body: kind == CONNECT and (send(b"HTTP/1.1 200 OK\r\n\r\n") or True),
        ]
        served = []

        def lie(send, number, kind, flags, body):
            served.append(number)
            if attacks[number % len(attacks)](send, kind, body):
                raise EOFError  # and hangs up
            return False
        liar = self.start(lie)
        host, asserted = self.host, 0
        # one agent for each attack, so that none waits for the longer and longer times between its tries
        for number in range(len(attacks)):
            host.start_agent()
            wait_for("attack %d is met" % number, lambda number=number: liar.connections > number or
                     not host.agent.is_alive())
            wait_for("it is named", lambda: "broker 127.0.0.1:%d: not connected: " % liar.port in host.agent.said())
            said = host.agent.said()
            self.assertTrue(host.agent.is_alive(), "attack %d: %s" % (number, said))
            if "its process ended with" in said:  # by an assertion of the library's, and by nothing else
                self.assertRegex(said, r"logging_mosq\.c:.* Assertion `mosq' failed\.\n.* ended with signal 6\n",
                                 "attack %d" % number)
                asserted += 1
            host.agent.stop()
            self.assertEqual(host.agent.process.returncode, 0, "attack %d: %s" % (number, host.agent.said()))
            liar.connections = number + 1
            os.unlink(host.agent.log)
        self.assertLess(asserted, 3, "what ends a reader that often is no single fault of the library's")
        host.start_agent()
        wait_for("connected", lambda: "127.0.0.1:%d: connected" % self.fleet.ports[0] in host.agent.said())
        said = self.assert_pushed(self.fleet.order("cut", "partner:nord"), "--timeout", "3s")
        self.assertIn("enforced on 1 of 1", said)

    def test_one_that_ends_its_reader_does_not_end_the_other(self):
        """What libmosquitto 2.0 logs of a malformed property, it asserts to know the client of."""
        def lie(send, number, kind, flags, body):
            if kind == SUBSCRIBE:
                send(suback(body, b"\1") + packet(4, 0, BAD_PROPERTY))
            return False
        liar = self.start(lie)
        self.host.start_agent()
        wait_for("its reader has ended", lambda: "broker 127.0.0.1:%d: not connected: its process ended with signal 6"
                 % liar.port in self.host.agent.said())
        wait_for("it is begun again", lambda: liar.connections > 1)
        before = self.host.cuts()
        client = Client(self.fleet.ca, "push-alice", self.fleet.ports[0])
        order = self.fleet.text("cut", "partner:nord")
        client.publish("weir/order/" + id_of(order), order)
        wait_for("it is cut", lambda: self.host.cuts() == before + 1)
        wait_for("it is acknowledged", lambda: client.retained("weir/ack/hub-1/" + id_of(order)))
        client.close()
        self.assertTrue(self.host.agent.is_alive())

    def test_a_forged_word_is_no_host_s(self):
        """The honest broker is down: only the liar says that all is done."""
        hosts = {"forged": None}

        def lie(send, number, kind, flags, body):
            if kind == PUBLISH:
                topic, payload, _ = take_publish(flags, body)
                if topic.startswith("weir/order/"):
                    hosts["order"] = topic[len("weir/order/"):]
                    send(publish(topic, payload))
                    words = "weir-ack: 1\norder: %s\nhost: hub-1\nresult: done\nat: 2026-11-27T00:00:00Z\n" % hosts[
                        "order"]
                    for number, signer in enumerate(("eve", "alice")):
                        send(publish("weir/ack/hub-1/" + hosts["order"], self.signed(words, signer), 10 + number))
                    send(publish("weir/ack/hub-1/" + hosts["order"], words.encode(), 13))
                    send(publish("weir/ack/hub-9/" + hosts["order"], words.encode(), 14))
                    send(publish("weir/ack/hub-1/" + "0" * 64, words.encode(), 15))
            return False
        self.start(lie)
        self.fleet.brokers[0].stop()
        try:
            said = self.assert_pushed(self.fleet.order("cut", "partner:nord"), "--timeout", "4s", code=1)
        finally:
            self.fleet.brokers[0].start()
        self.assertIn("enforced on 0 of 1", said)
        self.assertIn("hub-1: MISSING", said)
        for why in ("signed with another key than this host's", "it is not signed", "no such host",
                    "nobody asked for it"):
            self.assertIn(why, said)
        self.assertRegex(said, r"[5-9] acknowledgements that DO NOT COUNT|\d\d acknowledgements that DO NOT COUNT")

    def signed(self, words, signer):
        path = os.path.join(self.fleet.directory, "words")
        with open(path, "w", encoding="ascii") as file:
            file.write(words)
        subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", "ack@weir", "-f", self.fleet.key(signer), path],
                       check=True, stderr=subprocess.DEVNULL)
        with open(path + ".sig", "rb") as file:
            signature = file.read()
        os.unlink(path + ".sig")
        return words.encode() + signature

    def test_a_flood_of_orders_takes_nothing_from_the_other_broker(self):
        """Signed by nobody whom the host knows, each another: none is kept from being refused."""
        flood = [self.fleet.text("cut", "all", by=("eve",))]
        body, signature = flood[0].split(MARK)[0], flood[0][flood[0].index(MARK):]
        for number in range(2000):
            text_ = body.replace(b"reason: ", b"reason: %d " % number) + signature
            flood.append(text_)

        def lie(send, number, kind, flags, body):
            if kind != SUBSCRIBE:
                return False
            self.answer(send, body)
            if b"weir/order" in body:
                send(b"".join(publish("weir/order/" + id_of(one), one, 1 + i) for i, one in enumerate(flood)))
            return True
        self.start(lie)
        host = self.host
        host.start_agent()
        wait_for("the flood runs", lambda: host.agent.said().count("refused") > 100)
        said = self.assert_pushed(self.fleet.order("cut", "partner:sued"), "--timeout", "5s")
        self.assertIn("enforced on 1 of 1", said)

    @staticmethod
    def answer(send, body):
        send(packet(9, 0, body[:2] + b"\0\1"))
