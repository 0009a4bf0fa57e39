"""Runs one program and measures it: wall and CPU seconds, and, on Linux, its own peak memory and bytes written."""

import os
import pathlib
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass

TIMEOUT_SECONDS = 1800
SAMPLE_SECONDS = 0.01


@dataclass
class Result:
    status: int
    wall: float  # seconds
    cpu: float  # seconds, with the children it has waited for
    stderr: str  # its last lines
    peak_rss: int | None = None  # bytes, of this process alone
    written: int | None = None  # bytes sent to the disk
    server_cpu: float | None = None  # seconds of the server meanwhile
    others_cpu: float | None = None  # seconds of every other program meanwhile
    output_bytes: int = 0  # for the caller
    archive: pathlib.Path | None = None  # for the caller


def field(path, name):
    """A number from one of /proc's 'name: value' files; None when the process or /proc is not there."""
    try:
        for line in path.read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return None


class PeakMemory(threading.Thread):
    """Reads the kernel's own high-water mark, again and again: it is gone once the process has ended."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.status = pathlib.Path(f"/proc/{pid}/status")
        self.peak = None
        self.done = threading.Event()

    def run(self):
        while not self.done.wait(SAMPLE_SECONDS):
            kilobytes = field(self.status, "VmHWM")
            if kilobytes is not None:
                self.peak = kilobytes * 1024


def busy_seconds(path, fields):
    """CPU seconds from one of /proc's stat files; None where there is none."""
    try:
        text = pathlib.Path(path).read_text().splitlines()[0].rpartition(")")[2].split()
    except OSError:
        return None
    return sum(int(text[field]) for field in fields) / os.sysconf("SC_CLK_TCK")


class Bystanders:
    """What the server and everybody else use of the machine while something is measured."""

    def __init__(self, server_pid):
        self.server_pid = server_pid
        self.before = self.now()

    def now(self):
        # user, nice, system, irq, softirq, steal of all cores; user and system of the server
        return busy_seconds("/proc/stat", (1, 2, 3, 6, 7, 8)), busy_seconds(f"/proc/{self.server_pid}/stat", (11, 12))

    def add_to(self, result):
        (all_before, server_before), (everything, server) = self.before, self.now()
        if None not in (all_before, server_before, everything, server):
            result.server_cpu = server - server_before
            result.others_cpu = max(0.0, everything - all_before - result.server_cpu - result.cpu)
        return result


def run(command, cwd, env, watch=False):
    with tempfile.TemporaryFile() as stderr:
        started = time.monotonic()
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
            start_new_session=True,
        )
        peak = PeakMemory(process.pid)
        if watch:
            peak.start()
        alarm = threading.Timer(TIMEOUT_SECONDS, os.killpg, (process.pid, 9))
        alarm.daemon = True
        alarm.start()
        try:
            # Its counters are read after it has ended and before it is gone, so that nothing is missed.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            wall = time.monotonic() - started
            written = field(pathlib.Path(f"/proc/{process.pid}/io"), "write_bytes") if watch else None
        except BaseException:
            os.killpg(process.pid, 9)
            raise
        finally:
            alarm.cancel()
            peak.done.set()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if watch:
            peak.join()
        stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - 4000))
        tail = stderr.read().decode(errors="replace")
    return Result(process.returncode, wall, usage.ru_utime + usage.ru_stime, tail, peak.peak, written)
