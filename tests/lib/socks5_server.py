#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A small SOCKS5 server for the tests: CONNECT and BIND, no login or user/password.

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
    delay=MS         hold every reply back for so long
    second-rep=N     answer a BIND with code N when its peer has come
    other-port       a BIND gets another port than the one it asks for
    barrier=N        answer no request before N of them wait at the same time;
                     those are answered together, all later ones at once
    skip=N           the first N requests do not wait at the barrier
    watch            log what came without waiting for an answer (FIRST, HELD)
    fastopen         accept data with the SYN (RFC 7413)

A line of the log is one of

    CONNECT HOST:PORT CODE   a request, just before it is answered
    BIND HOST:PORT CODE      the same
    PEER HOST:PORT CODE      the second reply to a BIND
    LOGIN USER CODE          a login
    LEFT HOST:PORT           the client went away from the barrier
    METHOD N, BAD version N  why it came to no request
    FIRST N                  there were so many bytes when the first one was there
    HELD BYTES               after hang-after: all that came since, as Python writes it
"""

import argparse
import asyncio
import ipaddress
import resource
import socket
import struct
import sys

BACKLOG = 4096  # more than connect at the same time: a SYN dropped is a second lost


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


class Barrier:
    """Lets nobody pass before enough clients are there at the same time."""

    def __init__(self, count, skip):
        self.count = count
        self.skip = skip
        self.waiting = []

    async def wait(self, sock):
        """Return True to pass, False when the client went away first."""
        if self.count == 0:
            return True
        if self.skip > 0:
            self.skip -= 1
            return True
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self.waiting.append(turn)
        if len(self.waiting) == self.count:
            self.open()
        loop.add_reader(sock, self.look, sock, turn)
        try:
            return await turn
        finally:
            loop.remove_reader(sock)

    def open(self):
        self.count = 0
        for turn in self.waiting:
            turn.set_result(True)
        self.waiting.clear()

    def look(self, sock, turn):
        """Something came from a client that waits: was it the end?"""
        if turn.done():
            return
        try:
            if sock.recv(1, socket.MSG_PEEK):
                asyncio.get_running_loop().remove_reader(sock)
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.waiting.remove(turn)
        turn.set_result(False)


class Script:
    NUMBERS = (
        ("close-after", "reset-after", "hang-after", "rep", "short-rep", "second-rep", "method")
        + ("delay", "barrier", "skip")
    )
    TEXTS = ("payload-in-reply", "bnd-domain")
    FLAGS = ("garbage", "dribble", "bnd-ipv6", "watch", "fastopen", "other-port")

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
        self.barrier = Barrier(self.get("barrier") or 0, self.get("skip") or 0)

    def get(self, key):
        return self.words.get(key)


class Replies:
    """Sends the server's own messages, as badly as the script wants it."""

    def __init__(self, sock, script, log):
        self.sock = sock
        self.script = script
        self.log = log
        self.sent = 0

    async def send(self, data):
        if self.script.get("delay"):
            await asyncio.sleep(self.script.get("delay") / 1000)
        if self.script.get("garbage"):
            await send(self.sock, b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            raise End
        for key in ("close-after", "reset-after", "hang-after"):
            limit = self.script.get(key)
            if limit is not None and self.sent + len(data) > limit:
                await self.put(data[: limit - self.sent])
                await self.stop(key)
        await self.put(data)

    async def put(self, data):
        self.sent += len(data)
        if not self.script.get("dribble"):
            if data:
                await send(self.sock, data)
            return
        for i in range(len(data)):
            await send(self.sock, data[i : i + 1])
            await asyncio.sleep(0.004)  # so that each byte is a segment of its own

    async def stop(self, how):
        if how == "reset-after":
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "hang-after":
            held = b""
            while part := await receive(self.sock, 4096):
                held += part
                if self.script.get("watch"):
                    self.log("HELD %s" % held)
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
        self.tasks = set()  # asyncio itself has weak references only

    def log(self, line):
        if self.log_file:
            self.log_file.write(line + "\n")

    def spawn(self, coroutine):
        task = asyncio.ensure_future(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def listen(self, address, script):
        host, port = split_host_port(address)
        sock = socket.socket(family_of(host), socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if script.get("fastopen"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, BACKLOG)
        sock.bind((host, port or 0))
        sock.listen(BACKLOG)
        sock.setblocking(False)
        self.spawn(self.accept(sock, script))
        return sock.getsockname()[1]

    async def accept(self, listener, script):
        while True:
            sock, _ = await asyncio.get_running_loop().sock_accept(listener)
            self.spawn(self.serve(sock, script))

    async def serve(self, sock, script):
        upstream = None
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            upstream = await self.handshake(sock, script)
            await relay(sock, upstream)
        except (End, OSError):
            pass
        finally:
            if upstream:
                upstream.close()
            sock.close()

    async def handshake(self, sock, script):
        out = Replies(sock, script, self.log)
        if script.get("watch"):
            await watch_first(sock, self.log)
        version, count = await read(sock, 2)
        if version != 5:
            self.log("BAD version %d" % version)
            raise End
        offered = await read(sock, count)
        method = 2 if self.user is not None else 0
        if script.get("method") is not None:
            method = script.get("method")
        elif method not in offered:
            method = 255
        await out.send(bytes((5, method)))
        if method == 2:
            await self.login(sock, out)
        elif method != 0:
            self.log("METHOD %d" % method)
            await out.stop("hang-after")

        _, command, _, kind = await read(sock, 4)
        host = await read_host(sock, kind)
        (port,) = struct.unpack("!H", await read(sock, 2))
        shown = "[%s]:%d" % (host, port) if ":" in host else "%s:%d" % (host, port)
        verb = {1: "CONNECT", 2: "BIND", 3: "UDP"}.get(command, "CMD%d" % command)
        if not await script.barrier.wait(sock):
            self.log("LEFT " + shown)
            raise End

        upstream = None
        waiting = None
        rep = 7
        if script.get("short-rep") is not None:
            rep = script.get("short-rep")
        elif script.get("rep"):
            rep = script.get("rep")
        elif command == 1:
            rep, upstream = await self.connect(host, port)
        elif command == 2:
            rep, waiting = 0, bind_port(sock, host, port, script)
        self.log("%s %s %d" % (verb, shown, rep))
        if script.get("short-rep") is not None:
            await out.send(bytes((5, rep)))
            raise End
        bound = (upstream or waiting).getsockname()[:2] if upstream or waiting else ("0.0.0.0", 0)
        message = bytes((5, rep, 0)) + encode_bound(bound, script)
        if upstream and script.get("payload-in-reply"):
            message += script.get("payload-in-reply").encode()
        try:
            await out.send(message)
        except (End, OSError):
            if upstream or waiting:
                (upstream or waiting).close()
            raise
        if rep != 0:
            raise End
        if waiting:
            return await self.peer(sock, waiting, out, script)
        return upstream

    async def peer(self, sock, waiting, out, script):
        """The second reply to a BIND (RFC 1928 section 4)."""
        with waiting:
            upstream = await accept_or_end(sock, waiting)
        upstream.setblocking(False)
        upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        rep = script.get("second-rep") or 0
        self.log("PEER %s:%d %d" % (*upstream.getpeername()[:2], rep))
        message = bytes((5, rep, 0)) + encode_bound(upstream.getpeername()[:2], script)
        if rep == 0 and script.get("payload-in-reply"):
            message += script.get("payload-in-reply").encode()
        try:
            await out.send(message)
            if rep != 0:
                raise End
        except (End, OSError):
            upstream.close()
            raise
        return upstream

    async def login(self, sock, out):
        version, length = await read(sock, 2)
        user = (await read(sock, length)).decode("latin-1")
        (length,) = await read(sock, 1)
        password = (await read(sock, length)).decode("latin-1")
        good = version == 1 and user == self.user and password == self.password
        self.log("LOGIN %s %d" % (user, 0 if good else 1))
        await out.send(bytes((1, 0 if good else 1)))
        if not good:
            raise End

    async def connect(self, host, port):
        known = self.names.get(host.lower().rstrip("."))
        if known:
            host, port = known[0], known[1] or port
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return 4, None
        upstream = socket.socket(family_of(host), socket.SOCK_STREAM)
        try:
            upstream.setblocking(False)
            loop = asyncio.get_running_loop()
            await asyncio.wait_for(loop.sock_connect(upstream, (host, port)), 10)
            upstream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return 0, upstream
        except asyncio.TimeoutError:
            upstream.close()
            return 6, None
        except OSError as error:
            upstream.close()
            return {101: 3, 113: 4, 111: 5, 110: 6}.get(error.errno, 1), None


def bind_port(sock, host, port, script):
    """Listen where a BIND wants it; on another port if that is taken."""
    waiting = socket.socket(sock.family, socket.SOCK_STREAM)
    waiting.setblocking(False)
    waiting.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    wish = port if ipaddress.ip_address(host).is_unspecified else 0
    if script.get("other-port"):
        wish = 0
    try:
        waiting.bind((sock.getsockname()[0], wish))
    except OSError:
        waiting.bind((sock.getsockname()[0], 0))
    waiting.listen(1)
    return waiting


async def accept_or_end(sock, waiting):
    """The peer of a BIND, unless the client goes away before."""
    loop = asyncio.get_running_loop()
    came = loop.create_future()
    for one in (sock, waiting):
        loop.add_reader(one, lambda: came.done() or came.set_result(None))
    try:
        await came
    finally:
        loop.remove_reader(sock)
        loop.remove_reader(waiting)
    try:
        return waiting.accept()[0]
    except BlockingIOError:
        raise End from None


async def receive(sock, size):
    return await asyncio.get_running_loop().sock_recv(sock, size)


async def watch_first(sock, log):
    """A segment arrives as a whole: who waits for answers has sent the greeting only."""
    loop = asyncio.get_running_loop()
    readable = loop.create_future()
    loop.add_reader(sock, lambda: readable.done() or readable.set_result(None))
    try:
        await readable
    finally:
        loop.remove_reader(sock)
    try:
        log("FIRST %d" % len(sock.recv(4096, socket.MSG_PEEK)))
    except OSError:
        pass


async def send(sock, data):
    await asyncio.get_running_loop().sock_sendall(sock, data)


async def read(sock, length):
    data = b""
    while len(data) < length:
        part = await receive(sock, length - len(data))
        if not part:
            raise End
        data += part
    return data


async def read_host(sock, kind):
    if kind == 1:
        return socket.inet_ntop(socket.AF_INET, await read(sock, 4))
    if kind == 4:
        return socket.inet_ntop(socket.AF_INET6, await read(sock, 16))
    if kind == 3:
        (length,) = await read(sock, 1)
        return (await read(sock, length)).decode("latin-1")
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


async def pump(source, sink):
    try:
        while True:
            data = await receive(source, 262144)
            if not data:
                break
            await send(sink, data)
            await asyncio.sleep(0)  # a fast stream must not keep the others out
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


async def relay(one, two):
    """Carry bytes both ways; the end of one direction leaves the other open."""
    await asyncio.gather(pump(one, two), pump(two, one))


async def serve_for_ever(options):
    server = Server(options)
    for text in options.script or [""]:
        print(server.listen(options.listen, Script(text)))
    sys.stdout.flush()
    await asyncio.Event().wait()


def main():
    parser = argparse.ArgumentParser(description="SOCKS5 server for tests")
    parser.add_argument("--listen", default="127.0.0.1:0")
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    parser.add_argument("--name", action="append", default=[])
    parser.add_argument("--log")
    parser.add_argument("--script", action="append", default=[])
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asyncio.run(serve_for_ever(options))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
