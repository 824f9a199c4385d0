#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Times socksify beside a native SOCKS5 client and the other wrappers.

    bench.py [-r ROUNDS] [-o FOLDER] [-s DIVISOR] [-w SECONDS]

Run by "make bench".  Everything is measured in the same run, one wrapper after
the other within each round, in an order that rotates; the table has medians of
the rounds, and their ratio to the native client.  The network is namespaces of this
run's own: the server's, one beside it, and one behind tests/lib/delaylink.  (Not one
for all: dante's client goes direct to what is an address of its own host.)
"""
import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import bench_report  # noqa: E402
from bench_report import Row  # noqa: E402

TOP = os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("top_builddir", os.path.join(TOP, "build"))
PROXY, TARGET = "10.77.0.2", "10.77.0.3"
ONE_WAY_US = 25000
LIMIT_FAR, LIMIT_NEAR = 20, 10  # seconds for one measurement
ONCE = 2  # what took so many seconds is not measured again

#        what                                        work  count  far  shown as
ROWS = [
    Row("3 connects, one by one, RTT 50 ms", "sequential", 3, True, "ms"),
    Row("100 connects in one epoll loop, RTT 50 ms", "epoll", 100, True, "ms"),
    Row("100 connects in one poll loop", "poll", 100, False, "ms"),
    Row("1,000 connects, one by one", "sequential", 1000, False, "ms"),
    Row("10,000 connects in one epoll loop", "epoll", 10000, False, "ms"),
    Row("2,000 new names by getaddrinfo", "names", 2000, False, "ms"),
    Row("5,000 datagrams there and back", "udp", 5000, False, "ms"),
    Row("64 MB there and back, connected", "bulk", 1024, False, "ms"),
    Row("10,000 times 64 octets there and back, connected", "pingpong", 10000, False, "ms"),
    Row("30 starts of `true`", "start", 30, False, "ms"),
]
STALL = Row("longest non-blocking connect() of the epoll loop, RTT 50 ms", "stall", 100, True, "ms")


class Wrapper:
    """A way to run the client: words before it, variables, who speaks SOCKS."""

    def __init__(self, name, command=(), env=None, native=False, mark="P"):
        self.name, self.command, self.native, self.mark = name, list(command), native, mark
        self.env = dict(os.environ, **(env or {}))

    def words(self, row, divisor):
        client = [os.path.join(BUILD, "bench_client"), self.mark,
                  PROXY if self.native else "-", TARGET, row.work,
                  str(max(1, row.count // divisor))]
        if row.work == "start":
            return client + self.command + ["true"]
        return self.command + client


def library(*names):
    """The first of these files of peers, which are only libraries."""
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib"):
        for name in names:
            if os.path.exists(os.path.join(folder, name)):
                return os.path.join(folder, name)
    return None


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as f:
        f.write(text)
    return path


def peers(folder):
    """Yields (name, Wrapper or None when it is not installed)."""
    conf = write(folder, "proxychains.conf", "strict_chain\nquiet_mode\nproxy_dns\n"
                 f"tcp_read_time_out 15000\n[ProxyList]\nsocks5 {PROXY} 1080\n")
    yield "proxychains4", shutil.which("proxychains4") and Wrapper(
        "proxychains4", ["proxychains4", "-q", "-f", conf])
    conf = write(folder, "torsocks.conf", f"TorAddress {PROXY}\nTorPort 1080\n")
    yield "torsocks", shutil.which("torsocks") and Wrapper(
        "torsocks", ["torsocks"], {"TORSOCKS_CONF_FILE": conf})
    route = "".join(f"route {{ from: 0.0.0.0/0 to: {to} via: {PROXY} port = 1080\n"
                    "protocol: tcp udp\nproxyprotocol: socks_v5\nmethod: none }\n"
                    for to in ("0.0.0.0/0", "."))
    conf = write(folder, "dante.conf", f"resolveprotocol: fake\n{route}")
    found = library("libdsocks.so", "libdsocksd.so.0")
    yield "dante-client", found and Wrapper(
        "dante-client", ["env", f"LD_PRELOAD={found}"], {"SOCKS_CONF": conf})
    conf = write(folder, "tsocks.conf",
                 f"local = {PROXY}/255.255.255.255\n"
                 f"server = {PROXY}\nserver_type = 5\nserver_port = 1080\n")
    found = library("libtsocks.so")
    yield "tsocks", found and Wrapper(
        "tsocks", ["env", f"LD_PRELOAD={found}"], {"TSOCKS_CONF_FILE": conf})


def ours():
    # As installed: scripts/socksify-dev would add the start of a shell.
    command = [os.path.join(BUILD, "scripts", "socksify"), "-q", "-p", f"socks5://{PROXY}"]
    for mode in ("standard", "pipelined", "optimistic"):
        yield Wrapper(f"socksify {mode}", command + ["--handshake", mode],
                      {"SOCKSIFY_LIBRARY": os.path.join(BUILD, ".libs", "libsocksify.so"),
                       "SOCKSIFY_LIBEXECDIR": BUILD})


class Network:
    """The server's namespace, which is this process's, one near and one far."""

    def __init__(self):
        self.started = []
        for words in ("link set lo up", f"addr add {PROXY}/32 dev lo", f"addr add {TARGET}/32 dev lo"):
            subprocess.run(["ip"] + words.split(), check=True)
        self.far, pid = self.namespace()
        self.start([os.path.join(BUILD, "delaylink"), "/proc/self/ns/net",
                    f"/proc/{pid}/ns/net", "far", str(ONE_WAY_US)])
        self.address("far", self.far, "10.77.1.1", "10.77.1.2")
        self.near, pid = self.namespace()
        subprocess.run(f"ip link add near type veth peer name near netns {pid}".split(), check=True)
        self.address("near", self.near, "10.77.2.1", "10.77.2.2")
        self.start([os.path.join(BUILD, "bench_server"), PROXY, TARGET])

    def namespace(self):
        """Another one, with room for 10,000 ports.  Returns words to enter it, and a pid."""
        p = self.start(["unshare", "-n", "sh", "-c", "echo 10000 65000 >"
                        "/proc/sys/net/ipv4/ip_local_port_range; echo ready; exec sleep 600"])
        return ["nsenter", "-n", "-t", str(p.pid)], p.pid

    @staticmethod
    def address(device, enter, inside, outside):
        for where, words in (([], f"addr add {outside} peer {inside} dev {device}"),
                             ([], f"link set {device} up"),
                             (enter, "link set lo up"),
                             (enter, f"addr add {inside} peer {outside} dev {device}"),
                             (enter, f"link set {device} up"),
                             (enter, f"route add default via {outside}")):
            subprocess.run(where + ["ip"] + words.split(), check=True)

    def start(self, command):
        p = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.started.append(p)
        if p.stdout.readline().strip() != "ready":
            sys.exit(f"bench: {command[0]} did not start")
        return p

    def end(self):
        for p in reversed(self.started):
            p.kill()
            p.wait()


def measure(network, row, wrapper, divisor):
    """Returns (us, us of the longest stall), or a text that says why not."""
    command = (network.far if row.far else network.near) + wrapper.words(row, divisor)
    limit = LIMIT_FAR if row.far else LIMIT_NEAR
    # a file, as what a wrapper leaves behind would keep a pipe open
    with tempfile.TemporaryFile("w+") as output:
        p = subprocess.Popen(command, env=wrapper.env, stdin=subprocess.DEVNULL, stdout=output,
                             stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            status = p.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, 9)
            p.wait()
            return f"over {limit} s"
        output.seek(0)
        words = output.read().split()
    if status == 3:
        return "goes direct"
    if status != 0 or len(words) != 2:
        return "fails"
    return float(words[0]), float(words[1])


def applies(row, wrapper):
    """Neither a direct program nor the native client asks us for a name."""
    return row.work != "names" or not (wrapper.native or wrapper.mark == "D")


def run(network, wrappers, rounds, divisor, seconds):
    """Returns {(row, wrapper's name): [us] or text}."""
    results, began, done = {}, time.monotonic(), 0
    for number in range(rounds):
        if number > 0 and time.monotonic() - began > seconds:
            print(f"bench: {number} rounds took {time.monotonic() - began:.0f} s, no more")
            break
        for row in ROWS:
            for i in range(len(wrappers)):
                w = wrappers[(i + number) % len(wrappers)]
                got = results.get((row, w.name), [])
                if not applies(row, w) or isinstance(got, str) or (got and max(got) > ONCE * 1e6):
                    continue
                result = measure(network, row, w, divisor)
                if isinstance(result, str):
                    results[row, w.name] = result
                    continue
                results[row, w.name] = got + [result[0]]
                if row.work == "epoll" and row.far:
                    results.setdefault((STALL, w.name), []).append(result[1])
        done += 1
    return results, done


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-r", "--rounds", type=int, default=5)
    parser.add_argument("-s", "--divisor", type=int, default=1, help="do that part of the work only")
    parser.add_argument("-w", "--seconds", type=float, default=110, help="begin no round after this")
    parser.add_argument("-o", "--output", help="folder for BENCHMARK.md and benchmark.svg")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    o = parser.parse_args()
    if not o.inside:  # again, in a network namespace of its own
        user = [] if os.geteuid() == 0 else ["-r"]
        os.execvp("unshare", ["unshare", *user, "-n", "--kill-child", "--fork", "--",
                              sys.executable, os.path.abspath(__file__), *sys.argv[1:], "--inside"])
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        wrappers = [Wrapper("direct", mark="D"), Wrapper("native", native=True), *ours()]
        missing = []
        for name, wrapper in peers(folder):
            if wrapper:
                wrappers.append(wrapper)
            else:
                missing.append(name)
        if missing:
            print("bench: not installed, left out:", ", ".join(missing))
        network = Network()
        try:
            results, done = run(network, wrappers, o.rounds, o.divisor, o.seconds)
        finally:
            network.end()
    medians = {key: value if isinstance(value, str) else statistics.median(value)
               for key, value in results.items()}
    rows = ROWS[:2] + [STALL] + ROWS[2:]
    names = [w.name for w in wrappers]
    note = (f"{done} rounds, {os.cpu_count()} CPUs, load {load:.1f} before the run and "
            f"{os.getloadavg()[0]:.1f} after it, Linux {os.uname().release.split('-')[0]}."
            + (f" Not installed: {', '.join(missing)}." if missing else ""))
    print(bench_report.table(rows, names, medians))
    print(note)
    if o.output:
        bench_report.save(o.output, rows, names, medians, note)


if __name__ == "__main__":
    main()
