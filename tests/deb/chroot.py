# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
chroot.py - a bare Debian to install the package in, with a guard of its own.

It is made by mmdebstrap from this machine's package sources. This process leaves the machine's mount and
network namespaces for ones of its own: there the chroot has its own /sys/fs/bpf, so that its guard is
pinned where nobody else looks, a cgroup that is guarded, and a wire to a far end that counts what arrives.

    cgroup of the guard            wire "near" --------- "far": its rx_packets are what left
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "lab"))
from lab import CLONE_NEWNET, CLONE_NEWNS, _checked, _libc, wait_for  # noqa: E402

TOOLS = ("mmdebstrap", "dpkg-buildpackage", "dh", "debconf-updatepo", "lintian", "git")
NEAR, FAR = "192.0.2.1", "192.0.2.9"
POLICY = """weir: 1
name: deb
mode: enforce
services:
  batch: {cgroup: %s}
partners:
  klinik-nord: {addresses: [198.51.100.0/28]}
strangers: {calls: deny}
"""
SEND = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x' * 64, ('%s', 9))" % FAR


def missing_tools():
    return [tool for tool in TOOLS if not shutil.which(tool)]


def run(*words, **options):
    """A CompletedProcess with both outputs in stdout; CalledProcessError with them unless check=False."""
    done = subprocess.run(words, stdin=None if "input" in options else subprocess.DEVNULL, text=True,
                          errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          **dict({"timeout": 600, "check": False}, **{k: v for k, v in options.items() if k != "check"}))
    if done.returncode and options.get("check", True):
        raise AssertionError("%s: exit %d\n%s" % (" ".join(words), done.returncode, done.stdout))
    return done


def _release():
    with open("/etc/os-release", encoding="utf-8") as file:
        return re.search(r"^VERSION_CODENAME=(\w+)", file.read(), re.M).group(1)


def _sources(suite):
    """The files that name where this machine has its own packages from."""
    found = []
    for path in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*.list"),
                 *glob.glob("/etc/apt/sources.list.d/*.sources")]:
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                if re.search(r"^(deb|Suites:)\s(.*\s)?%s(\s|$)" % suite, file.read(), re.M):
                    found.append(path)
    return found


class Chroot:
    """`root`: its directory. down() ends the guard and removes all of it."""

    def __init__(self, depends):
        """With what the package `depends` on, as its control file has it, and the package not yet there."""
        self.root = tempfile.mkdtemp(prefix="weir-deb-")
        self.daemon = self.cgroup = None
        self.mounts = []
        try:
            install = "apt-get satisfy -y -qq --no-install-recommends '%s, bash-completion'" % depends
            run("mmdebstrap", "--quiet", "--variant=minbase", "--dpkgopt=force-unsafe-io",
                "--customize-hook=DEBIAN_FRONTEND=noninteractive chroot \"$1\" " + install,
                _release(), self.root, *_sources(_release()))
            os.chmod(self.root, 0o755)
            self._separate()
        except BaseException:
            self.down()
            raise

    def _separate(self):
        _checked(_libc.unshare(CLONE_NEWNS | CLONE_NEWNET))
        run("mount", "--make-rprivate", "/")
        for kind, place in (("proc", "proc"), ("sysfs", "sys"), ("bpf", "sys/fs/bpf"), ("cgroup2", "sys/fs/cgroup")):
            run("mount", "-t", kind, "none", self.path(place))
            self.mounts.append(self.path(place))
        self.cgroup = self.path("sys/fs/cgroup", os.path.basename(self.root))
        os.makedirs(os.path.join(self.cgroup, "batch"))
        for words in ("link set lo up", "link add near type veth peer name far",
                      "link set near addrgenmode none",  # IPv6 would send of itself
                      "addr add %s/24 dev near" % NEAR,
                      "link set near up", "link set far up",
                      "neigh add %s lladdr 02:00:00:00:00:09 dev near nud permanent" % FAR):
            run("ip", *words.split())

    def path(self, *parts):
        return os.path.join(self.root, *[part.lstrip("/") for part in parts])

    def read(self, *parts):
        with open(self.path(*parts), encoding="utf-8") as file:
            return file.read()

    def write(self, path, text):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), "w", encoding="utf-8") as file:
            file.write(text)

    def run(self, *words, **options):
        """Runs inside, asking nobody."""
        env = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8", PATH="/usr/sbin:/usr/bin:/sbin:/bin",
                   **options.pop("env", {}))
        return run("chroot", self.root, *words, env=env, **options)

    def files(self):
        """All that is there, as paths; what other mounts hold is not."""
        return set(run("find", self.root, "-xdev", "-printf", "/%P\n").stdout.splitlines())

    # ---- the package ----------------------------------------------------------------------------

    def install(self, package):
        shutil.copy(package, self.path("tmp/weir.deb"))
        try:
            return self.run("dpkg", "-i", "/tmp/weir.deb").stdout
        finally:
            os.unlink(self.path("tmp/weir.deb"))

    def state(self):
        """As dpkg has it: "install ok installed"; "" for a package that it does not know."""
        return self.run("dpkg-query", "-W", "-f", "${Status} ${Version}", "weir", check=False).stdout \
            if os.path.exists(self.path("var/lib/dpkg/info/weir.list")) else ""

    def answer(self, word):
        """In advance, what shall become of the guard."""
        self.run("debconf-set-selections", input="weir weir/guard select %s\n" % word)

    # ---- the guard ------------------------------------------------------------------------------

    def guard(self):
        """Starts the daemon of the installed package; the guard refuses what the cgroup sends."""
        self.write("/etc/weir/policy.yaml", POLICY % os.path.relpath(
            os.path.join(self.cgroup, "batch"), self.path("sys/fs/cgroup")))
        self.daemon = subprocess.Popen(
            ["chroot", self.root, "/usr/sbin/weir", "run", "--policy", "/etc/weir/policy.yaml", "--cgroup",
             self.cgroup[len(self.root):]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True)

        def is_up():
            if self.daemon.poll() is not None:
                raise AssertionError("weir ended with %d: %s" % (self.daemon.returncode, self.daemon.stdout.read()))
            return self.run("weir", "status", check=False).returncode == 0

        wait_for(is_up, 60, "weir to judge", 0.05)

    def end_daemon(self):
        """As the service manager does; the guard stays on."""
        if self.daemon:
            self.daemon.terminate()
            self.daemon.communicate(timeout=20)
        self.daemon = None

    def pins(self):
        """{name: inode} of what is pinned for the instance."""
        place = self.path("sys/fs/bpf/weir/host")
        return {name: os.lstat(os.path.join(place, name)).st_ino for name in os.listdir(place)} \
            if os.path.isdir(place) else {}

    def leaves(self):
        """Whether what the guarded service sends arrives at the far end."""
        def arrived():
            with open(self.path("sys/class/net/far/statistics/rx_packets"), encoding="utf-8") as file:
                return int(file.read())

        def enter():
            with open(os.path.join(self.cgroup, "batch", "cgroup.procs"), "w", encoding="utf-8") as file:
                file.write("0")

        before = arrived()
        done = subprocess.run([sys.executable, "-c", SEND], preexec_fn=enter, stderr=subprocess.PIPE, text=True,
                              timeout=30, check=False)
        if done.returncode and "PermissionError" not in done.stderr:
            raise AssertionError(done.stderr)
        return arrived() > before

    def take_off(self):
        """Whatever is left of a guard."""
        self.end_daemon()
        shutil.rmtree(self.path("sys/fs/bpf/weir"), ignore_errors=True)
        self.run("nft", "flush", "ruleset")  # of this network namespace

    def down(self):
        if self.mounts:
            self.take_off()
        for place in (os.path.join(self.cgroup, "batch"), self.cgroup) if self.cgroup else ():
            if os.path.isdir(place):
                os.rmdir(place)
        for place in reversed(self.mounts):
            run("umount", place)
        run("rm", "-rf", "--one-file-system", self.root)
