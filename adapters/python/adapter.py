#!/usr/bin/env python3
"""Runs fourtuple's system calls on the sockets of the kernel below Python.

One JSON object a line: requests on standard input, outcomes on standard output. The protocol is
docs/exec-engine.md. Every scenario begins with a network namespace of its own, which needs the
right to make one: run fourtuple inside `unshare -rn`, or as root.

Needs Python 3.9 and nothing besides its standard library.
"""

import ctypes
import errno
import fcntl
import json
import os
import select
import socket
import struct
import sys
import time

CLONE_NEWNET = 0x40000000
SIOCSIFADDR, SIOCSIFFLAGS, SIOCSIFNETMASK = 0x8916, 0x8914, 0x891C
IFF_UP = 1
IFA_F_TENTATIVE = 0x40
TENTATIVE_SECONDS = 5
LIBC = ctypes.CDLL(None, use_errno=True)
FAMILIES = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
KINDS = {"stream": socket.SOCK_STREAM, "datagram": socket.SOCK_DGRAM}
HALVES = {"read": socket.SHUT_RD, "write": socket.SHUT_WR, "both": socket.SHUT_RDWR}


class Unsupported(Exception):
    """A request that this adapter is unable to execute; the text is one line."""


def check(result):
    """Raises the error of a call of the C library."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def endpoint(text):
    """The address and port of `127.0.0.1:80` or `[::1]:80`."""
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def text(name):
    """The same the other way round."""
    host, port = name[0], name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Adapter:
    """The sockets of one scenario by name, each with the user that owns it."""

    def __init__(self):
        self.sockets = {}
        self.aliases = 0

    def answer(self, request):
        """Executes one request and returns its outcome."""
        op = getattr(self, "op_" + request["op"], None)
        if op is None:
            return {"result": "UNSUPPORTED", "reason": f"unknown operation {request['op']}"}
        try:
            outcome = op(request) or {}
        except Unsupported as error:
            return {"result": "UNSUPPORTED", "reason": str(error)}
        except BlockingIOError:
            # A datagram socket only waits to receive: otherwise there is no port for it.
            no_port = request["op"] in ("connect", "send", "sendto") and self.is_datagram(request)
            return {"result": "EAGAIN" if no_port else "WAITING"}
        except KeyError:
            return {"result": "EBADF"}
        except socket.gaierror:
            return {"result": "UNSUPPORTED", "reason": "Python passes no address of another family"}
        except OSError as error:
            return {"result": errno.errorcode.get(error.errno, f"E{error.errno}")}
        return {"result": "ok", **outcome}

    # Surroundings

    def op_ns(self, _):
        """A network namespace that nothing ran in before, with `lo` up."""
        self.close_all()
        try:
            check(LIBC.unshare(CLONE_NEWNET))
        except OSError as error:
            raise Unsupported(
                f"no right to make a network namespace ({error.strerror}); "
                "run it inside `unshare -rn`"
            ) from error
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))

    def op_addr(self, request):
        """Another address of `lo`."""
        at = request["at"]
        if ":" in at:
            # struct in6_ifreq: address, prefix length, index of the interface.
            value = struct.pack("16sIi", socket.inet_pton(socket.AF_INET6, at), 128, 1)
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as control:
                fcntl.ioctl(control, SIOCSIFADDR, value)
            self.until_usable()
            return
        # An interface has one IPv4 address by this call, an alias of it another. Without the mask the
        # whole network of the address would be local.
        self.aliases += 1
        alias = f"lo:{self.aliases}".encode()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            for call, ip in ((SIOCSIFADDR, at), (SIOCSIFNETMASK, "255.255.255.255")):
                value = struct.pack("16sHH4s8x", alias, socket.AF_INET, 0, socket.inet_aton(ip))
                fcntl.ioctl(control, call, value)

    @staticmethod
    def until_usable():
        """Waits until no IPv6 address is tentative: bind() refuses such a one with EADDRNOTAVAIL.

        Even an address of `lo`, which nobody else can have, is tentative until a kernel thread has
        looked at it, up to some milliseconds later.
        """
        end = time.monotonic() + TENTATIVE_SECONDS
        while True:
            with open("/proc/thread-self/net/if_inet6", encoding="ascii") as file:
                if not any(int(line.split()[4], 16) & IFA_F_TENTATIVE for line in file):
                    return
            if time.monotonic() > end:
                raise Unsupported(f"an IPv6 address is still tentative after {TENTATIVE_SECONDS} s")
            time.sleep(0.001)

    def op_sysctl(self, request):
        path = "/proc/sys/" + request["key"].replace(".", "/")
        with open(path, "w", encoding="ascii") as file:
            file.write(request["value"])

    def op_sleep(self, request):
        time.sleep(request["ms"] / 1000)

    # System calls

    def op_socket(self, request):
        self.sockets.pop(request["sock"], None)
        uid = request.get("uid", 0)
        family, kind = FAMILIES[request["family"]], KINDS[request.get("kind", "stream")]
        made = self.as_user(uid, lambda: socket.socket(family, kind))
        made.setblocking(False)
        self.sockets[request["sock"]] = made, uid, request.get("nonblock", False)

    def op_set(self, request):
        value = bytes.fromhex(request["bytes"])
        if request["option"] == "attach_reuseport_cbpf" and request["value"]:
            # struct sock_fprog: the number of instructions and their address.
            program = ctypes.create_string_buffer(value, len(value))
            value = struct.pack("HxxxxxxP", len(value) // 8, ctypes.addressof(program))
        self.call(request, lambda s: s.setsockopt(request["level"], request["number"], value))

    def op_bind(self, request):
        at = endpoint(request["at"])
        return self.named(request, lambda s: s.bind(at))

    def op_listen(self, request):
        return self.named(request, lambda s: s.listen(request["backlog"]))

    def op_connect(self, request):
        to = endpoint(request["to"])
        return self.named(request, lambda s: self.connect(s, request, to))

    def op_poll(self, request):
        """The result of a connect that was still under way."""
        return self.named(request, lambda s: self.connected(s, request, endpoint(request["to"])))

    def connect(self, sock, request, to):
        number = sock.connect_ex(to)
        if number < 0:
            raise Unsupported("Python passes no address of another family")
        if number == errno.EINPROGRESS and not self.sockets[request["sock"]][2]:
            self.connected(sock, request, to)
        elif number:
            raise OSError(number, os.strerror(number))

    def connected(self, sock, request, to):
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        if not poll.poll(request.get("wait_ms", 0)):
            raise BlockingIOError
        # The second call ends the first one as a blocking call ends: after a failure it also gives
        # the port back, which SO_ERROR would not.
        number = sock.connect_ex(to)
        if number:
            raise OSError(number, os.strerror(number))

    def op_accept(self, request):
        _, owner, nonblock = self.sockets[request["sock"]]
        uid = request.get("uid", owner)

        def accept(listener):
            self.wait(listener, select.POLLIN, request)
            return self.as_user(uid, listener.accept)

        made, peer = self.call(request, accept)
        made.setblocking(False)
        self.sockets[request["new"]] = made, uid, nonblock
        return {"local": text(made.getsockname()), "peer": text(peer)}

    def op_send(self, request):
        def send(sock):
            self.wait(sock, select.POLLOUT, request)
            return sock.send(bytes(request["len"]), socket.MSG_NOSIGNAL)

        return {"moved": self.call(request, send)}

    def op_recv(self, request):
        def recv(sock):
            self.wait(sock, select.POLLIN, request)
            return len(sock.recv(request["len"]))

        return {"moved": self.call(request, recv)}

    def op_sendto(self, request):
        to = endpoint(request["to"])
        data = bytes(request["len"])
        return self.named(request, lambda s: s.sendto(data, socket.MSG_NOSIGNAL, to))

    def op_recvfrom(self, request):
        def recvfrom(sock):
            self.wait(sock, select.POLLIN, request)
            return sock.recvfrom(request["len"])[1]

        peer = self.call(request, recvfrom)
        return {"peer": text(peer)} if peer else {}

    def op_shutdown(self, request):
        self.call(request, lambda s: s.shutdown(HALVES[request["how"]]))

    def op_disconnect(self, request):
        unspecified = struct.pack("H14x", socket.AF_UNSPEC)
        self.call(request, lambda s: check(LIBC.connect(s.fileno(), unspecified, 16)))

    def op_close(self, request):
        sock, uid, _ = self.sockets.pop(request["sock"])
        self.as_user(uid, sock.close)

    def op_getsockname(self, request):
        return {"local": text(self.call(request, lambda s: s.getsockname()))}

    def op_getpeername(self, request):
        return {"peer": text(self.call(request, lambda s: s.getpeername()))}

    # Helpers

    def is_datagram(self, request):
        return self.sockets[request["sock"]][0].type == socket.SOCK_DGRAM

    def named(self, request, make):
        """A call that decides about the local address, which is part of its outcome."""
        self.call(request, make)
        return {"local": text(self.sockets[request["sock"]][0].getsockname())}

    def call(self, request, make):
        """Makes a call as the socket's owner."""
        sock, uid, _ = self.sockets[request["sock"]]
        return self.as_user(uid, lambda: make(sock))

    def wait(self, sock, event, request):
        """Waits as a blocking call does, for as long as the request allows."""
        poll = select.poll()
        poll.register(sock, event)
        if not self.sockets[request["sock"]][2]:
            poll.poll(request.get("wait_ms", 0))

    @staticmethod
    def as_user(uid, make):
        """Calls `make` with another effective user, which is what sockets are owned by."""
        if uid == os.geteuid():
            return make()
        try:
            os.seteuid(uid)
        except OSError as error:
            raise Unsupported(f"no user {uid} here ({error.strerror})") from error
        try:
            return make()
        finally:
            os.seteuid(0)

    def close_all(self):
        for sock, _, _ in self.sockets.values():
            sock.close()
        self.sockets.clear()


def main():
    """Answers requests until there are no more."""

    def write(line):
        print(json.dumps(line, separators=(",", ":")), flush=True)

    write(
        {
            "fourtuple": "exec",
            "version": 1,
            "name": f"Python {sys.version.split()[0]}",
            "kernel": os.uname().release,
            "clock": "real",
        }
    )
    adapter = Adapter()
    for line in sys.stdin:
        request = json.loads(line)
        outcome = adapter.answer(request)
        outcome["at_us"] = time.monotonic_ns() // 1000
        outcome["n"] = request["n"]
        write(outcome)


if __name__ == "__main__":
    main()
