# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""The daemon killed at random moments of what it does: some rounds of tests/fault/kill, by a fixed seed."""
import os
import sys
import unittest

from case import lab

sys.path.insert(0, os.path.join(lab.TOP, "tests", "fault"))
import storm  # noqa: E402

KILLS = 13  # each action at least once


class Killed(unittest.TestCase):
    def test_nothing_is_lost_and_every_start_works(self):
        said = []
        with lab.Lab() as one:
            is_well = storm.Storm(one, KILLS, 3, said.append).run()
        self.assertTrue(is_well, "\n".join(said))
