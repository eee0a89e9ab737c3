# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
machine.py - a small virtual machine that carries weir and nothing else: one of Debian's kernels, an
initramfs of busybox and weir, a disk that loses what was not flushed (disk.py), the serial console.

The kernel is bookworm's newest, from kernels.py; WEIR_KERNEL names a directory with another one (boot/vmlinuz-*,
lib/modules/*), and then nothing is fetched.
"""
import collections
import glob
import os
import select
import shutil
import subprocess
import time

import kernels

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = ("crc32c_generic", "ext4", "virtio_pci", "virtio_blk", "virtio_net", "tcp_diag", "udp_diag")
NEEDED = ("qemu-system-x86_64", "busybox", "cpio", "mkfs.ext4", "gcc", "apt-get", "dpkg", "modinfo", "xz")
DISK_BYTES = 48 << 20
LAST_LINES = 20  # of the console, told when it ends by itself: a kernel's last words
TICK_SECONDS = 0.05


class MachineError(Exception):
    """What is missing, in one line."""


def _run(*words, **options):
    done = subprocess.run(words, capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise MachineError("%s: %s" % (words[0], (done.stderr or done.stdout).strip().replace("\n", "; ")))
    return done.stdout


def kernel():
    """A directory that holds boot/vmlinuz-* and lib/modules/*; fetched when it is not there yet."""
    for program in NEEDED:
        if not shutil.which(program):
            raise MachineError("%s is not installed" % program)
    return os.environ.get("WEIR_KERNEL") or kernels.fetch(kernels.HERE_SUITE)[1]


def _libraries(program):
    """What the loader needs, and the loader."""
    lines = _run("ldd", program).splitlines()
    return [word for line in lines for word in line.split() if word.startswith("/")]


class Guest:
    """A kernel and its first files; each boot() is one life of it."""

    def __init__(self, lab, programs, files, init, modules):
        """`files`: name in the guest -> path here. `programs` go to its /bin."""
        self.lab, self.process, self.text = lab, None, b""
        self.last = collections.deque(maxlen=LAST_LINES)
        self.tick = lambda: None  # called at least every TICK_SECONDS while hearing
        self.kernel = kernel()
        self.vmlinuz = glob.glob(self.kernel + "/boot/vmlinuz-*")[0]
        self.initramfs = self._make_initramfs(programs, files, init, modules)

    def _add_module(self, name, modules):
        """Behind those that it depends on. One that is not there is built in."""
        found = glob.glob(self.kernel + "/lib/modules/*/kernel/**/%s.ko*" % name, recursive=True)
        if not found or found[0] in modules:
            return
        for other in _run("modinfo", "-F", "depends", found[0]).strip().split(","):
            if other:
                self._add_module(other, modules)
        modules.append(found[0])

    def _make_initramfs(self, programs, files, init, wanted):
        root = self.lab.path("root")
        for directory in ("bin", "proc", "sys", "dev", "run", "tmp", "var/lib/weir"):
            os.makedirs(os.path.join(root, directory))
        shutil.copy(shutil.which("busybox"), root + "/bin/busybox")
        shutil.copy(init, root + "/init")
        os.chmod(root + "/init", 0o755)
        _run("gcc", "-O2", "-static", os.path.join(HERE, "pour.c"), "-o", root + "/bin/pour")
        for program in programs:
            shutil.copy(program, root + "/bin")
            for library in _libraries(program):
                os.makedirs(root + os.path.dirname(library), exist_ok=True)
                shutil.copy(library, root + library)
        modules = []
        for module in wanted:
            self._add_module(module, modules)
        with open(root + "/modules", "w", encoding="ascii") as file:
            for path in modules:
                name = os.path.basename(path)
                plain = name[:-3] if name.endswith(".xz") else name  # newer kernels' are compressed
                with open(os.path.join(root, plain), "wb") as module:
                    subprocess.run(["xz", "-dc", path] if plain != name else ["cat", path], stdout=module, check=True)
                file.write(plain + "\n")
        for name, path in files.items():
            shutil.copy(path, root + "/" + name)
        archive = self.lab.path("initramfs.cpio")
        _run("sh", "-c", "find . | cpio -o -H newc --quiet >%s" % archive, cwd=root)
        return archive

    # ---- a life -------------------------------------------------------------------------------------

    def boot(self, devices, memory_mib=512, cpus=1, parameters=""):
        """Starts it in the router's namespace; `devices` are words for qemu, `parameters` for the kernel."""
        # Without erms: emulated, `rep movsb` goes byte by byte, and the kernel would copy by it.
        words = ["qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max,-erms", "-m", str(memory_mib),
                 "-smp", str(cpus), "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio",
                 "-kernel", self.vmlinuz, "-initrd", self.initramfs,
                 "-append", "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off " + parameters, *devices]
        with open(self.lab.path("qemu.log"), "ab") as log:
            self.process = self.lab.spawn(words, self.lab.router, stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=log)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = b""

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.close()

    def close(self):
        """Once it has ended, or will at once."""
        self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()
        self.lab.processes.remove(self.process)

    def _last_words(self):
        """What the console, the process and its log tell of an end that nobody asked for."""
        code = self.process.wait(10)
        with open(self.lab.path("qemu.log"), encoding="utf-8", errors="replace") as log:
            told = [line.rstrip() for line in log][-LAST_LINES:]
        return "the machine ended (qemu: %d%s): %s" % (
            code, "".join("; " + line for line in told),
            " / ".join([*self.last, self.text.decode(errors="replace")]))

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def hear(self, seconds):
        """The next line that begins with "=", without it; None after so many seconds."""
        end = time.monotonic() + seconds
        while True:
            line, found, rest = self.text.partition(b"\n")
            if found:
                self.text = rest
                if line.startswith(b"="):
                    return line[1:].decode(errors="replace").strip()
                self.last.append(line.decode(errors="replace").rstrip())
                continue
            left = end - time.monotonic()
            if left <= 0:
                return None
            self.tick()
            if select.select([self.process.stdout], [], [], min(left, TICK_SECONDS))[0]:
                part = os.read(self.process.stdout.fileno(), 1 << 16)
                if not part:
                    raise MachineError(self._last_words())
                self.text += part

    def expect(self, word, seconds):
        """Hears until a line that begins with `word`; the rest of it. What failed is an error."""
        end, heard = time.monotonic() + seconds, []
        while True:
            line = self.hear(max(0.0, end - time.monotonic()))
            if line is None:
                raise TimeoutError("waited %.0f s for %s; heard %s" % (seconds, word, heard))
            if line.split(" ")[0] == word:
                return line[len(word):].strip()
            if line.startswith("failed"):
                raise MachineError("%s %s" % (line, heard))
            heard.append(line)


def network(interface):
    """Words for Guest.boot(): its only interface, on the tap `interface`."""
    return ["-netdev", "tap,id=net,ifname=%s,script=no,downscript=no" % interface,
            "-device", "virtio-net-pci,netdev=net"]


class Machine(Guest):
    """With a disk; what it is made of stays."""

    def __init__(self, lab, weir, files, programs=(), init=os.path.join(HERE, "init"), modules=MODULES):
        super().__init__(lab, (weir, weir + "-guard") + tuple(programs), files, init, modules)
        self.disk, self.image = None, lab.path("disk.img")
        with open(self.image, "wb") as image:
            image.truncate(DISK_BYTES)
        _run("mkfs.ext4", "-q", "-F", "-b", "4096", self.image)

    def boot(self, interface, seed):
        """On the tap `interface`; `seed` decides what the disk loses."""
        import disk
        path = self.lab.path("disk.sock")
        if os.path.exists(path):
            os.unlink(path)
        self.disk = self.lab.start(disk.serve, path, self.image, seed, host=self.lab.router)
        while not os.path.exists(path):
            time.sleep(0.01)
        super().boot(["-drive", "file=nbd:unix:%s,format=raw,if=none,id=disk,cache=writeback" % path,
                      "-device", "virtio-blk-pci,drive=disk,write-cache=on", *network(interface)])

    def lose_power(self):
        """kill -9; (writes that were under way, those that are lost or torn)."""
        self.kill()
        try:
            return self.disk.result()
        finally:
            os.close(self.disk.pipe)
            self.lab.tasks.remove(self.disk)
