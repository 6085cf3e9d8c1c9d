"""Makes requests one after another, each on a connection of its own that this side closes first."""

import sys

import requests

refused = 0
for _ in range(16):
    try:
        requests.get(f"http://{sys.argv[1]}:{sys.argv[2]}/", timeout=5)
    except requests.exceptions.ConnectionError:
        refused += 1
print(refused, "refused")
