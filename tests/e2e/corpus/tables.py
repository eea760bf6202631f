# SPDX-License-Identifier: Apache-2.0
"""All rows, by the name of their table."""
from . import refused, requests, responses, upgrades

TABLES = {"request": requests.ROWS, "refused": refused.ROWS, "response": responses.ROWS,
          "upgrade": upgrades.ROWS}
