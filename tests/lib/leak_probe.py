#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Tries everything that could send a packet past the proxy.

    leak_probe.py proxied|bare NAME PORT

"proxied": the probes whose outcome is known are checked as well, and the exit
status says whether they went as they must.  "bare": everything may fail; the
packets are what counts.
"""

import ctypes
import errno
import socket
import struct
import subprocess
import sys

FAST_OPEN = 0x20000000
FOREIGN4 = "192.0.2.10"
FOREIGN6 = "2001:db8::10"
failures = []


def attempt(name, probe, wanted=None):
    try:
        outcome = probe()
    except (OSError, UnicodeError, subprocess.TimeoutExpired) as error:
        outcome = error
    good = wanted is None or wanted(outcome)
    print("%s %s: %r" % ("ok" if good else "WRONG", name, outcome))
    if not good:
        failures.append(name)


def tcp(family, address, fast_open=None):
    sock = socket.socket(family, socket.SOCK_STREAM)
    limit = struct.pack("ll", 5, 0) if proxied else struct.pack("ll", 0, 300000)
    # not settimeout(): the socket must stay a blocking one
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
    request = b"GET /hello HTTP/1.0\r\n\r\n"
    with sock:
        if fast_open == "sendto":
            sock.sendto(request, FAST_OPEN, address)
        elif fast_open == "sendmsg":
            sock.sendmsg([request], [], FAST_OPEN, address)
        else:
            sock.connect(address)
            sock.sendall(request)
        answer = b""
        while True:
            part = sock.recv(4096)
            if not part:
                return answer
            answer += part


def udp(family, address):
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        return sock.sendto(b"leak", address)


def udp_connected(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(address)
        return sock.send(b"leak")


def udp_message(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return sock.sendmsg([b"leak"], [], 0, address)


def udp_unspecified(address):
    """sendto() with AF_UNSPEC, which Linux takes for AF_INET; Python cannot say that."""
    libc = ctypes.CDLL(None, use_errno=True)
    to = struct.pack("=H", socket.AF_UNSPEC) + struct.pack("!H", address[1])
    to += socket.inet_aton(address[0]) + bytes(8)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sent = libc.sendto(sock.fileno(), b"leak", 4, 0, to, len(to))
    if sent < 0:
        raise OSError(ctypes.get_errno(), "sendto")
    return sent


def getent(*words):
    done = subprocess.run(
        ("getent",) + words, stdout=subprocess.PIPE, timeout=20, check=False
    )
    return done.stdout.decode()


def hello(outcome):
    return isinstance(outcome, bytes) and b"hello through the proxy" in outcome


def failed(outcome):
    return isinstance(outcome, OSError)


def refused_udp(outcome):
    return isinstance(outcome, OSError) and outcome.errno in (
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.EACCES,
        errno.EPERM,
        errno.ENETDOWN,
        errno.ECONNREFUSED,
    )


def told(outcome):
    return isinstance(outcome, str) and outcome != ""


def listed(outcome):
    return isinstance(outcome, (list, tuple)) and len(outcome) > 0


def no_dns_query():
    """A DNS question in a datagram: an answer is fine, a sent packet is not."""
    question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04leak\x04test\x00\x00\x01\x00\x01"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.3)
        sock.sendto(question, ("192.0.2.53", 53))
        return sock.recv(512)


proxied = sys.argv[1] == "proxied"
name = sys.argv[2]
port = int(sys.argv[3])


def must(check):
    return check if proxied else None


attempt("getaddrinfo", lambda: socket.getaddrinfo(name, port), must(listed))
attempt("getaddrinfo unknown", lambda: socket.getaddrinfo("unknown-one.test", 80))
attempt("getaddrinfo inet6", lambda: socket.getaddrinfo(name, port, socket.AF_INET6))
attempt("gethostbyname", lambda: socket.gethostbyname("g1." + name), must(told))
attempt("gethostbyname_ex", lambda: socket.gethostbyname_ex("g2." + name), must(listed))
attempt("getnameinfo", lambda: socket.getnameinfo((FOREIGN4, 80), 0))
attempt("getnameinfo inet6", lambda: socket.getnameinfo((FOREIGN6, 80), 0))
attempt("getnameinfo required", lambda: socket.getnameinfo((FOREIGN4, 80), socket.NI_NAMEREQD))
attempt("gethostbyaddr", lambda: socket.gethostbyaddr(FOREIGN4))
attempt("gethostbyaddr inet6", lambda: socket.gethostbyaddr(FOREIGN6))
attempt("getent hosts", lambda: getent("hosts", "e1." + name), must(told))
attempt("getent ahosts", lambda: getent("ahosts", "e2." + name), must(told))
attempt("getent ahostsv6", lambda: getent("ahostsv6", "e3." + name))
attempt("getent hosts address", lambda: getent("hosts", FOREIGN4))
attempt("udp sendto", lambda: udp(socket.AF_INET, (FOREIGN4, 9)), must(refused_udp))
attempt("udp sendto inet6", lambda: udp(socket.AF_INET6, (FOREIGN6, 9)), must(refused_udp))
attempt("udp sendto mapped", lambda: udp(socket.AF_INET6, ("::ffff:" + FOREIGN4, 9)), must(refused_udp))
attempt("udp connect and send", lambda: udp_connected((FOREIGN4, 9)), must(failed))
attempt("udp sendto unspecified", lambda: udp_unspecified((FOREIGN4, 9)), must(refused_udp))
attempt("udp sendmsg", lambda: udp_message((FOREIGN4, 9)), must(failed))
attempt("udp dns", no_dns_query)
attempt("tcp inet", lambda: tcp(socket.AF_INET, (FOREIGN4, port)), must(hello))
attempt("tcp inet6", lambda: tcp(socket.AF_INET6, (FOREIGN6, port)), must(hello))
attempt("tcp mapped", lambda: tcp(socket.AF_INET6, ("::ffff:" + FOREIGN4, port)), must(hello))
attempt("fast open sendto", lambda: tcp(socket.AF_INET, (FOREIGN4, port), "sendto"), must(hello))
attempt("fast open sendmsg", lambda: tcp(socket.AF_INET, (FOREIGN4, port), "sendmsg"), must(hello))
attempt("fast open inet6", lambda: tcp(socket.AF_INET6, (FOREIGN6, port), "sendto"), must(hello))
attempt("tcp to a dead target", lambda: tcp(socket.AF_INET, ("192.0.2.99", port)), must(failed))
sys.exit(1 if failures else 0)
