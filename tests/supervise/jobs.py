#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Signals and job control of a supervised command.

    jobs.py SOCKSIFY PROGRAM

PROGRAM is tests/supervise/program.c, linked statically.
"""

import os
import pty
import signal
import subprocess
import sys
import time

socksify, program = sys.argv[1:]
command = [socksify, "-p", "socks5://127.0.0.1:1", program, "exec"]
failures = []


def check(name, good):
    print("%s %s" % ("ok" if good else "WRONG", name))
    if not good:
        failures.append(name)


def read_until(fd, text):
    """Read until the text came; b"" without it."""
    seen = b""
    while text not in seen:
        try:
            part = os.read(fd, 4096)
        except OSError:
            return b""
        if not part:
            return b""
        seen += part
    return seen


def pipe_to(words, **options):
    return subprocess.Popen(
        command + words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, **options
    )


def wait_gone(pid):
    for _ in range(200):
        try:
            with open("/proc/%d/stat" % pid) as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def killed_by(number):
    job = pipe_to(["sh", "-c", "echo ready; exec sleep 60"])
    read_until(job.stdout.fileno(), b"ready")
    job.send_signal(number)
    check("signal %d is handed on" % number, job.wait(20) == -number)


def caught():
    job = pipe_to(["sh", "-c", "trap 'echo caught; exit 3' USR1; echo ready; while :; do sleep 0.05; done"])
    read_until(job.stdout.fileno(), b"ready")
    job.send_signal(signal.SIGUSR1)
    check("a caught signal is caught", read_until(job.stdout.fileno(), b"caught") != b"")
    check("and the status is the command's", job.wait(20) == 3)


def early():
    """A signal that is there before the program is waits for it."""

    def with_signal_pending():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        os.kill(os.getpid(), signal.SIGUSR1)

    waits = "import signal; print('caught', signal.sigwait([signal.SIGUSR1]).name)"
    job = pipe_to([sys.executable, "-c", waits], preexec_fn=with_signal_pending)
    try:
        out = job.communicate(timeout=20)[0]
    except subprocess.TimeoutExpired:
        job.kill()
        out = b""
    check("an early signal is handed on", out == b"caught SIGUSR1\n")


def front_killed():
    job = pipe_to(["sh", "-c", "echo $$; exec sleep 60"])
    pid = int(read_until(job.stdout.fileno(), b"\n"))
    job.kill()
    job.wait(20)
    check("the command dies with what is taken for it", wait_gone(pid))


def output_ends():
    job = pipe_to(["sh", "-c", "sleep 60 >/dev/null & echo $!"])
    out = job.communicate(timeout=20)[0]
    check("nobody else holds the output open", out.strip().isdigit())
    os.kill(int(out), signal.SIGKILL)


def run_on_terminal(words):
    """Run it as a shell's job on a terminal: the terminal, a pipe with what the shell saw."""
    seen, tell = os.pipe()
    shell, terminal = pty.fork()
    if shell:
        os.close(tell)
        return terminal, seen
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execv(command[0], command + words)
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            os.write(tell, b"stopped %d\n" % os.WSTOPSIG(status))
            os.killpg(job, signal.SIGCONT)
            continue
        os.write(tell, b"ended %d\n" % status)
        os._exit(0)


def terminal():
    # No shell: one that waits for a child of vfork(2) cannot be stopped, and one
    # that is about to read sees no signal that came just before.
    script = """
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
print("ready", flush=True)
while signal.sigwait([signal.SIGINT]):
    print("got-int", flush=True)
"""
    fd, seen = run_on_terminal([sys.executable, "-c", script])
    read_until(fd, b"ready")
    os.write(fd, b"\x03")
    check("^C arrives", read_until(fd, b"got-int") != b"")
    os.write(fd, b"\x1a")
    check("^Z stops the job", read_until(seen, b"\n").startswith(b"stopped"))
    os.write(fd, b"\x03")
    said = read_until(fd, b"got-int")
    check("it goes on, and ^C arrives once", said.count(b"got-int") == 1)
    os.write(fd, b"\x1c")
    check("^\\ ends it", read_until(seen, b"\n") in (b"ended 3\n", b"ended 131\n"))


for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    killed_by(number)
caught()
early()
front_killed()
output_ends()
terminal()
sys.exit(1 if failures else 0)
