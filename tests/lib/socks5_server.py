#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A small SOCKS5 server for the tests: CONNECT, no login or user/password.

It resolves nothing: it knows the names given with --name and literal
addresses, and answers "host unreachable" (4) to every other name.

    socks5_server.py [--listen 127.0.0.1:0] [--user U --password P]
                     [--name NAME=IP[:PORT]]... [--log FILE] [--script SCRIPT]...

It writes the port it listens on as a line to stdout, one line for each
--script (each gets a listener of its own), or one without any.  A script is
one or more of these, separated by commas:

    close-after=N    send N bytes of the replies, then close
    reset-after=N    send N bytes of the replies, then reset
    hang-after=N     send N bytes of the replies, then say no more
    garbage          answer with something that is not SOCKS
    dribble          send the replies byte by byte
    payload-in-reply=TEXT   TEXT follows the reply in the same segment
    bnd-domain=NAME  the bound address of the reply is a name
    bnd-ipv6         the bound address of the reply is an IPv6 address
    rep=N            answer every request with code N
    short-rep=N      the same, but send two bytes of the reply only
    method=N         choose method N, whatever was offered
"""

import argparse
import ipaddress
import socket
import struct
import sys
import threading
import time


class End(Exception):
    """The conversation is over."""


def split_host_port(text):
    """Take "IP:PORT", "[IP]:PORT" or "IP" apart; the port may be None."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, int(rest[1:]) if rest else None
    if text.count(":") > 1:
        return text, None
    host, _, port = text.partition(":")
    return host, int(port) if port else None


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class Script:
    NUMBERS = ("close-after", "reset-after", "hang-after", "rep", "short-rep", "method")
    TEXTS = ("payload-in-reply", "bnd-domain")
    FLAGS = ("garbage", "dribble", "bnd-ipv6")

    def __init__(self, text):
        self.words = {}
        for word in filter(None, (text or "").split(",")):
            key, equals, value = word.partition("=")
            if key in self.NUMBERS and equals:
                self.words[key] = int(value, 0)
            elif key in self.TEXTS and equals:
                self.words[key] = value
            elif key in self.FLAGS and not equals:
                self.words[key] = True
            else:
                raise SystemExit("socks5_server: unknown script word: " + word)

    def get(self, key):
        return self.words.get(key)


class Replies:
    """Sends the server's own messages, as badly as the script wants it."""

    def __init__(self, sock, script):
        self.sock = sock
        self.script = script
        self.sent = 0

    def send(self, data):
        if self.script.get("garbage"):
            self.sock.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            raise End
        for key in ("close-after", "reset-after", "hang-after"):
            limit = self.script.get(key)
            if limit is not None and self.sent + len(data) > limit:
                self.put(data[: limit - self.sent])
                self.stop(key)
        self.put(data)

    def put(self, data):
        self.sent += len(data)
        if not self.script.get("dribble"):
            if data:
                self.sock.sendall(data)
            return
        for i in range(len(data)):
            self.sock.sendall(data[i : i + 1])
            time.sleep(0.004)  # so that each byte is a segment of its own

    def stop(self, how):
        if how == "reset-after":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "hang-after":
            while self.sock.recv(4096):
                pass
        raise End


class Server:
    def __init__(self, options):
        self.user = options.user
        self.password = options.password
        self.names = {}
        for item in options.name:
            name, equals, target = item.partition("=")
            if not equals:
                raise SystemExit("socks5_server: --name wants NAME=IP[:PORT]")
            self.names[name.lower()] = split_host_port(target)
        self.log_file = open(options.log, "a", buffering=1) if options.log else None
        self.lock = threading.Lock()

    def log(self, line):
        if self.log_file:
            with self.lock:
                self.log_file.write(line + "\n")

    def listen(self, address, script):
        host, port = split_host_port(address)
        sock = socket.socket(family_of(host), socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port or 0))
        sock.listen(512)
        threading.Thread(target=self.accept, args=(sock, script), daemon=True).start()
        return sock.getsockname()[1]

    def accept(self, listener, script):
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=self.serve, args=(sock, script), daemon=True).start()

    def serve(self, sock, script):
        upstream = None
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            upstream = self.handshake(sock, script)
            relay(sock, upstream)
        except (End, OSError):
            pass
        finally:
            if upstream:
                upstream.close()
            sock.close()

    def handshake(self, sock, script):
        out = Replies(sock, script)
        version, count = read(sock, 2)
        if version != 5:
            self.log("BAD version %d" % version)
            raise End
        offered = read(sock, count)
        method = 2 if self.user is not None else 0
        if script.get("method") is not None:
            method = script.get("method")
        elif method not in offered:
            method = 255
        out.send(bytes((5, method)))
        if method == 2:
            self.login(sock, out)
        elif method != 0:
            self.log("METHOD %d" % method)
            out.stop("hang-after")

        _, command, _, kind = read(sock, 4)
        host = read_host(sock, kind)
        (port,) = struct.unpack("!H", read(sock, 2))
        shown = "[%s]:%d" % (host, port) if ":" in host else "%s:%d" % (host, port)
        verb = {1: "CONNECT", 2: "BIND", 3: "UDP"}.get(command, "CMD%d" % command)

        upstream = None
        rep = 7
        if script.get("short-rep") is not None:
            rep = script.get("short-rep")
        elif script.get("rep"):
            rep = script.get("rep")
        elif command == 1:
            rep, upstream = self.connect(host, port)
        self.log("%s %s %d" % (verb, shown, rep))
        if script.get("short-rep") is not None:
            out.send(bytes((5, rep)))
            raise End
        bound = upstream.getsockname()[:2] if upstream else ("0.0.0.0", 0)
        message = bytes((5, rep, 0)) + encode_bound(bound, script)
        if rep == 0 and script.get("payload-in-reply"):
            message += script.get("payload-in-reply").encode()
        try:
            out.send(message)
        except (End, OSError):
            if upstream:
                upstream.close()
            raise
        if rep != 0:
            raise End
        return upstream

    def login(self, sock, out):
        version, length = read(sock, 2)
        user = read(sock, length).decode("latin-1")
        (length,) = read(sock, 1)
        password = read(sock, length).decode("latin-1")
        good = version == 1 and user == self.user and password == self.password
        self.log("LOGIN %s %d" % (user, 0 if good else 1))
        out.send(bytes((1, 0 if good else 1)))
        if not good:
            raise End

    def connect(self, host, port):
        known = self.names.get(host.lower().rstrip("."))
        if known:
            host, port = known[0], known[1] or port
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return 4, None
        upstream = socket.socket(family_of(host), socket.SOCK_STREAM)
        try:
            upstream.settimeout(10)
            upstream.connect((host, port))
            upstream.settimeout(None)
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return 0, upstream
        except TimeoutError:
            upstream.close()
            return 6, None
        except OSError as error:
            upstream.close()
            return {101: 3, 113: 4, 111: 5, 110: 6}.get(error.errno, 1), None


def read(sock, length):
    data = b""
    while len(data) < length:
        part = sock.recv(length - len(data))
        if not part:
            raise End
        data += part
    return data


def read_host(sock, kind):
    if kind == 1:
        return socket.inet_ntop(socket.AF_INET, read(sock, 4))
    if kind == 4:
        return socket.inet_ntop(socket.AF_INET6, read(sock, 16))
    if kind == 3:
        (length,) = read(sock, 1)
        return read(sock, length).decode("latin-1")
    raise End


def encode_bound(bound, script):
    host, port = bound
    name = script.get("bnd-domain")
    if name:
        packed = bytes((3, len(name))) + name.encode()
    elif script.get("bnd-ipv6"):
        packed = b"\x04" + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    elif ":" in host:
        packed = b"\x04" + socket.inet_pton(socket.AF_INET6, host)
    else:
        packed = b"\x01" + socket.inet_pton(socket.AF_INET, host)
    return packed + struct.pack("!H", port)


def relay(one, two):
    """Carry bytes both ways; the end of one direction leaves the other open."""

    def pump(source, sink):
        try:
            while True:
                data = source.recv(262144)
                if not data:
                    break
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            for sock in (source, sink):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    back = threading.Thread(target=pump, args=(two, one), daemon=True)
    back.start()
    pump(one, two)
    back.join()


def main():
    parser = argparse.ArgumentParser(description="SOCKS5 server for tests")
    parser.add_argument("--listen", default="127.0.0.1:0")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--name", action="append", default=[])
    parser.add_argument("--log")
    parser.add_argument("--script", action="append", default=[])
    options = parser.parse_args()
    server = Server(options)
    for text in options.script or [""]:
        print(server.listen(options.listen, Script(text)))
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
