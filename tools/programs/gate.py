"""Makes traced calls until FILE.quiet exists, and runs a program once FILE exists: gate.py FILE PROGRAM..."""

import os
import socket
import sys
import time

# The sockets get numbers that the program does not use.
for _ in range(200):
    os.open(os.devnull, os.O_RDONLY)
for _ in range(1000):
    if os.path.exists(sys.argv[1]):
        break
    if not os.path.exists(sys.argv[1] + ".quiet"):
        one = socket.socket()
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        one.close()
    time.sleep(0.05)
os.execvp(sys.argv[2], sys.argv[2:])
