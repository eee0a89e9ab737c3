# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The daemon gives up what it does not need once the guard judges; what is left is enough for its work.

That it is enough, every other lab test shows too: their daemons run with no more.
"""
import errno
import glob
import os
import pwd
import re
import socket
import sys

import lab
from case import NORD, STORE, STRANGERS, LabCase, far, wait_for
from guard import HOSTS, grant, policy

PORT = 7000
POLICY = policy([grant("report", "batch", NORD, calls="tcp/7000")], STRANGERS)
STAYS = {"CAP_BPF": 39, "CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21, "CAP_SYS_PTRACE": 19, "CAP_DAC_READ_SEARCH": 2}
AT_START = dict(STAYS, CAP_PERFMON=38, CAP_CHOWN=0)


# Starts a program that cannot make seccomp(2) calls, as in some containers.
WITHOUT_SECCOMP = r"""
import ctypes, os, platform, struct, sys
number = {"x86_64": 317, "aarch64": 277}[platform.machine()]
code = b"".join(struct.pack("HBBI", *one) for one in [
    (0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7fff0000)])
buffer = ctypes.create_string_buffer(code)
program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
libc = ctypes.CDLL(None)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0):
    sys.exit("no filter")
os.execv(sys.argv[1], sys.argv[1:])
"""


def mask(capabilities):
    return sum(1 << number for number in capabilities.values())


def keep_idle_connection(namespace, uid, address, ready):
    """In a network namespace, soon as `uid`: connects, and says what ended the connection."""
    descriptor = os.open(namespace, os.O_RDONLY)
    lab._checked(lab._libc.setns(descriptor, lab.CLONE_NEWNET))
    os.close(descriptor)
    with socket.create_connection((address, PORT), 5) as connection:
        os.setresuid(uid, uid, uid)
        connection.sendall(b"x")
        os.write(ready, b"x")
        connection.settimeout(15)
        try:
            return connection.recv(1)
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error))


class PrivilegesCase(LabCase):
    stays = STAYS
    bound = STAYS  # what a program that it ran could have at most

    def tasks(self):
        """/proc/PID/task/*/status of the daemon, as dictionaries."""
        found = []
        for path in glob.glob("/proc/%d/task/*/status" % self.guard.process.pid):
            try:
                with open(path, encoding="utf-8") as file:
                    found.append(dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line))
            except (FileNotFoundError, ProcessLookupError):
                pass  # a thread that ended meanwhile
        return found

    def assert_dropped(self):
        tasks = self.tasks()
        self.assertGreaterEqual(len(tasks), 2)  # the loop, and the one that saves the meters
        for task in tasks:
            for key in ("CapEff", "CapPrm"):
                self.assertEqual(int(task[key], 16), mask(self.stays), key)
            self.assertEqual(int(task["CapBnd"], 16), mask(self.bound))
            for key in ("CapInh", "CapAmb"):
                self.assertEqual(int(task[key], 16), 0, key)
            self.assertEqual((task["Seccomp"], task["NoNewPrivs"]), ("2", "1"))

    def assert_told(self):
        self.assertNotIn("NOT FILTERED", self.guard.must("status").stdout)
        told = self.guard.status()["privileges"]
        self.assertEqual(set(told.pop("capabilities")), set(self.stays))
        self.assertEqual(set(told.pop("lacks")), set(STAYS) - set(self.stays))
        self.assertEqual(told, {"has_others": False, "no_new_privileges": True, "system_calls_filtered": True})

    def connect_idle(self, host, user, cgroup, mode=0o700):
        """A process of `user` in a host's namespace and its own cgroup, connected to a partner; the task."""
        user = pwd.getpwnam(user).pw_uid
        sink = far.Sink(self.lab, NORD, HOSTS[NORD][0][0], PORT)
        self.addCleanup(sink.task.kill)
        read, write = os.pipe()
        task = self.lab.start(keep_idle_connection, self.lab.hosts[host].path, user, HOSTS[NORD][0][0], write,
                              service=cgroup)
        os.chown(self.lab.cgroup_of(cgroup), user, -1)
        os.chmod(self.lab.cgroup_of(cgroup), mode)
        self.addCleanup(os.chmod, self.lab.cgroup_of(cgroup), 0o755)
        os.close(write)
        if not os.read(read, 1):
            self.fail("it never connected: %s" % task.result(10))
        os.close(read)
        return task


class Privileges(PrivilegesCase):
    policy = POLICY

    def test_dropped_at_start_and_when_taken_over(self):
        self.assert_dropped()
        self.assert_told()
        self.guard.kill()
        self.assertIsNone(self.guard.status()["privileges"])  # nobody has any
        self.guard.start()
        wait_for(lambda: len(self.tasks()) == 2, 10, "the threads of taking over to end")
        self.assert_dropped()
        self.assert_told()

    def test_a_cut_finds_what_its_owner_hides(self):
        """Another user's process, in another network namespace, in a cgroup that only its owner may read."""
        task = self.connect_idle(STORE, "nobody", "system.slice/batch.service/hidden")
        self.guard.cut("partner:" + NORD)
        self.assertEqual(task.result(10), "ECONNABORTED")
        self.guard.reopen("partner:" + NORD)
        namespaces = self.guard.status()["namespaces"]
        self.assertEqual((namespaces["found"], namespaces["closed"], namespaces["error"]), (2, 0, None))


def granted(names, *more):
    """Words for a program to be started as a service manager does that grants some capabilities and nothing else."""
    bound = ",".join("+" + name[4:].lower() for name in names)
    return ["setpriv", "--bounding-set=-all," + bound, "--no-new-privs", *more, "--"]


class GrantedCase(PrivilegesCase):
    """Started with those that are listed."""

    @classmethod
    def prepare(cls):
        words = cls.guard.run_words
        cls.guard.run_words = lambda *more, **options: granted(cls.bound) + words(*more, **options)


class Granted(GrantedCase):
    bound = AT_START

    def test_it_loads_takes_over_and_works(self):
        self.guard.start(POLICY)
        self.assert_dropped()
        self.guard.kill()
        self.guard.start()
        wait_for(lambda: len(self.tasks()) == 2, 10, "the threads of taking over to end")
        self.assert_dropped()
        self.guard.apply(policy([grant("report", "batch", NORD, calls="tcp/7001")], STRANGERS))
        self.guard.cut("partner:" + NORD)
        self.assertTrue(all(hook["is_attached"] for hook in self.guard.status()["hooks"]))
        self.guard.must("unload", "--yes")
        self.assertEqual(self.guard.process.wait(10), 0)
        self.assertFalse(self.guard.is_pinned())


class AsTheUnit(GrantedCase):
    """What weir.service grants without weir-containers.conf: what stays closed to a cut is told."""
    bound = {name: number for name, number in AT_START.items() if name not in ("CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH")}
    stays = {name: number for name, number in STAYS.items() if name not in ("CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH")}

    def setUp(self):
        super().setUp()
        self.guard.start(POLICY)

    def tearDown(self):
        self.guard.weir("reopen", "partner:" + NORD, "--reason", "the test is over")
        self.guard.must("unload", "--yes")
        super().tearDown()

    def namespaces(self):
        return self.guard.status()["namespaces"]

    def cut_in_part(self, why):
        done = self.guard.weir("cut", "partner:" + NORD, "--reason", "test")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the cut holds, but", done.stderr)
        self.assertIn(why, done.stderr)

    def test_sockets_of_the_own_namespace_end(self):
        self.assert_dropped()
        self.assert_told()
        self.assertIn("daemon    without CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH\n", self.guard.must("status").stdout)
        task = self.connect_idle("hub", "nobody", "system.slice/batch.service/open", 0o755)
        self.guard.cut("partner:" + NORD)
        self.assertEqual(task.result(10), "ECONNABORTED")
        self.assertEqual(self.namespaces()["closed"], 0)

    def test_a_closed_namespace_is_told(self):
        task = self.connect_idle(STORE, "nobody", "system.slice/batch.service/open", 0o755)
        self.assertIn("1 of 2 network namespaces may not be entered",
                      self.guard.weir("cut", "partner:" + NORD, "--dry-run").stderr)
        self.cut_in_part("1 of 2 network namespaces may not be entered")
        self.assertEqual((self.namespaces()["found"], self.namespaces()["closed"]), (2, 1))
        self.assertIn("MAY NOT ENTER 1 OF 2 NETWORK NAMESPACES", self.guard.must("status").stdout)
        task.kill()
        wait_for(lambda: self.namespaces()["closed"] == 0, 20, "the namespace to be gone")
        told = [event["unmapped"]["kind"] for event in self.guard.events()]
        self.assertEqual([kind for kind in told if kind.startswith("namespaces-")][-2:],
                         ["namespaces-closed", "namespaces-open"])

    def test_a_closed_namespace_is_seen_before_a_cut(self):
        self.connect_idle(STORE, "nobody", "system.slice/batch.service/open", 0o755)
        wait_for(lambda: self.namespaces()["closed"] == 1, 20, "the namespace to be seen")

    def test_a_hidden_cgroup_is_told(self):
        task = self.connect_idle("hub", "nobody", "system.slice/batch.service/hidden")
        self.cut_in_part("a cgroup could not be read (Permission denied)")
        self.assertEqual(task.result(10), "ECONNABORTED")  # the socket was found all the same
        self.assertEqual(self.namespaces()["error"], "Permission denied")
        self.assertIn("A CGROUP COULD NOT BE READ (Permission denied)", self.guard.must("status").stdout)


class WithoutContainers(GrantedCase):
    """All services share the host's network namespace: CAP_SYS_ADMIN can be taken away."""
    bound = {name: number for name, number in AT_START.items() if name != "CAP_SYS_ADMIN"}
    stays = {name: number for name, number in STAYS.items() if name != "CAP_SYS_ADMIN"}

    def test_it_loads_takes_over_and_ends_sockets(self):
        if not re.search(r"^yes +bpf_sock_destroy ", self.guard.must("probe").stdout, re.M):
            self.skipTest("this kernel has no bpf_sock_destroy")
        self.guard.start(POLICY)
        self.assert_dropped()
        self.assert_told()
        self.guard.kill()
        self.guard.start()
        task = self.connect_idle("hub", "nobody", "system.slice/batch.service/hidden")
        self.guard.cut("partner:" + NORD)
        self.assertEqual(task.result(10), "ECONNABORTED")
        self.guard.reopen("partner:" + NORD)
        self.guard.apply(policy([grant("report", "batch", NORD, calls="tcp/7001")], STRANGERS))
        self.assertTrue(self.guard.status()["attachment"]["is_whole"])
        self.guard.must("unload", "--yes")


class EachIsNeeded(PrivilegesCase):
    """What fails without one of them, and how that is told; Granted shows that nothing does with all."""
    GROUP = 12345

    def setUp(self):
        super().setUp()
        self.addCleanup(setattr, self.guard, "run_words", self.guard.run_words)
        self.run_words = self.guard.run_words

    def leave_out(self, *names, before=(), more=()):
        kept = [name for name in AT_START if name not in names]
        self.guard.run_words = lambda *words, **options: [
            *before, *granted(kept, *more), *self.run_words(*words, **options)]

    def fail_to_start(self):
        done = self.guard.run_to_end("--policy", self.guard.write_policy(POLICY))
        self.assertEqual(done.returncode, 1)
        self.assertFalse(self.guard.is_pinned())
        return done.stderr

    def skip_without_destroy(self):
        if not re.search(r"^yes +bpf_sock_destroy ", self.guard.must("probe").stdout, re.M):
            self.skipTest("this kernel has no bpf_sock_destroy: CAP_SYS_ADMIN cannot be left out")

    def test_to_load(self):
        """CAP_SYS_ADMIN would stand for them."""
        self.skip_without_destroy()
        for name in ("CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"):
            with self.subTest(name):
                self.leave_out("CAP_SYS_ADMIN", name)
                self.assertRegex(self.fail_to_start(), "; %s is missing\n$" % name)

    def cut_in_part(self, cgroup, mode, host, why):
        """An idle connection of another user's; the task."""
        self.guard.start(POLICY)
        self.addCleanup(self.guard.process.wait, 20)  # it ends by itself once the guard is off; then the next may start
        self.addCleanup(self.guard.must, "unload", "--yes")
        task = self.connect_idle(host, "nobody", "system.slice/batch.service/" + cgroup, mode)
        self.addCleanup(self.guard.reopen, "partner:" + NORD)
        self.addCleanup(task.kill)
        done = self.guard.weir("cut", "partner:" + NORD, "--reason", "test")
        self.assertEqual(done.returncode, 1)
        self.assertIn(why, done.stderr)
        return task

    def test_to_enter_a_network_namespace(self):
        self.skip_without_destroy()
        self.leave_out("CAP_SYS_ADMIN")
        self.cut_in_part("open", 0o755, STORE, "1 of 2 network namespaces may not be entered")

    def test_to_find_the_way_there(self):
        self.leave_out("CAP_SYS_PTRACE")
        self.cut_in_part("open", 0o755, STORE, "1 of 2 network namespaces may not be entered")

    def test_to_read_a_hidden_cgroup(self):
        self.leave_out("CAP_DAC_READ_SEARCH")
        task = self.cut_in_part("hidden", 0o700, "hub", "a cgroup could not be read (Permission denied)")
        self.assertEqual(task.result(10), "ECONNABORTED")

    def test_to_attach(self):
        """To an older kernel CAP_SYS_ADMIN is not enough."""
        self.leave_out("CAP_NET_ADMIN")
        try:
            self.guard.start(POLICY)
        except RuntimeError as error:
            self.assertRegex(str(error), r"cannot attach .*: Operation not permitted; CAP_NET_ADMIN is missing$")
            self.assertFalse(self.guard.is_pinned())
        else:
            self.guard.must("unload", "--yes")
            self.skipTest("to this kernel CAP_SYS_ADMIN stands for CAP_NET_ADMIN")

    def test_to_give_the_socket_to_the_group(self):
        """Who is in the group can do without, as weir.service does."""
        groups = self.lab.path("group")
        with open(groups, "w", encoding="ascii") as file:
            file.write("root:x:0:\nweir:x:%d:\n" % self.GROUP)
        before = ["unshare", "-m", "sh", "-ec", 'mount --bind "$0" /etc/group; exec "$@"', groups]
        self.leave_out("CAP_CHOWN", before=before)
        self.assertRegex(self.fail_to_start(), r"cannot listen on .*\.sock: Operation not permitted\n$")
        self.leave_out("CAP_CHOWN", before=before, more=["--groups=%d" % self.GROUP])
        self.guard.start(POLICY)
        self.addCleanup(self.guard.must, "unload", "--yes")
        socket_file = os.stat(os.path.join(self.guard.run_dir, self.lab.instance + ".sock"))
        self.assertEqual((socket_file.st_gid, socket_file.st_mode & 0o777), (self.GROUP, 0o660))


class Unfiltered(PrivilegesCase):
    """Where there can be no filter the daemon goes on, and says so."""

    @classmethod
    def prepare(cls):
        words = cls.guard.run_words
        cls.guard.run_words = lambda *more, **options: [
            sys.executable, "-c", WITHOUT_SECCOMP, *words(*more, **options)]

    def test_it_says_so(self):
        self.guard.start(POLICY)
        told = self.guard.status()["privileges"]
        self.assertEqual((told["system_calls_filtered"], told["no_new_privileges"]), (False, True))
        self.assertIn("NOT FILTERED", self.guard.must("status").stdout)
        self.assertTrue(any("without a filter" in event["message"] for event in self.guard.events()))
        self.assertEqual(int(self.tasks()[0]["CapEff"], 16), mask(STAYS))
