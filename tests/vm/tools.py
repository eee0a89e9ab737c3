# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""tools.py - builds about.c, and types.c as the BTF that it compares with a kernel's."""
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))


def build_about(directory):
    about = os.path.join(directory, "about")
    subprocess.run(["gcc", "-O2", os.path.join(HERE, "about.c"), "-lbpf", "-o", about], check=True)
    return about


def build_types(directory, source=os.path.join(HERE, "types.c")):
    types = os.path.join(directory, "types.o")
    machine = subprocess.check_output(["gcc", "-dumpmachine"], text=True).strip()
    subprocess.run(["clang", "-target", "bpf", "-g", "-O2", "-I" + TOP, "-I/usr/include/" + machine, "-c", source,
                    "-o", types], check=True)
    return types
