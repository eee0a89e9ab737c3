# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The 03:00 page: what `weir show` and `weir who` say is what the far end and /proc say."""
import json
import os
import pwd
import shlex
import time

from case import HUB, KIB, MIB, NORD, PAYER, STORE, STRANGERS, SUED, LabCase, far, wait_for
from guard import address, grant, policy
from lab import SLOWNESS

WINDOW = 32
BUDGET = 4 * MIB
CONTACT = {"contact": "24x7 +49 30 5550100", "ticket": "CHG-1234"}


class Page(LabCase):
    """A page, as data."""

    def show(self, target, code=0, command="show"):
        done = self.guard.weir(command, target, "--json")
        self.assertEqual(done.returncode, code, done.stderr)
        return json.loads(done.stdout)

    def who(self, address_of, code=0):
        return self.show(address_of, code, "who")

    def budget(self, said, kind, **wanted):
        """One budget of a page."""
        found = [budget for budget in said["budgets"] if budget["kind"] == kind and
                 all(budget.get(key) == value for key, value in wanted.items())]
        self.assertEqual(len(found), 1, said["budgets"])
        return found[0]

    def begin(self, function, *args, **place):
        """A task that ends with its test."""
        task = self.lab.start(function, *args, **place)
        self.addCleanup(task.kill)
        return task

    def wait_sessions(self, target, count):
        wait_for(lambda: self.show(target)["session_count"] == count, 20, "%d connections of %s" % (count, target))

    def tearDown(self):
        for cut in self.guard.cuts():
            self.guard.weir("reopen", cut["target"], "--reason", "the test is over")


class Room(Page):
    """A held transfer: room returns when the page says so, and not before."""
    policy = policy([grant("pour", "batch", "any", ["%dB/%ds" % (BUDGET, WINDOW)], serves="tcp/7000-7999")], STRANGERS,
                    partners={NORD: {"info": CONTACT}})

    def fill(self, host, port):
        """Takes until nothing more comes; a large packet has no room then."""
        self.take(host, port, seconds=1.0)
        return self.show("partner:" + host)

    def test_room_returns_when_it_was_told(self):
        port = self.pour()
        said = self.fill(NORD, port)
        asked = time.monotonic()
        self.assertEqual(said["state"], "held")
        budget = self.budget(said, "grant", grant="pour")
        self.assertTrue(budget["is_full"])
        self.assertGreater(budget["windows"][0]["used_bytes"], BUDGET - 128 * KIB)
        told = asked + budget["next_fits_in_ms"] / 1000
        self.assertGreater(told, asked + 1)  # how much later depends on what took of the budget before
        self.assert_passes(SUED, port, size=BUDGET // 2)  # another partner is not held
        got = []
        while time.monotonic() < told + 8 * SLOWNESS and not got:
            before = time.monotonic()
            # connections that found no room would take it by sending again
            if self.take(NORD, port, seconds=0.4, limit=256 * KIB) >= 256 * KIB:
                got.append((before, time.monotonic()))
            time.sleep(0.2)
        self.assertTrue(got, "no room came back")
        self.assertGreaterEqual(got[0][1], told - 0.2, "there was room before the page said so")
        self.assertLessEqual(got[0][0], told + 4 * SLOWNESS, "there was no room when the page said so")

    def test_page_names_the_budget_and_the_contact(self):
        port = self.pour()
        self.fill(NORD, port)
        page = self.guard.must("show", "partner:" + NORD).stdout
        self.assertRegex(page, r"^HELD      partner:%s, by the budget of grant pour \(batch, %s\): 1MiB fits at " % (NORD, NORD))
        self.assertIn("contact   24x7 +49 30 5550100\n", page)
        self.assertRegex(page, r"FULL grant pour .*\n +4\.0MiB of 4MiB in %ds \(\d+ %%\)" % WINDOW)
        self.assertRegex(page, r"refused   \d+ packets")
        self.assertIn("held: batch serves %s" % NORD, page)

    def test_each_command_that_it_names_is_one(self):
        """Typed as they stand, on a cut, a held, and an open partner."""
        port = self.pour()
        for prepare in (lambda: self.fill(PAYER, port), lambda: self.guard.cut("partner:" + PAYER),
                        lambda: self.guard.cut("all")):
            prepare()
            for line in self.show("partner:" + PAYER)["next"]:
                words = shlex.split(line["command"])
                self.assertEqual(words[0], "weir")
                if "--follow" in words:
                    continue
                done = self.lab.run([self.guard.program, *words[1:]], env=self.guard.environment)
                self.assertIn(done.returncode, (0,), "%s: %s" % (line["command"], done.stderr))
                if "--confirm" in words:
                    self.guard.must("confirm")
            self.guard.weir("reopen", "partner:" + PAYER, "--reason", "x")
            self.guard.weir("reopen", "all", "--reason", "x")


class Sessions(Page):
    """Connections name the right process, user and peer."""
    servers = ("admin", "sftp")
    policy = policy([grant("nightly", "sftp", "class:hospital", serves="tcp/22"),
                     grant("pour", "batch", "any", serves="tcp/7000-7999"),
                     grant("archive", "batch", STORE, calls=["tcp/443", "udp/443"])], STRANGERS)

    def setUp(self):
        self.wait_sessions("all", 0)

    def one(self, target, **wanted):
        """The only connection of a target with these fields."""
        found = [session for session in self.show(target)["sessions"]
                 if all(session[key] == value for key, value in wanted.items())]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def assert_held_by(self, session, pid):
        with open("/proc/%d/comm" % pid, encoding="utf-8") as comm:
            program = comm.read().strip()
        user = pwd.getpwuid(os.stat("/proc/%d" % pid).st_uid).pw_name
        self.assertIn({"pid": pid, "program": program, "user": user}, session["holders"])

    def test_who_serves_and_who_takes(self):
        for family in (4, 6):
            with self.subTest(family=family):
                port = self.pour(family=family)
                task = self.begin(_sip, HUB[family], port, host=NORD)
                self.wait_sessions("partner:" + NORD, 1)
                session = self.one("partner:" + NORD)
                self.assertEqual((session["service"], session["partner"], session["peer"], session["local"],
                                  session["local_port"], session["direction"], session["verdict"]),
                                 ("batch", NORD, address(NORD, family), HUB[family], port, "serves", "pass"))
                with open("/proc/%d/task/%d/children" % (self.server.pid, self.server.pid), encoding="utf-8") as children:
                    child = int(children.read())  # one for each connection
                self.assert_held_by(session, child)
                self.assertEqual((len(session["holders"]), session["made_by_pid"]), (1, self.server.pid))
                later = self.one("partner:" + NORD)
                self.assertGreater(later["sent_bytes"], 0)
                self.assertGreaterEqual(later["sent_bytes"], later["acked_bytes"])
                self.assertEqual(self.show("partner:" + SUED)["sessions"], [])
                self.assertEqual(self.one("service:batch")["peer"], address(NORD, family))
                self.assertEqual(self.one("addr:%s" % address(NORD, family))["local_port"], port)
                task.kill()
                self.server.kill()
                self.wait_sessions("all", 0)

    def test_a_child_of_sshd_holds_what_its_listener_made(self):
        download = far.sftp_get(self.lab, SUED, "big", HUB[6], kbits=20000)
        self.addCleanup(download.process.kill)
        wait_for(lambda: download.bytes > MIB, 20, "the download to run")
        session = self.one("partner:" + SUED)
        self.assertEqual((session["peer"], session["local_port"]), (address(SUED, 6), 22))
        pids = [holder["pid"] for holder in session["holders"]]
        self.assertTrue(pids)
        self.assertNotIn(self.lab.running["sftp"].pid, pids)
        for pid in pids:
            self.assert_held_by(session, pid)
        self.assertGreater(session["acked_bytes"], MIB // 2)

    def test_calls_of_tcp_and_of_connected_udp(self):
        sink, where, port = self.sink(STORE, port=443)
        task = self.begin(far.tcp_give, where, port, 1 << 40, host="hub", service="batch")
        wait_for(lambda: sink.bytes > MIB, 10, "the call to run")
        session = self.one("partner:" + STORE, protocol="tcp")
        self.assertEqual((session["peer"], session["peer_port"], session["direction"], session["grant"]),
                         (where, 443, "calls", "archive"))
        self.assert_held_by(session, task.pid)
        task.kill()
        task = self.begin(_call_by_udp, where, port, host="hub", service="batch")
        wait_for(lambda: [s for s in self.show("partner:" + STORE)["sessions"] if s["protocol"] == "udp"], 10, "the socket")
        session = self.one("partner:" + STORE, protocol="udp")
        self.assertEqual((session["peer"], session["peer_port"], session["direction"]), (where, 443, "calls"))
        self.assert_held_by(session, task.pid)
        task.kill()

    def test_a_dry_run_says_whom_and_what_is_spared(self):
        port = self.pour()
        self.begin(_sip, HUB[4], port, host=NORD)
        self.begin(_hold, far.ADMIN[4], 22, host="admin")
        self.wait_sessions("partner:" + NORD, 1)
        self.wait_sessions("service:admin", 1)
        said = self.guard.must("cut", "all", "--dry-run").stdout
        self.assertRegex(said, r"it would stop 4 partners: klinik-nord \(1 connections\), ")
        self.assertIn("the lifeline spares admin (1 connections)\n", said)
        said = self.guard.must("cut", "class:hospital", "--dry-run").stdout
        self.assertIn("it would stop 2 partners: klinik-nord (1 connections), klinik-sued\n", said)
        self.assertNotIn("lifeline", said)
        self.assertEqual(self.guard.cuts(), [])

    def test_listing_changes_nothing(self):
        port = self.pour()
        self.begin(_sip, HUB[4], port, host=NORD)
        self.wait_sessions("partner:" + NORD, 1)
        generation = self.guard.status()["generation"]
        for _ in range(5):
            self.show("all")
        after = self.guard.status()
        self.assertEqual(after["generation"], generation)
        self.assertEqual({name: number for name, number in after["lost"].items() if number}, {})
        self.assertEqual(self.show("partner:" + NORD)["session_count"], 1)


class Who(Page):
    """Whose an address is."""
    policy = policy([grant("pour", "batch", "any", serves="tcp/7000-7999")], STRANGERS,
                    partners={"ward": {"addresses": ["198.51.100.3/32"]}, NORD: {"info": CONTACT}})

    def test_partner_nested_prefix_and_neighbours(self):
        said = self.who("198.51.100.2")
        self.assertEqual((said["is"], said["partner"]["name"], said["prefix"]["prefix"], said["around"]),
                         ("partner", NORD, "198.51.100.0/28", []))
        self.assertEqual([near["partner"] for near in said["near"]], [STORE, "ward"])
        self.assertEqual(said["partner"]["info"], CONTACT)
        said = self.who("198.51.100.3")
        self.assertEqual((said["partner"]["name"], said["prefix"]["prefix"]), ("ward", "198.51.100.3"))
        self.assertEqual(said["around"], [{"prefix": "198.51.100.0/28", "partner": NORD}])
        self.assertEqual(self.who("2001:db8:2::77")["partner"]["name"], SUED)
        self.assertEqual(self.who(far.HOSTS["admin"][0][0])["is"], "lifeline")

    def test_a_strangers_meter_and_connections(self):
        port, source = self.pour(), self.stranger()
        self.assertEqual(self.who(source)["is"], "stranger")
        self.assertFalse([budget for budget in self.who(source)["budgets"] if budget["is_full"]])
        self.begin(_hold, HUB[4], port, source, host="stranger")
        wait_for(lambda: [s["peer"] for s in self.who(source)["sessions"]] == [source], 10, "the connection")
        self.assertEqual(self.who(self.stranger())["sessions"], [])
        self.take("stranger", port, source, seconds=0.5)
        said = self.who(source)
        self.assertEqual(said["state"], "held")
        budget = self.budget(said, "stranger", service="batch")
        self.assertTrue(budget["is_full"])
        self.assertGreater(budget["windows"][0]["used_bytes"], 32 * KIB)
        self.assertLessEqual(budget["windows"][0]["used_bytes"], 64 * KIB)
        # what would be held for more than a minute is ended
        wait_for(lambda: not self.who(source)["sessions"], 10, "the connections to be ended")
        wait_for(lambda: "closed" in [event["kind"] for event in self.who(source)["recent"]], 10, "the end of it")
        self.guard.cut("addr:%s" % source)
        self.assertEqual(self.who(source)["state"], "cut")

    def test_a_policy_file_alone(self):
        done = self.guard.weir("who", "198.51.100.3", "--policy", self.guard.policy_file)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("address   198.51.100.3: partner ward\n", done.stdout)
        self.assertNotIn("sessions", done.stdout)
        done = self.guard.weir("who", "198.51.100.3", "--policy", "/nonexistent")
        self.assertEqual(done.returncode, 1)

    def test_what_is_no_target_and_what_is_no_address(self):
        done = self.guard.weir("show", "partner:klinik-nort")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn(NORD, done.stderr)
        self.assertEqual(self.guard.weir("show", "klinik-nord").returncode, 1)
        self.assertEqual(self.guard.weir("show").returncode, 2)
        self.assertEqual(self.guard.weir("who", NORD).returncode, 2)


class WithoutADaemon(Page):
    """Both work on the pinned state, say so, and exit 3."""
    policy = policy([grant("pour", "batch", "any", ["2MiB/1h"], serves="tcp/7000-7999")], STRANGERS,
                    partners={NORD: {"info": CONTACT}})

    def test_the_same_is_told(self):
        port = self.pour()
        self.take(NORD, port, seconds=1.0)
        self.begin(_hold, HUB[4], port, host=SUED)
        self.wait_sessions("partner:" + SUED, 1)
        self.guard.cut("partner:" + PAYER)
        with_daemon = self.show("partner:" + NORD)
        self.guard.stop()
        said = self.show("partner:" + NORD, code=3)
        self.assertFalse(said["daemon"])
        for key in ("state", "partner", "budget_count"):
            self.assertEqual(said[key], with_daemon[key])
        self.assertEqual(said["state"], "held")
        self.assertEqual([session["peer_port"] > 0 for session in self.show("partner:" + SUED, code=3)["sessions"]], [True])
        self.assertEqual(self.show("partner:" + PAYER, code=3)["state"], "cut")
        self.assertEqual(self.who(address(NORD), code=3)["partner"]["name"], NORD)
        done = self.guard.weir("show", "partner:klinik-nort")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no daemon answers", self.guard.weir("show", "all").stderr)


def _call_by_udp(where, port):
    import socket
    with socket.socket(far.family_of(where), socket.SOCK_DGRAM) as client:
        client.connect((where, port))
        client.send(b"x" * 100)
        time.sleep(30)


def _sip(where, port):
    """Takes slowly, from a pour()."""
    import socket
    with socket.socket(far.family_of(where), socket.SOCK_STREAM) as client:
        client.connect((where, port))
        client.send(b"go\n")
        while client.recv(4096):
            time.sleep(0.02)


def _hold(where, port, source=None):
    """A connection that is only open."""
    import socket
    with socket.socket(far.family_of(where), socket.SOCK_STREAM) as client:
        if source:
            client.bind((source, 0))
        client.connect((where, port))
        time.sleep(30)
