#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes many non-blocking connects at once and waits for them in one way.

    waiters.py WAY HOST PORT COUNT SECONDS

WAY is select, poll or epoll-TRIGGER-WHEN: TRIGGER is level, edge or oneshot,
WHEN is before or after: is the socket registered before its connect?

Each connection asks for /hello.  Prints how many ended how, a line each:

    ok         connected and answered
    timeout    not connected in SECONDS
    silent     connected, but not answered in SECONDS
    early      told to be connected when it was not
    at-once-E  connect() did not say EINPROGRESS, but E
    E          the errno of the connect or of what came after
"""

import collections
import errno
import select
import socket
import sys
import time

REQUEST = b"GET /hello HTTP/1.0\r\n\r\n"
ANSWER = b"hello through the proxy\n"


class Select:
    """Sets of the sockets that wait to write and to read."""

    def __init__(self):
        self.connecting = set()
        self.reading = set()

    def add(self, fd):
        self.connecting.add(fd)

    def connected(self, fd):
        self.connecting.remove(fd)
        self.reading.add(fd)

    def again(self, fd):
        pass

    def remove(self, fd):
        self.connecting.discard(fd)
        self.reading.discard(fd)

    def wait(self, seconds):
        lists = select.select(self.reading, self.connecting, [], seconds)
        return lists[0] + lists[1]


class Polled:
    """What poll and epoll have in common: they are told what to wait for."""

    def __init__(self, waiter, kept=0, flags=0):
        self.waiter = waiter
        self.kept = kept  # the events that are waited for from begin to end
        self.flags = flags
        self.write = select.POLLOUT | kept | flags
        self.read = select.POLLIN | kept | flags

    def add(self, fd):
        self.waiter.register(fd, self.write)

    def connected(self, fd):
        if not self.kept:
            self.waiter.modify(fd, self.read)

    def again(self, fd):
        if self.flags & select.EPOLLONESHOT:
            self.waiter.modify(fd, self.read)

    def remove(self, fd):
        self.waiter.unregister(fd)


class Poll(Polled):
    def __init__(self):
        super().__init__(select.poll())

    def wait(self, seconds):
        return [fd for fd, _ in self.waiter.poll(seconds * 1000)]


class Epoll(Polled):
    def __init__(self, trigger):
        if trigger == "edge":  # as is usual: one registration for all
            super().__init__(select.epoll(), select.EPOLLIN | select.EPOLLOUT, select.EPOLLET)
        elif trigger == "oneshot":
            super().__init__(select.epoll(), 0, select.EPOLLONESHOT)
        else:
            super().__init__(select.epoll())

    def wait(self, seconds):
        return [fd for fd, _ in self.waiter.poll(seconds)]


class Connection:
    def __init__(self):
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.is_connected = False
        self.answer = b""

    def begin(self, address):
        """Return the outcome if there is one already."""
        result = self.sock.connect_ex(address)
        if result != errno.EINPROGRESS:
            return "at-once-" + errno.errorcode.get(result, str(result))
        return None

    def finish(self):
        """The waiter says that the connect is over: return the outcome if it failed."""
        result = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if result:
            return errno.errorcode[result]
        try:
            self.sock.getpeername()
        except OSError:
            return "early"
        self.is_connected = True
        self.sock.sendall(REQUEST)
        return None

    def read(self):
        """Return the outcome at the end of the stream."""
        while True:
            try:
                part = self.sock.recv(4096)
            except BlockingIOError:
                return None
            if not part:
                return "ok" if self.answer.endswith(ANSWER) else "cut"
            self.answer += part

    def step(self, waiter):
        try:
            if not self.is_connected:
                outcome = self.finish()
                if outcome:
                    return outcome
                waiter.connected(self.sock.fileno())
            outcome = self.read()
        except OSError as error:
            return errno.errorcode[error.errno]
        if not outcome:
            waiter.again(self.sock.fileno())
        return outcome


def make_waiter(way):
    if way == "select":
        return Select(), False
    if way == "poll":
        return Poll(), False
    _, trigger, when = way.split("-")
    return Epoll(trigger), when == "before"


def begin_all(waiter, before, address, count, outcomes):
    connections = [Connection() for _ in range(count)]
    if before:
        for one in connections:
            waiter.add(one.sock.fileno())
    waiting = {}
    for one in connections:
        outcome = one.begin(address)
        if not outcome:
            waiting[one.sock.fileno()] = one
            continue
        outcomes[outcome] += 1
        if before:
            waiter.remove(one.sock.fileno())
    if not before:
        for fd in waiting:
            waiter.add(fd)
    return waiting


def main():
    way, host, port, count, seconds = sys.argv[1:]
    waiter, before = make_waiter(way)
    outcomes = collections.Counter()
    end = time.monotonic() + float(seconds)
    waiting = begin_all(waiter, before, (host, int(port)), int(count), outcomes)
    while waiting and time.monotonic() < end:
        for fd in waiter.wait(max(0, end - time.monotonic())):
            outcome = waiting[fd].step(waiter)
            if outcome:
                outcomes[outcome] += 1
                waiter.remove(fd)
                waiting.pop(fd).sock.close()
    for one in waiting.values():
        outcomes["silent" if one.is_connected else "timeout"] += 1
    for outcome, number in sorted(outcomes.items()):
        print(number, outcome)


if __name__ == "__main__":
    main()
