#!/bin/sh
# Records the strace and ss captures beside this script: real programs, each in a network namespace of its own with
# its own addresses and a small range of ports. Needs root (or the right to make namespaces) and Debian's packages
# strace, curl, redis-server, nginx, python3, iproute2. Nothing is sent outside of the namespaces.
#
#   record-strace.sh [NAME...]     records all, or those that are named, again
set -eu
here=$(cd "$(dirname "$0")" && pwd)

if [ "${1-}" != --inside ]; then
    names=${*:-"red-hat python-server curl redis nginx fork"}
    for name in $names; do
        echo "recording $name" >&2
        unshare --net "$0" --inside "$name"
    done
    exit
fi

name=$2
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || :; rm -rf "$work"' EXIT
ip link set lo up
for address in 192.168.0.12 192.168.0.4 192.168.0.5; do ip addr add "$address/32" dev lo; done
sysctl -q net.ipv4.ip_local_port_range="40000 40003"

python=/usr/bin/python3
trace() { strace -f -ttt -e trace=network,close -o "$work/log" "$@"; }

# Python and the shells open and close hundreds of files; lines about descriptors that never were a socket's are cut.
# Pids count from 100, and what names this machine goes.
scrub() {
    "$python" - "$work/log" "$here/$name.strace" <<'PY'
import re, sys
lines = open(sys.argv[1], errors="replace").read().splitlines()
pids, kept, seen = {}, [], False
for line in lines:
    pid, _, rest = line.partition(" ")
    seen = seen or "socket(" in rest
    if not seen and " close(" in line:
        continue
    new = pids.setdefault(pid, str(100 + len(pids)))
    rest = re.sub(r"si_pid=(\d+)", lambda m: "si_pid=" + pids.setdefault(m[1], str(100 + len(pids))), rest)
    rest = re.sub(r"\) = (\d{3,})$", lambda m: ") = " + pids.setdefault(m[1], str(100 + len(pids))), rest) if "clone" in rest else rest
    rest = re.sub(r'sun_path="[^"]*"', 'sun_path="/run/socket"', rest)
    rest = re.sub(r"0x[0-9a-f]{6,}", "0x7ffc00001000", rest)
    rest = re.sub(r'"(?:[^"\\]|\\.)*"(\.\.\.)?', lambda m: m[0] if len(m[0]) < 40 else m[0][:30] + '"...', rest)
    kept.append(f"{new} {rest}")
open(sys.argv[2], "w").write("\n".join(kept) + "\n")
PY
}

server() { # a server that is not recorded: ADDRESS PORT SECONDS-UNTIL-IT-CLOSES-A-CONNECTION
    "$python" - "$@" <<'PY' &
import socket, sys, time
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((sys.argv[1], int(sys.argv[2])))
s.listen(64)
held = []
while True:
    held.append(s.accept()[0])
PY
}

case $name in
red-hat)
    # The report: four programs bind their address and connect; then a plain connect() to another server.
    server 192.168.0.4 3000
    server 192.168.0.5 3000
    sleep 1
    trace "$python" - <<'PY'
import socket
held = []
for _ in range(4):
    s = socket.socket()
    s.bind(("192.168.0.12", 0))
    s.connect(("192.168.0.4", 3000))
    s.getsockname()
    held.append(s)
for _ in range(3):
    s = socket.socket()
    try:
        s.connect(("192.168.0.5", 3000))
    except OSError:
        pass
    held.append(s)
PY
    ss -tano >"$here/$name.ss"
    ;;
python-server)
    # Every option, both families, a server that is recorded and one that closes first; another that refuses.
    server 192.168.0.4 3000
    sleep 1
    trace "$python" - <<'PY'
import socket, struct, threading, time
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", 8080))
listener.listen(5)
def serve():
    for n in range(3):
        c, _ = listener.accept()
        c.recv(10)
        if n != 1:
            c.shutdown(socket.SHUT_WR)
            c.recv(10)
        c.close()
t = threading.Thread(target=serve)
t.start()
for n in range(3):
    c = socket.create_connection(("127.0.0.1", 8080))
    c.send(b"x")
    c.recv(10)
    c.close()
    time.sleep(0.05)
t.join()
options = socket.socket()
options.setsockopt(socket.IPPROTO_IP, 24, 1)
options.setsockopt(socket.IPPROTO_IP, 51, struct.pack("I", (40003 << 16) | 40002))
options.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
options.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
options.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
options.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, 5)
options.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
options.bind(("192.168.0.12", 0))
options.connect(("192.168.0.4", 3000))
six = socket.socket(socket.AF_INET6)
six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
six.bind(("::1", 40001))
six.listen(1)
again = socket.socket()
try:
    again.bind(("127.0.0.1", 8080))
except OSError:
    pass
try:
    socket.create_connection(("192.168.0.4", 9))
except OSError:
    pass
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(("192.168.0.4", 53))
last = socket.socket()
last.setblocking(False)
last.connect_ex(("192.168.0.4", 3000))
time.sleep(0.1)
last.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
last.send(b"x")
socket.create_connection(("127.0.0.1", 8080))
PY
    ;;
curl)
    # Three requests; curl binds the source address and port range itself in the last one.
    mkdir "$work/www"
    echo hello >"$work/www/index.html"
    (cd "$work/www" && exec "$python" -m http.server --bind 192.168.0.4 8000 >/dev/null 2>&1) &
    sleep 1
    trace sh -c 'curl -s -o /dev/null http://192.168.0.4:8000/
        curl -s -o /dev/null --interface 192.168.0.12 http://192.168.0.4:8000/
        curl -s -o /dev/null --interface 192.168.0.12 --local-port 40000-40002 http://192.168.0.4:8000/
        curl -s -o /dev/null http://192.168.0.5:8000/ || true'
    ss -tano >"$here/$name.ss"
    ;;
redis)
    trace redis-server --port 6379 --bind 192.168.0.4 --protected-mode no --save '' --dir "$work" >/dev/null 2>&1 &
    sleep 2
    for _ in 1 2 3; do redis-cli -h 192.168.0.4 ping >/dev/null; done
    redis-cli -h 192.168.0.4 shutdown nosave >/dev/null || :
    wait %1 || :
    ;;
nginx)
    # One worker that answers three requests, and passes two of them on to a server behind it.
    server 192.168.0.5 3000
    cat >"$work/nginx.conf" <<CONF
worker_processes 2;
daemon off;
user root;
pid $work/nginx.pid;
error_log $work/error.log;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path $work/a; proxy_temp_path $work/b; fastcgi_temp_path $work/c;
    uwsgi_temp_path $work/d; scgi_temp_path $work/e;
    server {
        listen 192.168.0.4:8080;
        location / { return 200 hello; }
        location /behind { proxy_pass http://192.168.0.5:3000; proxy_bind 192.168.0.12; proxy_read_timeout 1s; }
    }
}
CONF
    trace nginx -c "$work/nginx.conf" &
    sleep 2
    for path in / /behind /behind /; do curl -s -o /dev/null "http://192.168.0.4:8080$path"; done
    kill -QUIT "$(cat "$work/nginx.pid")"
    wait %2 || :
    ;;
fork)
    # A server that forks for each connection, with the fork in the log.
    strace -f -ttt -e trace=network,close,clone,fork,vfork,clone3 -o "$work/log" "$python" - <<'PY' &
import os, socket
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("192.168.0.4", 7000))
listener.listen(5)
for _ in range(3):
    c, _ = listener.accept()
    if os.fork() == 0:
        listener.close()
        c.recv(10)
        c.close()
        os._exit(0)
    c.close()
listener.close()
PY
    sleep 1
    for _ in 1 2 3; do
        "$python" -c 'import socket; s = socket.create_connection(("192.168.0.4", 7000)); s.send(b"x"); s.recv(1)'
    done
    wait %1 || :
    ;;
*)
    echo "no recording is called $name" >&2
    exit 2
    ;;
esac

scrub
sysctl -a 2>/dev/null | grep -E '^net\.(ipv4\.(ip_local|ip_auto|ip_nonlocal|ip_unpriv|tcp_(tw_|timest|fin|max_tw|rfc|syn_retr))|ipv6\.(bindv6only|ip_nonlocal)|core\.somaxconn)' >"$here/$name.sysctl"
