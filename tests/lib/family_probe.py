#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What a program sees of its AF_INET sockets: the same with and without a proxy of IPv6.

    family_probe.py PORT DEAD_PORT

An HTTP target listens on 127.0.0.1:PORT, and nobody on DEAD_PORT.  Prints a
line for each thing that was seen.
"""

import errno
import fcntl
import os
import select
import socket
import struct
import sys

TARGET = ("127.0.0.1", int(sys.argv[1]))
DEAD = ("127.0.0.1", int(sys.argv[2]))
MS = 5000


def talk(sock):
    sock.sendall(b"GET /hello HTTP/1.0\r\n\r\n")
    answer = b""
    while True:
        part = sock.recv(4096)
        if not part:
            return answer.split(b"\r\n", 1)[0]
        answer += part


def outcome(function, *arguments):
    try:
        return function(*arguments)
    except OSError as error:
        return errno.errorcode[error.errno]


def show(name, sock):
    """All that tells which socket it is."""
    print(name, "domain", sock.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == socket.AF_INET)
    print(name, "family", socket.socket(fileno=os.dup(sock.fileno())).family.name)
    print(name, "peer", outcome(sock.getpeername) in (TARGET, "ENOTCONN"))
    print(name, "local", sock.getsockname()[0], len(sock.getsockname()))
    print(name, "nodelay", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0)
    print(name, "keepalive", sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) != 0)
    print(name, "flags", fcntl.fcntl(sock, fcntl.F_GETFL), fcntl.fcntl(sock, fcntl.F_GETFD))
    print(name, "SO_RCVTIMEO", sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16))


def make(*flags):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 7, 0))
    if "pending" in flags:
        # not setblocking(): Python would poll by itself
        fcntl.fcntl(sock, fcntl.F_SETFL, fcntl.fcntl(sock, fcntl.F_GETFL) | os.O_NONBLOCK)
    return sock


def blocks_again(sock):
    fcntl.fcntl(sock, fcntl.F_SETFL, fcntl.fcntl(sock, fcntl.F_GETFL) & ~os.O_NONBLOCK)


def blocking(name):
    with make() as sock:
        os.set_inheritable(sock.fileno(), name == "inheritable")
        print(name, outcome(sock.connect, TARGET))
        show(name, sock)
        print(name, talk(sock))


def polled(name):
    with make("pending") as sock:
        print(name, outcome(sock.connect, TARGET), outcome(sock.connect, TARGET) in ("EALREADY", None))
        waiting = select.poll()
        waiting.register(sock, select.POLLOUT)
        print(name, [events for _, events in waiting.poll(MS)])
        show(name, sock)
        blocks_again(sock)
        print(name, talk(sock))


def registered(name, how, before):
    with make("pending") as sock, select.epoll() as sets:
        if before:
            sets.register(sock, how)
        print(name, outcome(sock.connect, TARGET))
        if not before:
            sets.register(sock, how)
        events = []
        while not events or not events[0][1] & select.EPOLLOUT or events[0][1] & select.EPOLLHUP:
            events = sets.poll(MS / 1000)
        print(name, [(fd == sock.fileno(), mask) for fd, mask in events])
        blocks_again(sock)
        print(name, talk(sock))
        sets.unregister(sock)


def duplicated(name):
    with make() as sock:
        with socket.socket(fileno=os.dup(sock.fileno())) as other:
            print(name, outcome(sock.connect, TARGET))
            show(name, other)
            print(name, talk(other))


def refused(name, *flags):
    with make(*flags) as sock:
        result = outcome(sock.connect, DEAD)
        if result == "EINPROGRESS":
            waiting = select.poll()
            waiting.register(sock, select.POLLIN | select.POLLOUT)
            print(name, [events for _, events in waiting.poll(MS)])
            result = errno.errorcode[sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)]
            blocks_again(sock)
        print(name, result)
        print(name, outcome(sock.connect, TARGET), outcome(sock.connect, TARGET))
        print(name, talk(sock))


def bound(name):
    with make() as sock:
        sock.bind(("0.0.0.0", 0))
        port = sock.getsockname()[1]
        print(name, outcome(sock.connect, TARGET), sock.getsockname()[1] == port)
        print(name, talk(sock))


def used(name):
    """A socket that is connected, or listens, is not to be connected again."""
    with make() as sock:
        sock.listen(1)
        print(name, outcome(sock.connect, TARGET))
        print(name, sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


blocking("blocking")
blocking("inheritable")
polled("polled")
for edge in (0, select.EPOLLET):
    registered("registered %d before" % (edge != 0), select.EPOLLOUT | edge, True)
    registered("registered %d after" % (edge != 0), select.EPOLLOUT | edge, False)
duplicated("duplicated")
refused("refused")
refused("refused later", "pending")
bound("bound")
used("used")
