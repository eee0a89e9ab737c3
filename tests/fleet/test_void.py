# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
Orders that were good once, or for somebody else, and brokers that hold the good ones back: none loosens a host, and
each is named in the host's signed word at both brokers and in its journal.

After each test the same cut is let back by two people over the same brokers: so what was refused was refused for its
own fault, and the daemon and the agent are alive.
"""
import os
import subprocess
import time

from mqtt import Client
from parts import FleetCase, id_of, wait_for
from way import Way

BOTH = ("alice", "bob")
POLICY = ("weir: 1\nname: %s\nmode: enforce\nservices: {sftp: {cgroup: system.slice/sftp.service}}\n"
          "partners: {nord: {addresses: [198.51.100.0/28]}}\n"
          "grants: [{name: nightly, service: sftp, partner: nord, serves: tcp/22, budget: none}]\n"
          "strangers: {serves: [64KiB/10m], calls: deny, total: none}\n")


def utc(form, ago):
    return time.strftime(form, time.gmtime(time.time() - ago))


class VoidCase(FleetCase):
    hosts = {"hub-1": ("hub",)}
    running = ("hub-1",)

    def setUp(self):
        self.host = self.fleet.hosts["hub-1"]
        self.before = self.host.cuts()
        path = self.fleet.order("cut", "partner:nord")
        with open(path, "rb") as file:
            self.cut = id_of(file.read())
        self.assertIn("enforced on 1 of 1", self.assert_pushed(path))
        self.assertEqual(self.host.cuts(), self.before + 1)

    def tearDown(self):
        self.assertIn("enforced on 1 of 1", self.assert_pushed(self.fleet.order("reopen", "--cut", self.cut, by=BOTH)))
        self.assertEqual(self.host.cuts(), self.before)
        self.assertTrue(self.host.agent.is_alive() and self.host.daemon.is_alive())

    # ---- orders

    def reopening(self, *by):
        return self.fleet.text("reopen", "--cut", self.cut, by=by)

    def enclosed(self, kind, version, content, by=BOTH):
        path = os.path.join(self.fleet.directory, "enclosed")
        with open(path, "w", encoding="ascii") as file:
            file.write(content)
        return self.fleet.text(kind, "--version", str(version), "--enclose", path, by=by)

    def signed_in(self, order, name, namespace):
        """With one more signature over its body, by who signs it in that namespace."""
        path = os.path.join(self.fleet.directory, "body")
        with open(path, "wb") as file:
            file.write(order.split(b"-----BEGIN SSH SIGNATURE")[0])
        subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f", self.fleet.key(name), path], check=True,
                       stderr=subprocess.DEVNULL)
        with open(path + ".sig", "rb") as file:
            signature = file.read()
        os.unlink(path + ".sig")
        return order + signature

    def beat(self, version, age):
        """One that was issued so many seconds ago."""
        self.fleet.count += 1
        path = os.path.join(self.fleet.directory, "order-%d" % self.fleet.count)
        with open(path, "w", encoding="ascii") as file:
            file.write("weir-order: 1\nkind: beat\nissued: %s\nnonce: %032x\nversion: %d\n" % (
                utc("%Y-%m-%dT%H:%M:%SZ", age), version, version))
        self.fleet.weir("sign", path, "--key", self.fleet.key("alice"))
        with open(path, "rb") as file:
            return file.read()

    def put(self, topic, payload, brokers=(0, 1)):
        """An empty one withdraws what is there."""
        for broker in brokers:
            client = Client(self.fleet.ca, "push-alice", self.fleet.ports[broker])
            self.assertEqual(client.publish(topic, payload) & 0x80, 0)
            client.close()

    def word(self, order, broker):
        """What the host says of it at that broker."""
        client = Client(self.fleet.ca, "push-alice", self.fleet.ports[broker])
        self.addCleanup(client.close)
        return wait_for("a word of it", lambda: client.retained("weir/ack/hub-1/" + id_of(order))).decode("ascii")

    def fleet_state(self):
        return self.fleet.status()[1]["hosts"][0]["state"]

    # ---- the host

    def state(self):
        """All that an order could loosen."""
        brief = self.host.ask("brief")
        return brief["cuts"], brief["policy"], brief["in_force"], self.host.ask("status")["overrides"]

    def assert_void(self, order, *told, brokers=(0, 1)):
        """Both brokers serve it: nothing is changed by it, and why stands wherever somebody looks."""
        before = self.state()
        self.put("weir/order/" + id_of(order), order, brokers)
        for broker in brokers:
            word = self.word(order, broker)
            self.assertIn("\nresult: refused\n", word)
            for part in told:
                self.assertIn(part, word)
        records = [one for one in self.host.journal() if one.get("body_sha256") == id_of(order)]
        self.assertEqual({one["result"] for one in records}, {"refused"})
        for part in told:
            self.assertIn(part, records[-1]["why"])
        self.assertEqual(self.state(), before)
        self.put("weir/order/" + id_of(order), b"", brokers)

    def assert_done(self, order):
        self.put("weir/order/" + id_of(order), order)
        for broker in (0, 1):
            self.assertIn("\nresult: done\n", self.word(order, broker))

    def restart_agent(self):
        """It has no memory: what the brokers keep is handed in anew."""
        self.host.agent.stop()
        self.assertEqual(self.host.agent.process.returncode, 0)
        os.unlink(self.host.agent.log)
        self.host.start_agent()


class Void(VoidCase):
    def test_a_key_whose_time_is_over_or_not_come(self):
        self.fleet.allow("late", more=',valid-before="20200101Z"')
        self.fleet.allow("early", more=',valid-after="20990101Z"')
        self.assert_void(self.reopening("alice", "late"), "signed by 1 principal, and it takes 2",
                         "late: this key was valid until 2020-01-01T00:00:00Z")
        self.assert_void(self.reopening("early", "bob"), "takes 2", "early: this key is not valid before 2099-01-01")
        self.assert_void(self.fleet.text("cut", "all", by=("late",)), "signed by 0 principals, and it takes 1",
                         "late: this key was valid until")

    def test_a_key_that_runs_out_while_a_broker_holds_its_order_back(self):
        until = time.time() + 2
        self.fleet.allow("brief", more=',valid-before="%s"' % utc("%Y%m%d%H%M%SZ", -2))
        order = self.reopening("alice", "brief")
        time.sleep(max(0.0, until - time.time()))
        self.assert_void(order, "takes 2", "brief: this key was valid until")

    def test_an_order_whose_time_is_over(self):
        orders = [self.fleet.text(*words, "--for", "1s", by=BOTH) for words in (
            ("pause",), ("extend", "partner:payer", "--grant", "bills", "--by", "1MiB"),
            ("partner-add", "partner:nord", "--prefix", "198.51.100.64/28"), ("cut", "all"))]
        time.sleep(1.1)
        for order in orders:
            self.assert_void(order, "it was over at ")

    def test_a_pause_does_not_come_again_when_it_is_over(self):
        order = self.fleet.text("pause", "--for", "2s", by=BOTH)
        self.assert_done(order)
        self.assertEqual(len(self.host.ask("status")["overrides"]), 1)
        wait_for("its end", lambda: not self.host.ask("status")["overrides"])
        self.restart_agent()
        wait_for("it was handed in", lambda: "order %s (pause): " % id_of(order)[:12] in self.host.agent.said())
        self.assertEqual(self.host.ask("status")["overrides"], [])
        self.assertEqual(self.host.cuts(), self.before + 1)

    def test_a_revoked_key(self):
        path = os.path.join(self.fleet.config_dir, "revoked_signers")
        found = subprocess.run(["ssh-keygen", "-lf", self.fleet.key("bob") + ".pub"], stdout=subprocess.PIPE, text=True,
                               check=True).stdout.split()[1]
        self.addCleanup(lambda: os.path.exists(path) and os.unlink(path))
        for line in (self.fleet.public("bob"), found + " lost on 2026-11-20"):
            with open(path, "w", encoding="ascii") as file:
                file.write(line + "\n")
            self.assert_void(self.reopening(*BOTH), "takes 2", "bob: this key is revoked")
            self.assert_void(self.fleet.text("cut", "all", by=("bob",)), "signed by 0 principals",
                             "bob: this key is revoked")
        os.unlink(path)

    def test_one_person_with_two_keys(self):
        self.fleet.allow("alice", key="alice-two")
        for order in (self.reopening("alice", "alice-two"), self.reopening("alice-two", "alice"),
                      self.fleet.text("pause", "--for", "1h", by=("alice", "alice-two")),
                      self.enclosed("base", 1, POLICY % "lax", ("alice", "alice-two"))):
            self.assert_void(order, "signed by 1 principal, and it takes 2", "alice has signed already, and counts once")
        self.assertIn("enforced on 1 of 1", self.assert_pushed(self.fleet.order("cut", "partner:nord", by=("alice-two",))))
        self.before += 1  # either key cuts

    def test_a_signature_of_another_namespace(self):
        self.fleet.allow("dora", namespaces="cut@weir")
        for namespace in ("cut@weir", "base@weir", "signers@weir", "beat@weir", "ack@weir", "file"):
            self.assert_void(self.signed_in(self.reopening("alice"), "bob", namespace), "takes 2",
                             "bob: it is in namespace %s, and reopen is signed in reopen@weir" % namespace)
        self.assert_void(self.signed_in(self.reopening("alice"), "dora", "reopen@weir"), "takes 2",
                         "dora: this key may not sign in reopen@weir")
        self.assert_void(self.signed_in(self.fleet.text("cut", "all", by=()), "alice", "beat@weir"),
                         "signed by 0 principals", "alice: it is in namespace beat@weir")


class Older(VoidCase):
    """What has versions: no host goes back."""

    def test_an_older_base(self):
        first, second = (self.enclosed("base", number, POLICY % name) for number, name in ((1, "first"), (2, "second")))
        self.assert_done(first)
        old = self.host.ask("brief")["policy"]
        self.assert_done(second)
        in_force = self.host.ask("brief")["policy"]
        self.assertNotEqual(old, in_force)
        self.assert_void(self.enclosed("base", 1, POLICY % "other"), "version 1 is not above 2, which is in force")
        self.assert_void(self.enclosed("base", 2, POLICY % "other"), "version 2 is not above 2, which is in force")
        self.restart_agent()
        wait_for("the first is refused", lambda: "order %s (base): refused: " % id_of(first)[:12] in self.host.agent.said())
        wait_for("the second is known", lambda: "order %s (base): done" % id_of(second)[:12] in self.host.agent.said())
        self.assertEqual((self.host.ask("brief")["policy"], self.host.ask("brief")["in_force"]["base"]["version"]),
                         (in_force, 2))

    def test_an_older_list_of_signers(self):
        line = self.fleet.line
        three = "%s\n%s\n%s\n" % (line("alice"), line("bob"), line("carol"))
        two = "%s\n%s\n%s\n" % (line("alice"), line("alice", key="alice-two"), line("bob"))
        first, second = self.enclosed("signers", 1, three), self.enclosed("signers", 2, two)
        self.assert_done(first)
        self.assert_done(second)
        again = self.enclosed("signers", 1, three)
        self.assert_void(again, "version 1 does not follow 2, which is in force")
        self.assert_void(self.enclosed("signers", 2, three), "version 2 does not follow 2")
        self.assert_void(self.enclosed("signers", 4, three), "version 4 does not follow 2")
        self.assert_void(self.enclosed("signers", 3, three, ("alice", "alice-two")),
                         "signed by 1 principal of the list in force, and it takes 2", "counts once")
        self.restart_agent()
        wait_for("the first is refused", lambda: "order %s (signers): refused" % id_of(first)[:12] in self.host.agent.said())
        self.assertEqual(self.host.ask("brief")["in_force"]["signers"]["version"], 2)
        self.assert_void(self.reopening("alice", "carol"), "takes 2", "no principal has this key")

    def test_an_older_beat(self):
        for version in (7, 8):
            self.put("weir/beat", self.fleet.text("beat", "--version", str(version)))
            wait_for("the beat", lambda version=version:
                     self.host.ask("brief")["in_force"]["beat"]["version"] == version)
        before = self.state()
        self.put("weir/beat", self.fleet.text("beat", "--version", "7"), (1,))
        wait_for("it is named", lambda: "broker 127.0.0.1:%d: its beat is refused: " % self.fleet.ports[1] in
                 self.host.agent.said())
        self.assertIn("version 7 is not above 8, which is in force", self.host.agent.said())
        self.assertEqual(self.state(), before)


class Replaced(VoidCase):
    """Who is root on a host may apply another policy there, and cannot hide it."""

    def test_a_base_that_is_replaced_on_the_host_itself(self):
        path = os.path.join(self.fleet.directory, "base")
        with open(path, "wb") as file:
            file.write(self.enclosed("base", 3, POLICY % "third"))
        self.assert_pushed(path)
        wait_for("all is well", lambda: self.fleet_state() == "enforced")
        lax = {"name": "policy.yaml", "text": (POLICY % "lax").replace("enforce", "observe")}
        self.assertEqual(self.host.ask("apply", files=[lax])["code"], 0)
        self.restart_agent()  # it would say so within a minute
        wait_for("it is named", lambda: self.fleet_state() == "refuses")
        code, status = self.fleet.status()
        host = status["hosts"][0]
        self.assertEqual((code, host["base"], host["base_holds"], host["lacks"]), (1, 3, False, 1))
        self.assertIn("another policy was put in its place", host["why"])
        said = self.assert_pushed(path, "--timeout", "2s", code=1)
        self.assertIn("enforced on 0 of 1", said)
        self.assertEqual(self.host.ask("brief")["in_force"]["base"]["version"], 3)
        self.assertEqual(self.host.ask("rollback")["code"], 0)
        self.restart_agent()
        self.assertIn("enforced on 1 of 1", self.assert_pushed(path))
        wait_for("all is well", lambda: self.fleet_state() == "enforced")


class Forgotten(VoidCase):
    """Both brokers have lost the beat that the host has."""

    def test_an_old_beat_is_missed_all_the_same(self):
        wait_for("no beat is missed where none came", lambda: self.fleet_state() == "enforced")
        self.put("weir/beat", self.beat(1, 400))
        wait_for("the fleet names it", lambda: self.fleet_state() == "stale beat")
        self.put("weir/beat", b"")
        code, status = self.fleet.status()
        self.assertEqual([broker["beat_issued"] for broker in status["brokers"]], [0, 0])
        self.assertEqual((code, status["hosts"][0]["state"]), (1, "stale beat"))
        self.restart_agent()
        wait_for("the host names it", lambda: "ALARM: no beat for " in self.host.agent.said())
        self.put("weir/beat", self.beat(2, 0))
        wait_for("beats", lambda: "beats come again" in self.host.agent.said())
        wait_for("all is well", lambda: self.fleet_state() == "enforced")


class Withheld(VoidCase):
    """The brokers are sound, and what comes from them is held back on its way to the host."""
    running = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        host = cls.fleet.hosts["hub-1"]
        cls.ways = [Way(port) for port in cls.fleet.ports]
        for way in cls.ways:
            cls.addClassCleanup(way.close)
        host.ports = [way.port for way in cls.ways]
        host.start_daemon()
        host.start_agent()
        wait_for("both are connected", lambda: host.agent.said().count(": connected") == 2)

    def tearDown(self):
        for way in self.ways:
            way.release()
        super().tearDown()

    def test_what_one_delays_the_other_brings_and_late_it_changes_nothing(self):
        self.ways[1].hold()
        path = self.fleet.order("cut", "partner:sued")
        self.assertIn("enforced on 1 of 1", self.assert_pushed(path, "--timeout", "5s"))
        self.assertEqual(self.host.cuts(), self.before + 2)
        with open(path, "rb") as file:
            cut = id_of(file.read())
        self.assertIn("enforced on 1 of 1", self.assert_pushed(
            self.fleet.order("reopen", "--cut", cut, by=BOTH), "--timeout", "5s"))
        self.assertEqual(self.host.cuts(), self.before + 1)
        self.assertGreater(self.ways[1].held_bytes(), 0, "nothing was held back: this shows nothing")
        self.ways[1].release()
        last = self.fleet.text("cut", "partner:payer")  # behind all that was held back
        self.put("weir/order/" + id_of(last), last, (1,))
        wait_for("what the slow one brings", lambda: self.host.cuts() == self.before + 2)
        self.assertIn("\nresult: done\n", self.word(last, 1))
        self.assert_done(self.fleet.text("reopen", "--cut", id_of(last), by=BOTH))

    def test_one_that_brings_nothing_from_the_start(self):
        self.host.agent.stop()
        os.unlink(self.host.agent.log)
        self.ways[0].hold()
        self.host.start_agent()
        wait_for("the other is connected", lambda: "127.0.0.1:%d: connected" % self.ways[1].port in self.host.agent.said())
        self.assert_void(self.reopening("alice"), "takes 2", brokers=(1,))
        cut = self.fleet.order("cut", "partner:sued")
        self.assertIn("enforced on 1 of 1", self.assert_pushed(cut, "--timeout", "5s"))
        self.assertNotIn("127.0.0.1:%d: connected" % self.ways[0].port, self.host.agent.said())
        self.before += 1

    def test_what_both_hold_back_shows_by_the_beats_and_comes_in_the_end(self):
        self.put("weir/beat", self.beat(1, 292))  # 8 s before it is stale
        wait_for("the beat", lambda: self.host.ask("brief")["in_force"].get("beat", {}).get("version") == 1)
        wait_for("all is well", lambda: self.fleet_state() == "enforced")
        self.assertNotIn("ALARM", self.host.agent.said())
        for way in self.ways:
            way.hold()
        self.put("weir/beat", self.beat(2, 0))
        path = self.fleet.order("cut", "partner:sued")
        self.assertIn("hub-1: MISSING", self.assert_pushed(path, "--timeout", "1s", code=1))
        wait_for("the host names it", lambda: "ALARM: no beat for " in self.host.agent.said())
        wait_for("the fleet names it", lambda: self.fleet_state() == "stale beat")
        code, status = self.fleet.status()
        self.assertEqual((code, status["hosts"][0]["lacks"], status["hosts"][0]["beat"]), (1, 1, 1))
        self.assertEqual(self.host.cuts(), self.before + 1)
        for way in self.ways:
            way.release()
        wait_for("it is cut", lambda: self.host.cuts() == self.before + 2)
        wait_for("beats", lambda: "beats come again" in self.host.agent.said())
        wait_for("all is well", lambda: self.fleet_state() == "enforced")
        self.before += 1
