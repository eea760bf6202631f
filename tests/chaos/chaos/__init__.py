# SPDX-License-Identifier: Apache-2.0
"""Chaos: a small world of pods, sidecars and clients in which things die all the time, and
an oracle that explains each failure or fails the run. Read in this order: plan (what one
request is), world (what happens), oracle (what may follow)."""
