# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
debian.py - a root file system of Debian with systemd and what weir links with, made once by mmdebstrap and
kept below the same cache as the kernels (kernels.py).
"""
import hashlib
import os
import subprocess

import kernels

PACKAGES = ("systemd", "systemd-sysv", "udev", "libbpf1", "libyaml-0-2", "libjson-c5", "libssl3", "libseccomp2",
            "nftables", "iproute2", "kmod", "util-linux")
LEFT_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/lib/udev/hwdb.d/*")
IMAGE_BYTES = 512 << 20
FETCH_SECONDS = 900


def _run(*words, **options):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **options)
    if done.returncode != 0:
        raise kernels.NotAvailable("%s: %s" % (words[0], done.stdout.strip().replace("\n", "; ")[-400:]))
    return done.stdout


def _archive():
    """The tar archive of the root; made when it is not there yet. Another list of packages is another one."""
    made_of = hashlib.sha256(" ".join(PACKAGES + LEFT_OUT).encode()).hexdigest()[:8]
    path = os.path.join(kernels.cache(), "root-%s-%s.tar" % (kernels.HERE_SUITE, made_of))
    if not os.path.exists(path):
        os.makedirs(kernels.cache(), exist_ok=True)
        part = "%s.part-%d.tar" % (path[:-len(".tar")], os.getpid())
        try:
            _run("mmdebstrap", "--variant=essential", "--include=" + ",".join(PACKAGES),
                 *["--dpkgopt=path-exclude=" + pattern for pattern in LEFT_OUT], kernels.HERE_SUITE, part, "-",
                 input=kernels.sources(kernels.HERE_SUITE), timeout=FETCH_SECONDS)
            os.replace(part, path)
        finally:
            if os.path.exists(part):
                os.unlink(part)
    return path


def unpack(directory):
    """The root file system as a directory, to put more into; no boot of it is the first."""
    os.makedirs(directory)
    _run("tar", "-C", directory, "-xf", _archive(), "--exclude=./dev/*")
    with open(directory + "/etc/machine-id", "w", encoding="ascii") as file:
        file.write("%032x\n" % 0x77656972)


def image(directory, path):
    """The directory as an ext4 image."""
    with open(path, "wb") as file:
        file.truncate(IMAGE_BYTES)
    _run("mkfs.ext4", "-q", "-F", "-d", directory, path)
