# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""What did not go out is listed per partner, for the notices to them; what the list lacks is counted."""
import json
import os
import select
import socket
import struct
import time

from case import HUB, KIB, MIB, NORD, PAYER, STORE, STRANGERS, SUED, LabCase, far, wait_for
from guard import grant, policy
from lab import HOSTS

POLICY = policy([grant("pour", "batch", [NORD, SUED], serves="tcp/7000-7999"),
                 grant("archive", "batch", STORE, calls="tcp/443"),
                 grant("metered", "batch", PAYER, ["256KiB/10m"], serves="tcp/7000-7999")], STRANGERS,
                partners={NORD: {"info": {"contact": "24x7 +49 30 5550100"}}})


def take_and_name(address, port, path):
    """Takes until it breaks, and keeps in a file what it has: (own port, bytes)."""
    with socket.socket() as client:
        client.connect((address, port))
        client.sendall(b"go\n")
        got = 0
        with open(path, "w", encoding="ascii") as file:
            try:
                while True:
                    part = client.recv(1 << 18)
                    if not part:
                        break
                    got += len(part)
                    os.pwrite(file.fileno(), b"%d %20d" % (client.getsockname()[1], got), 0)
            except OSError as error:
                return client.getsockname()[1], got, error.errno
    return None, got, 0


def connect_often(address, port, times):
    """How many of them were refused."""
    return sum(far.connect_error(address, port) == "EPERM" for _ in range(times))


def accept_all(address, port):
    with socket.create_server((address, port), backlog=4096) as server:
        while True:
            server.accept()[0].close()


def come_and_go(address, port, times, at_once=512):
    """Connections that end at once: the kernel tells of each that it came, and that it went."""
    for _ in range(0, times, at_once):
        clients = [socket.socket() for _ in range(at_once)]
        for client in clients:
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leaves no TIME_WAIT
            client.connect_ex((address, port))
        waiting = {client.fileno() for client in clients}
        poll = select.poll()
        for number in waiting:
            poll.register(number, select.POLLOUT)
        while waiting:
            for number, _ in poll.poll():
                poll.unregister(number)
                waiting.discard(number)
        for client in clients:
            client.close()


class Refused(LabCase):
    policy = POLICY

    def tearDown(self):
        for cut in self.guard.cuts():
            self.guard.weir("reopen", "--order", cut["id"], "--reason", "the test is over")

    def listed(self, *words):
        done = self.guard.weir("refused", *words, "--json")
        self.assertIn(done.returncode, (0, 3), done.stderr)
        return json.loads(done.stdout)

    def of(self, name, *words):
        """The answer's entry of one partner."""
        for partner in self.listed(*words)["partners"]:
            if partner["name"] == name:
                return partner
        return {"items": [], "unlisted": 0}

    def all_of(self, name):
        """(refusals that are listed, those that are only counted)"""
        one = self.of(name)
        return sum(item["count"] for item in one["items"] if item["kind"] == "refused"), one["unlisted"]

    def wait_saved(self):
        """The list as it is is on the disk: after a second, or ten since the last save; or it was before this."""
        path, since = os.path.join(self.guard.state_dir, self.lab.instance, "refused"), time.time()
        try:
            wait_for(lambda: os.path.exists(path) and os.path.getmtime(path) >= since, 12)
        except TimeoutError:
            pass

    def begin(self, host, port, name):
        path = self.lab.path(name)
        task = self.lab.start(take_and_name, HUB[4], port, path, host=host)
        wait_for(lambda: os.path.exists(path) and int((open(path, encoding="ascii").read().split() or [0, 0])[1]) > MIB, 10, "the flow")
        return task

    def test_severed_session_is_listed_as_the_far_end_saw_it(self):
        port = self.pour()
        flows = [self.begin(NORD, port, "flow-%d" % number) for number in range(3)]
        alive = self.begin(SUED, port, "alive")
        since = int(time.time())
        self.guard.cut("partner:" + NORD, reason="what the notice says")
        order = self.guard.cuts()[0]["id"]
        seen = {own: got for own, got, _ in (flow.result(20) for flow in flows)}
        wait_for(lambda: sum(item["kind"] == "severed" for item in self.of(NORD)["items"]) >= 3, 20, "the list")
        severed = [item for item in self.of(NORD)["items"] if item["kind"] == "severed"]
        self.assertEqual(sorted(item["peer_port"] for item in severed), sorted(seen))
        for item in severed:
            self.assertEqual((item["service"], item["direction"], item["local_port"], item["protocol"]), ("batch", "serves", port, "tcp"))
            self.assertEqual((item["reason"], item["order"], item["order_reason"]), ("cut", order, "what the notice says"))
            self.assertEqual(item["peer"], HOSTS[NORD][0][0])
            self.assertLessEqual(item["acked_bytes"], seen[item["peer_port"]] + (4 << 20))  # in the client's buffer
            self.assertLessEqual(seen[item["peer_port"]], item["sent_bytes"])
            self.assertGreaterEqual(item["acked_bytes"], MIB)
            self.assertGreaterEqual(item["first"], since)
        self.assertTrue(alive.is_running())
        self.assertEqual(self.of(SUED)["items"], [])
        said = self.guard.must("refused", NORD).stdout
        self.assertIn("contact: 24x7 +49 30 5550100", said)
        self.assertRegex(said, r"severed  batch serves %s port %d, tcp/%d; at least .* had left; cut %s \(what the notice says\)" % (
            HOSTS[NORD][0][0], severed[0]["peer_port"], port, order))
        self.assertNotIn(SUED, said)
        time.sleep(2.1)
        self.assertEqual(self.of(NORD, "--since", "1s")["items"], [])
        self.assertEqual(len(self.of(NORD, "--since", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(since - 1)))["items"]),
                         len(self.of(NORD)["items"]))
        alive.kill()

    def test_each_refused_call_is_listed_or_counted(self):
        """More than are told one by one: the rest is a number, from the kernel's counter."""
        sink, address, port = self.sink(STORE, port=443)
        self.assertEqual(self.lab.call(far.tcp_give, address, port, 64 * KIB, host="hub", service="batch"), 64 * KIB)
        before = self.all_of(STORE)
        self.guard.cut("partner:" + STORE)
        self.assertEqual(self.lab.call(connect_often, address, port, 50, host="hub", service="batch"), 50)
        wait_for(lambda: sum(self.all_of(STORE)) == sum(before) + 50, 5, "50 refusals")
        listed, unlisted = self.all_of(STORE)
        self.assertGreaterEqual(listed - before[0], 16)
        self.assertGreater(unlisted, 0)
        self.assertIn("%d more refusals are not in this list" % unlisted, self.guard.must("refused", "partner:" + STORE).stdout)
        items = [item for item in self.of(STORE)["items"] if item["reason"] == "cut"]
        self.assertEqual(len(items), 1, "one flow is one item")
        self.assertEqual((items[0]["peer"], items[0]["peer_port"], items[0]["direction"]), (address, 443, "calls"))
        self.assertTrue(items[0]["program"].startswith("python"), items[0])
        self.assertEqual(sink.connections, 1)

    def test_nothing_is_forgotten_over_a_kill_and_an_unload(self):
        sink, address, port = self.sink("payer")
        start = sum(self.all_of(PAYER))

        def refuse(times):
            self.assertEqual(self.lab.call(connect_often, address, port, times, host="hub", service="batch"), times)
        refuse(3)
        wait_for(lambda: self.all_of(PAYER)[0] >= 3, 5, "the list")
        self.wait_saved()
        refuse(4)
        wait_for(lambda: sum(self.all_of(PAYER)) == start + 7, 5, "the counter")
        self.guard.kill()  # before the last ones are saved
        refuse(5)          # nobody reads the ring
        self.assertGreaterEqual(self.all_of(PAYER)[0], 3)
        self.assertEqual(sum(self.all_of(PAYER)), start + 12)
        self.assertEqual(self.guard.weir("refused").returncode, 3)
        self.guard.start()
        wait_for(lambda: sum(self.all_of(PAYER)) == start + 12 and self.all_of(PAYER)[0] >= 8, 5, "what the ring held")
        self.guard.stop()
        self.guard.must("unload", "--yes")  # as after a reboot: the counters come from the disk
        self.guard.start()
        self.assertEqual(sum(self.all_of(PAYER)), start + 12)
        self.assertEqual(sink.connections, 0)
        self.assert_passes(NORD, self.pour())

    def lost(self):
        return self.guard.status()["lost"]["events"]

    def test_a_full_ring_hides_no_refusal(self):
        """Nobody reads it, until no event finds room: what is refused then is only a number, and the page says so."""
        address, port = HOSTS[STORE][0][0], 443
        server = self.lab.start(accept_all, address, port, host=STORE)
        self.addCleanup(server.kill)
        far.wait_listening(self.lab, STORE, address, port)
        start, lost = sum(self.all_of(STORE)), self.listed()["lost_events"] - self.lost()
        self.wait_saved()
        self.guard.kill()
        end = time.monotonic() + 60
        while not self.lost():
            self.assertLess(time.monotonic(), end, "the ring does not fill")
            self.lab.call(come_and_go, address, port, 2048, host="hub", service="batch")
        self.guard.weir("cut", "partner:" + STORE, "--reason", "nobody answers")
        self.assertEqual(self.lab.call(connect_often, address, port, 30, host="hub", service="batch"), 30)
        self.assertEqual(sum(self.all_of(STORE)), start + 30)
        self.assertGreaterEqual(self.lost(), 3)
        self.guard.start()
        wait_for(lambda: self.of(STORE)["unlisted"] >= 30 and sum(self.all_of(STORE)) == start + 30, 10, "the counter")
        self.assertEqual(self.listed()["lost_events"], lost + self.lost())
        said = self.guard.must("refused", STORE).stdout
        self.assertIn("%d EVENTS WERE LOST since then" % (lost + self.lost()), said)
        self.assertIn("30 more refusals are not in this list", said)
        # with room again, each is told of
        order, sent = self.guard.cuts()[0]["id"], [30]

        def is_listed():
            self.assertEqual(self.lab.call(connect_often, address, port, 1, host="hub", service="batch"), 1)
            sent[0] += 1
            return [one for one in self.of(STORE)["items"] if one["order"] == order]
        wait_for(is_listed, 10, "the item", 0.2)
        self.assertEqual(sum(self.all_of(STORE)), start + sent[0])

    def test_asked_ten_times_a_second_it_never_forgets(self):
        """While calls are refused, and policies change: the sum only rises, to what the caller counts."""
        _, address, port = self.sink(SUED, port=443)
        start, seen = sum(self.all_of(SUED)), []
        other = self.guard.write_policy(dict(POLICY, name="other"), "other.yaml")
        caller = self.lab.start(connect_often, address, port, 3000, host="hub", service="batch")
        for number in range(20):
            begun = time.monotonic()
            if number in (5, 12):
                self.guard.must("apply", other if number == 5 else self.guard.policy_file, "--yes")
            seen.append(sum(self.all_of(SUED)))
            time.sleep(max(0.0, begun + 0.1 - time.monotonic()))
        self.assertEqual(caller.result(30), 3000)
        wait_for(lambda: sum(self.all_of(SUED)) == start + 3000, 5, "all refusals")
        self.assertEqual(seen, sorted(seen))
        self.assertLessEqual(seen[-1], start + 3000)
        self.assertGreater(len(set(seen)), 1)

    def test_what_another_policy_does_not_name_is_told_by_its_number(self):
        """Refused just before that policy came; under its name again, once a policy has it."""
        _, address, port = self.sink("payer", port=443)
        before = sum(self.all_of(PAYER))
        without = json.loads(json.dumps(POLICY))
        del without["partners"][PAYER]
        without["grants"] = [one for one in without["grants"] if one["partner"] != PAYER]
        path = self.guard.write_policy(without, "without.yaml")
        self.assertEqual(self.lab.call(connect_often, address, port, 7, host="hub", service="batch"), 7)
        self.guard.must("apply", path, "--yes")
        nameless = [one for one in self.listed()["partners"] if (one["name"] or "").startswith("#")]
        counts = [sum(item["count"] for item in one["items"]) + one["unlisted"] for one in nameless]
        self.assertEqual(counts, [before + 7])
        self.assertEqual(self.guard.weir("refused", PAYER).returncode, 1)
        self.guard.must("apply", self.guard.policy_file, "--yes")
        self.assertEqual(sum(self.all_of(PAYER)), before + 7)

    def test_budget_is_a_reason(self):
        port = self.pour()
        self.assertLessEqual(self.take(PAYER, port, seconds=1), 256 * KIB)
        wait_for(lambda: "budget" in [item["reason"] for item in self.of(PAYER)["items"]], 5, "the list")
        item = [item for item in self.of(PAYER)["items"] if item["reason"] == "budget"][0]
        self.assertEqual((item["grant"], item["local_port"]), ("metered", port))
        self.assert_passes(NORD, port)

    def test_damaged_list_is_told_and_begins_anew(self):
        self.guard.stop()
        path = os.path.join(self.guard.state_dir, self.lab.instance, "refused")
        with open(path, "r+b") as file:
            file.seek(60)
            file.write(b"\xff")
        self.assertEqual(self.guard.weir("refused").returncode, 1)
        self.guard.start()
        self.assertEqual([item for partner in self.listed()["partners"] for item in partner["items"]], [])
        self.assertIn("refused is damaged", self.guard.words())

    def test_bad_words_change_nothing(self):
        for words, code, says in ((["klinik-nort"], 1, "klinik-nord"), (["--since", "soon"], 2, "--since takes"), (["--since", "2099-01-01T00:00:00Z"], 2, "has come"),
                                  (["partner:"], 1, ""), (["a", "b"], 2, "")):
            done = self.guard.weir("refused", *words)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(says, done.stderr)
