# SPDX-License-Identifier: Apache-2.0
"""Where the parts are."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
