# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
Two of the incidents that weir is for, from the first packet to the last stage, but for their reports.

Shutdown    80 partners and 6 service classes down by one order, and back class by class (Bitmarck, 2023)
Suspension  one class suspended on 50 hosts by one signed order, while another serves on (Video-Ident, 2022)
"""
import json
import mmap
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import unittest

from case import STRANGERS, LabCase, far, lab, pause, wait_for
from guard import LIFELINE, Guard, grant
from lab import HOSTS, SLOWNESS, TOP, lasting

sys.path.append(os.path.join(TOP, "tests", "fleet"))
import parts  # noqa: E402

NO_STRANGERS = dict(STRANGERS, serves="deny")
WINDOW = 1.0  # how long the far end tries to get something that it must not get


def shared_numbers(count):
    """Numbers that two processes see, all 0; each is written by one of them, and whole at any time."""
    return memoryview(mmap.mmap(-1, 8 * count)).cast("q")


# ---- 80 partners, 6 classes ------------------------------------------------------------------------

CLASSES = ("emergency", "prescriptions", "sick-notes", "billing", "members", "archive")  # by priority
BREACHES = "sick-notes"
SITES = ("klinik-nord", "klinik-sued", "payer", "store")  # each has 20 partners of its own prefixes
PORT = {name: 7000 + place for place, name in enumerate(CLASSES)}
SIZE = 16 << 10
BUDGET, SHARE = 4 << 20, 1 << 20  # of each partner: all, and the 25 % of a stage that is watched
LIVE = b"live\n"


def addresses_of(site):
    """Ten of each family, that no other test uses."""
    first4, first6 = HOSTS[site][0][0].rsplit(".", 1), HOSTS[site][3][0].rsplit("::", 1)[0]
    return (["%s.%d" % (first4[0], int(first4[1]) + 2 + number) for number in range(10)] +
            ["%s::%x" % (first6, 0x100 + number) for number in range(10)])


# name: (site, address, class)
PARTNERS = {"partner-%02d" % number: (site, address, CLASSES[number % len(CLASSES)])
            for number, (site, address) in enumerate((site, address) for site in SITES for address in addresses_of(site))}


def serve(port):
    """Who connects says how many bytes it wants, or "live": then some come until the session ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listeners = [far._listen(far.HUB[family], port) for family in (4, 6)]
    while True:
        for listener in select.select(listeners, [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                try:
                    answer(connection, connection.recv(64))
                except OSError:
                    pass
                os._exit(0)
            connection.close()


def answer(connection, request):
    while request == LIVE:
        connection.sendall(bytes(500))
        time.sleep(0.05)
    connection.sendall(bytes(int(request)))
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)


def open_all(ways):
    """Connections that have begun, with a state each: [bytes, has_asked, is_over]."""
    clients = {}
    for source, port in ways:
        family = 6 if ":" in source else 4
        client = socket.socket(far.FAMILY[family], socket.SOCK_STREAM)
        client.setblocking(False)
        client.bind((source, 0))
        client.connect_ex((far.HUB[family], port))
        clients[client] = [0, False, False]
    return clients


def turn(clients, request, seconds):
    """Takes what comes."""
    waiting = [client for client, state in clients.items() if not state[2]]
    asking = [client for client in waiting if not clients[client][1]]
    readable, writable, _ = select.select([client for client in waiting if clients[client][1]], asking, [], seconds)
    for client in writable + readable:
        state = clients[client]
        try:
            if not state[1]:
                client.send(request)
                state[1] = True
                continue
            part = client.recv(1 << 16)
            state[0] += len(part)
            state[2] = not part
        except OSError:
            state[2] = True


def end_all(clients, told):
    for client in clients:
        client.close()
    return [told(state) for state in clients.values()]


def take_each(ways, size, wanted):
    """The bytes that each of the sources gets of the `size` it asks for: until those that are `wanted` have them, and
    the others have tried for WINDOW."""
    clients, request = open_all(ways), b"%d\n" % size
    begun = time.monotonic()
    while True:
        now = time.monotonic() - begun
        is_served = all(state[0] >= size for state, want in zip(clients.values(), wanted) if want)
        if now > 15 * SLOWNESS or is_served and (all(wanted) or now > WINDOW):
            return end_all(clients, lambda state: state[0])
        turn(clients, request, 0.05)


def live(ways, shared):
    """Holds a session of each source until all have ended: (bytes, whether it ended) of each. shared[0]: how many
    have got something."""
    clients = open_all(ways)
    end = time.monotonic() + 30 * SLOWNESS
    while time.monotonic() < end and not all(state[2] for state in clients.values()):
        turn(clients, LIVE, 0.05)
        shared[0] = sum(state[0] > 0 for state in clients.values())
    return end_all(clients, lambda state: (state[0], state[2]))


def lifeline(argv, shared):
    """Reads numbered lines of a session: shared[0] how many came in order, shared[1] the longest pause in ns."""
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as session:
        last = None
        for line in session.stdout:
            now = time.monotonic_ns()
            if int(line) != shared[0] + 1:
                return
            shared[0] += 1
            shared[1] = max(shared[1], now - (last or now))
            last = now


class Shutdown(LabCase):
    servers = ("admin",)
    policy = {
        "weir": 1, "name": "data-centre", "mode": "enforce", "lifeline": LIFELINE, "strangers": NO_STRANGERS,
        "services": dict({"admin": {"cgroup": lab.SERVICES["admin"]}},
                         **{name: {"cgroup": "system.slice/%s.service" % name, "class": [name]} for name in CLASSES}),
        "partners": {name: {"addresses": [address], "class": [of + "-partners"]}
                     for name, (_, address, of) in PARTNERS.items()},
        # the window of the one that breaches is so short that its second try need not wait for an hour
        "grants": [grant(name, name, "class:%s-partners" % name,
                         ["%dB/%s" % (BUDGET, "%ds" % lasting(8) if name == BREACHES else "1h")], serves="tcp/%d" % PORT[name])
                   for name in CLASSES]}

    @classmethod
    def prepare(cls):
        for site in SITES:
            path = cls.lab.path("addresses-" + site)
            with open(path, "w", encoding="ascii") as file:
                for address in addresses_of(site):
                    file.write("addr add %s dev eth0 %s\n" % (
                        address + ("/64" if ":" in address else "/28"), "nodad" if ":" in address else ""))
            done = cls.lab.run(["ip", "-batch", path], site)
            assert done.returncode == 0, done.stderr
        for name in CLASSES:
            cls.lab.start(serve, PORT[name], host="hub", service="system.slice/%s.service" % name)
        for name in CLASSES:
            for family in (4, 6):
                far.wait_listening(cls.lab, "hub", far.HUB[family], PORT[name])

    # ---- the far end ----------------------------------------------------------------------------

    def each_site(self, function, *more, ways_of=lambda names: names):
        """Starts it on each site with the ways of its partners: [(names, task)]."""
        tasks = []
        for site in SITES:
            names = ways_of([name for name, partner in PARTNERS.items() if partner[0] == site])
            ways = [(PARTNERS[name][1], PORT[PARTNERS[name][2]]) for name in names]
            if ways:
                tasks.append((names, self.lab.start(function, ways, *[one(names) for one in more], host=site)))
        return tasks

    def assert_open(self, *classes):
        """Each partner of these gets all that it asks for, and none of the others' gets a byte."""
        tasks = self.each_site(take_each, lambda _: SIZE,
                               lambda names: [PARTNERS[name][2] in classes for name in names])
        got = {}
        for names, task in tasks:
            got.update(zip(names, task.result(30)))
        self.assertEqual(len(got), 80)
        self.assertEqual({name: bytes_ for name, bytes_ in got.items()
                          if bytes_ != (SIZE if PARTNERS[name][2] in classes else 0)}, {}, classes)
        self.assertTrue(self.session.is_running(), "the lifeline's session has ended")

    # ---- the plan -------------------------------------------------------------------------------

    def plan(self):
        return json.loads(self.guard.must("plan", "status", "--json").stdout)["plan"]

    def wait_state(self, place, state):
        def is_so():
            plan = self.plan()  # of one that is over nothing is there
            return (plan["stages"][place]["state"] if plan else "done") == state
        wait_for(is_so, 20, "stage %s to be %s" % (CLASSES[place], state), 0.1)

    def start_plan(self):
        stages = [{"name": name, "targets": "class:" + name, "budget": "25%", "watch": "%ds" % lasting(2)} for name in CLASSES]
        stages[0]["evidence"] = "required"
        self.guard.must("plan", "start", self.guard.write_policy(
            {"weir-plan": 1, "name": "back", "reason": "incident 4711", "stages": stages}, "plan.yaml"))
        self.assertIn("--evidence REF", self.guard.weir("plan", "next").stderr)

    def breach(self, place):
        """One partner takes more than its share."""
        self.guard.must("plan", "next")
        self.assert_open(*CLASSES[:place + 1])
        site, address, _ = next(partner for partner in PARTNERS.values() if partner[2] == BREACHES)
        got = self.lab.call(take_each, [(address, PORT[BREACHES])], BUDGET, [False], host=site)[0]
        self.assertLessEqual(got + SIZE, SHARE)
        self.assertGreater(got, SHARE // 2)
        self.wait_state(place, "cut again")
        self.assert_open(*CLASSES[:place])
        self.assertEqual([stage["state"] for stage in self.plan()["stages"]],
                         ["done"] * place + ["cut again"] + ["later"] * (len(CLASSES) - place - 1))
        self.assertEqual([(cut["target"], len(cut["except"])) for cut in self.guard.cuts()],
                         [("all", place + 1), ("class:" + BREACHES, 0)])
        pause(lasting(8) + 1)  # its window
        self.guard.must("plan", "next")

    # ---- the run --------------------------------------------------------------------------------

    def cut_everything(self):
        shares = [shared_numbers(1) for _ in SITES]
        some = iter(shares)
        tasks = self.each_site(live, lambda _: next(some))
        wait_for(lambda: sum(shared[0] for shared in shares) == 80, 20, "80 live sessions")
        self.guard.cut("all", reason="incident 4711")
        answered = time.time_ns()
        for names, task in tasks:
            for name, (got, has_ended) in zip(names, task.result(40)):
                self.assertTrue(got and has_ended, name)
        for counter in self.counters:
            self.assertLessEqual(counter.settle().laden_ns, answered + 50 * 10**6 * SLOWNESS)

    def test_all_down_by_one_order_and_back_class_by_class(self):
        shared = shared_numbers(2)
        self.session = self.lab.start(lifeline, ["ssh"] + far.ssh_options(self.lab) + [
            "transfer@" + far.ADMIN[4], "i=0; while :; do i=$((i+1)); echo $i; sleep 0.05; done"], shared, host="admin")
        wait_for(lambda: shared[0] > 0, 20, "the lifeline's session")
        self.counters = [far.Count(self.lab, site, addresses_of(site)) for site in SITES]
        self.assert_open(*CLASSES)
        self.cut_everything()
        before = [counter.payload for counter in self.counters]
        self.assert_open()
        self.assertEqual([counter.settle().payload for counter in self.counters], before, "on the wire")
        self.assertEqual(far.ssh(self.lab, "admin", "echo here").stdout, "here\n")
        self.start_plan()
        self.assert_open()
        for place, name in enumerate(CLASSES):
            if name == BREACHES:
                self.breach(place)
            else:
                self.guard.must("plan", "next", *([] if place else ["--evidence", "forensics report 17"]))
            self.assert_open(*CLASSES[:place + 1])
            self.wait_state(place, "done")
        wait_for(lambda: not self.plan(), 10, "the plan to end")
        self.assert_open(*CLASSES)
        self.assertEqual(self.guard.status()["overrides"], [])
        kinds = [line["record"]["kind"] for line in json.loads(self.guard.must("order", "list", "--json").stdout)]
        self.assertEqual((kinds.count("cut"), kinds.count("plan-breach"), kinds.count("plan-passed")), (2, 1, 6))
        count = shared[0]
        wait_for(lambda: shared[0] > count, 5, "more of the lifeline")
        self.assertTrue(self.session.is_running())
        self.assertLess(shared[1], 3 * 10**9 * SLOWNESS, "the lifeline stood still")
        if os.environ.get("WEIR_TOLD"):
            print("lifeline: %d lines, longest pause %.0f ms" % (shared[0], shared[1] / 1e6), file=sys.stderr)


# ---- one class on 50 hosts --------------------------------------------------------------------------

# An emulated machine tries its kernel, not how many of them there are.
HOSTS_IN_ALL, REAL = (50, 10) if SLOWNESS == 1 else (8, 3)
REAL = int(os.environ.get("WEIR_REAL_GUARDS", REAL))  # each takes 100 MB and a second
PROVIDER = "payer"
SUSPENDED, OTHER = "video-ident", "eid"
STREAMS = ((SUSPENDED, 7001, 7011), (OTHER, 7002, 7012))  # class, the hub's TCP port, the provider's UDP port
EACH = REAL * SLOWNESS / 1000  # s from one numbered packet to the next
FLEET_POLICY = {
    "weir": 1, "name": "insurer", "mode": "enforce", "lifeline": LIFELINE, "strangers": NO_STRANGERS,
    "services": dict({"admin": {"cgroup": lab.SERVICES["admin"]}},
                     **{name: {"cgroup": "system.slice/%s.service" % name, "class": [name]} for name, _, _ in STREAMS}),
    "partners": {"provider": {"addresses": [HOSTS[PROVIDER][0][0]]}},
    "grants": [grant(name, name, "provider", serves="tcp/%d" % tcp, calls="udp/%d" % udp)
               for name, tcp, udp in STREAMS]}


def say_packets(port, shared):
    """Sends numbered datagrams to the provider, from the guarded host, until shared[1] or one is refused (shared[2]:
    errno). shared[0]: how many the kernel took."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect((HOSTS[PROVIDER][0][0], port))
        while not shared[1]:
            try:
                one.send(struct.pack("q", shared[0]) + bytes(200))
            except OSError as error:
                shared[2] = error.errno
                return
            shared[0] += 1
            time.sleep(EACH)


def say_records(port):
    """A server of the guarded host: each session gets numbered records."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = far._listen(far.HUB[4], port)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            number = 0
            try:
                while True:
                    connection.sendall(struct.pack("q", number))
                    number += 1
                    time.sleep(EACH)
            except OSError:
                os._exit(0)
        connection.close()


class Heard:
    """What the provider has of one stream: of its packets and of its session. Numbers that two processes see."""
    FIELDS = ("packets", "numbers", "records", "is_wrong", "is_over", "last_ns", "record_ns", "longest_ns")

    def __init__(self):
        self.__dict__["shared"] = shared_numbers(len(self.FIELDS))

    def __getattr__(self, name):
        return self.shared[self.FIELDS.index(name)]

    def __setattr__(self, name, value):
        self.shared[self.FIELDS.index(name)] = value

    def take_packet(self, data, came_ns):
        """Two that were sent on different CPUs may come in the other order."""
        self.last_ns = max(self.last_ns, came_ns)
        self.numbers = max(self.numbers, struct.unpack("q", data[:8])[0] + 1)
        self.packets += 1

    def take_records(self, data, came_ns):
        """What is left of the data."""
        self.last_ns = max(self.last_ns, came_ns)
        self.longest_ns = max(self.longest_ns, came_ns - (self.record_ns or came_ns))
        self.record_ns = came_ns
        while len(data) >= 8:
            self.is_wrong |= struct.unpack("q", data[:8])[0] != self.records
            self.records += 1
            data = data[8:]
        return data


def hear(heards):
    """The provider's side of one host's streams. When something came is the kernel's word: this process may be behind."""
    places, rest = {}, {}
    for heard, (_, tcp, udp) in zip(heards, STREAMS):
        packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        packets.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)  # SO_RCVBUFFORCE: none is lost here
        packets.bind((HOSTS[PROVIDER][0][0], udp))
        session = socket.create_connection((far.HUB[4], tcp), 10)
        for one in (packets, session):
            one.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
        places.update({packets: heard, session: heard})
        rest[session] = b""
    while True:
        for one in select.select(list(places), [], [])[0]:
            heard = places[one]
            try:
                data, ancillary, _, _ = one.recvmsg(1 << 16, 64)
            except OSError:
                data = b""
            if not data:
                heard.is_over = 1
                del places[one]
                continue
            if one in rest:
                rest[one] = heard.take_records(rest[one] + data, far._nanoseconds(ancillary))
            else:
                heard.take_packet(data, far._nanoseconds(ancillary))


class Site(lab.Lab):
    """A guarded host and the provider, without the lab's other hosts."""

    def __init__(self):
        super().__init__()
        self.hosts = {name: self.hosts[name] for name in ("hub", PROVIDER)}


class Insurer:
    """One host of the fleet with a guard in the kernel, and the sessions that it has."""

    def __init__(self, fleet, member):
        self.member, self.site = member, Site()
        self.site.up()
        self.guard = Guard(self.site)
        self.guard.environment["WEIR_CONFIG_DIR"] = fleet.config_dir
        self.guard.policy_file = self.guard.write_policy(FLEET_POLICY)
        self.guard.spawn()

    def begin(self):
        """Once it judges: its agent, and its sessions."""
        wait_for(lambda: self.guard.weir("status").returncode == 0, 120, "weir to judge", 0.1)
        self.member.run_dir, self.member.instance = self.guard.run_dir, self.site.instance
        self.said = {name: shared_numbers(3) for name, _, _ in STREAMS}
        self.heard = {name: Heard() for name, _, _ in STREAMS}
        for name, tcp, _ in STREAMS:
            self.site.start(say_records, tcp, host="hub", service="system.slice/%s.service" % name)
            far.wait_listening(self.site, "hub", far.HUB[4], tcp)
        self.site.start(hear, list(self.heard.values()), host=PROVIDER)
        wait_for(lambda: all(heard.records for heard in self.heard.values()), 20, "the sessions")
        for name, _, udp in STREAMS:
            self.site.start(say_packets, udp, self.said[name], host="hub", service="system.slice/%s.service" % name)

    def gets(self, stream, seconds=0.5):
        """Bytes of a new session."""
        return self.site.call(far.tcp_take, far.HUB[4], stream[1], None, seconds, b"", 64, host=PROVIDER)[0]


class Suspension(unittest.TestCase):
    """
    50 hosts get one signed order over two brokers, each by an agent of its own, and each answers with its own key.
    REAL of them have a guard in the kernel, with its own cgroups, uplink and namespaces, and live sessions of both
    classes; the others have the same daemon on a guard of memory, and stand for the way of the order alone. The
    agents reach the brokers beside the guards, not through them.
    """

    @classmethod
    def setUpClass(cls):
        names = ["insurer-%02d" % number for number in range(HOSTS_IN_ALL)]
        cls.fleet = fleet = parts.Fleet({name: () for name in names})
        cls.addClassCleanup(fleet.close)
        cls.real = []
        for name in names[:REAL]:
            cls.real.append(Insurer(fleet, fleet.hosts[name]))
            cls.addClassCleanup(cls.real[-1].site.down)
        for name in names[REAL:]:
            fleet.hosts[name].start_daemon()
        for insurer in cls.real:
            insurer.begin()
        for host in fleet.hosts.values():
            host.start_agent()
        for host in fleet.hosts.values():
            parts.wait_for("the agents", lambda host=host: host.agent.said().count(": connected") == 2, 60 * SLOWNESS)

    def push(self, path, enforced=HOSTS_IN_ALL):
        """What is told of the hosts' own words; those that refuse are waited for, they may yet take it."""
        done = self.fleet.push(path, "--timeout", "%ds" % ((30 if enforced else 5) * SLOWNESS))
        self.assertIn("enforced on %d of %d hosts" % (enforced, HOSTS_IN_ALL), done.stdout, done.stdout + done.stderr)
        self.assertEqual(done.returncode, 0 if enforced == HOSTS_IN_ALL else 1)
        return done.stdout + done.stderr

    def cuts(self):
        return {host.cuts() for host in self.fleet.hosts.values()}

    def base(self):
        """The policy, the same on all of them, by a signed order."""
        path = os.path.join(self.fleet.directory, "base.yaml")
        with open(path, "w", encoding="ascii") as file:
            json.dump(FLEET_POLICY, file, indent=1)
            file.write("\n")
        self.push(self.fleet.order("base", "--version", "1", "--enclose", path, by=("alice", "bob")))

    def assert_suspended(self):
        for insurer in self.real:
            self.assertEqual(insurer.gets(STREAMS[0]), 0)
            self.assertGreater(insurer.gets(STREAMS[1]), 0)
        self.assertEqual(self.cuts(), {1})

    def suspend(self):
        wait_for(lambda: all(heard.packets > 50 and heard.records > 50 for insurer in self.real
                             for heard in insurer.heard.values()), 20, "live sessions")
        self.assertFalse([insurer for insurer in self.real if insurer.heard[SUSPENDED].is_over])
        path = self.fleet.order("cut", "class:" + SUSPENDED)
        told = self.push(path)
        answered = time.time_ns()
        pause(0.5)  # what would come in spite of the hosts' words
        for insurer in self.real:
            said, heard = insurer.said[SUSPENDED], insurer.heard[SUSPENDED]
            wait_for(lambda said=said, heard=heard: heard.is_over and said[2] and heard.packets >= said[0], 5,
                     "the session to end, and the last packet")
            self.assertEqual((heard.packets, heard.numbers), (said[0], said[0]))
            self.assertLess(heard.last_ns, answered)
        self.assert_suspended()
        with open(path, "rb") as file:
            return parts.id_of(file.read()), told

    def start_plans(self, cut):
        """The plan of each host demands a reference to evidence, and does not do without the signed reopening."""
        for insurer in self.real:
            guard = insurer.guard
            guard.must("plan", "start", guard.write_policy({
                "weir-plan": 1, "name": "back", "reason": "incident 4711", "stages": [
                    {"name": "one", "targets": "class:" + SUSPENDED, "evidence": "required", "watch": "1h"}]}, "plan.yaml"))
            done = guard.weir("plan", "next")
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("--evidence REF", done.stderr)
            guard.must("plan", "next", "--evidence", "audit 2022/17")
            self.assertEqual(self.stage(insurer)["state"], "held")
            self.assertIn("--cut " + cut, guard.must("plan", "status").stdout)

    @staticmethod
    def stage(insurer):
        return json.loads(insurer.guard.must("plan", "status", "--json").stdout)["plan"]["stages"][0]

    def assert_other_never_stopped(self):
        """Not one of its packets is missing, and its sessions are those of the beginning."""
        for insurer in self.real:
            insurer.said[OTHER][1] = 1
        for insurer in self.real:
            said, heard = insurer.said[OTHER], insurer.heard[OTHER]
            wait_for(lambda said=said, heard=heard: heard.packets >= said[0], 5, "the last packet")
            self.assertEqual((heard.packets, heard.numbers, said[2]), (said[0], said[0], 0))
            self.assertFalse(heard.is_wrong or heard.is_over)
            self.assertLess(heard.longest_ns, 2 * 10**9 * SLOWNESS, "it stood still")

    def test_one_class_down_everywhere_and_the_other_untouched(self):
        self.base()
        cut, told = self.suspend()
        self.start_plans(cut)
        self.assertIn("takes 2", self.push(self.fleet.order("reopen", "--cut", cut), 0))
        self.assert_suspended()
        self.push(self.fleet.order("reopen", "--cut", cut, by=("alice", "bob")))
        self.assertEqual(self.cuts(), {0})
        for insurer in self.real:
            self.assertGreater(insurer.gets(STREAMS[0], 5), 0)
            wait_for(lambda insurer=insurer: self.stage(insurer)["state"] == "watched", 10, "the stage")
            listed = json.loads(insurer.guard.must("order", "list", "--json").stdout)
            self.assertIn("audit 2022/17", [line["record"].get("evidence") for line in listed])
        self.assert_other_never_stopped()
        if os.environ.get("WEIR_TOLD"):
            print(told, [(one.heard[OTHER].packets, one.heard[OTHER].records, one.heard[OTHER].longest_ns // 10**6)
                         for one in self.real], file=sys.stderr)
