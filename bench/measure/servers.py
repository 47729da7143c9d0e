"""Starts servers on their processor, and stops them."""

import atexit
import contextlib
import http.client
import pathlib
import signal
import socket
import subprocess
import time

from place import LOAD_CORE, SERVER_CORE, clean_environment, free_port, pinned


class Server:
    """A process that listens on a port of its own. None outlives this one."""

    def __init__(self, command, port, log, environment=None, cwd=None, core=SERVER_CORE):
        self.port = port
        self.log = pathlib.Path(log)
        self.environment = environment
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                pinned(core, command),
                env=environment or clean_environment(),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.pid = self.process.pid
        atexit.register(self.stop)

    def wait(self, seconds=30):
        """Until something listens."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise SystemExit(f"a server did not start; its log:\n{self.log.read_text()[-2000:]}")

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        atexit.unregister(self.stop)

    def memory(self):
        """Resident and, of that, its own, in MB."""
        lines = pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return {
            name: round(int(fields[key].split()[0]) * 1024 / 1e6, 1)
            for name, key in [("resident_mb", "VmRSS"), ("anonymous_mb", "RssAnon")]
        }

    def get(self, path, cookie=""):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", path, headers={"Cookie": cookie} if cookie else {})
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body


def busy():
    """Clock ticks that the servers' processor has had something to do."""
    lines = pathlib.Path("/proc/stat").read_text().splitlines()
    line = next(line for line in lines if line.startswith(f"cpu{SERVER_CORE} "))
    user, nice, system, _idle, _waiting, *interrupts = map(int, line.split()[1:8])
    return user + nice + system + sum(interrupts)


def wait_for_quiet(seconds=20):
    """Until nothing that has just been started still has something to do, or others do for long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = busy()
        time.sleep(1)
        # Of a hundred ticks.
        if busy() - before <= 3:
            return


class Redis(Server):
    """Debian's, on the load generator's processor, without persistence or with the append-only
    file that Redis recommends (`everysec`)."""

    def __init__(self, directory, persistent):
        port = free_port()
        save = ["--appendonly", "yes", "--appendfsync", "everysec"] if persistent else []
        command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", directory]
        log = directory / "redis.log"
        super().__init__([*command, "--save", "", *save], port, log, core=LOAD_CORE)
        self.url = f"redis://127.0.0.1:{port}/0"

    def reads(self):
        """How often it has read from a connection so far."""
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"INFO stats\r\nQUIT\r\n")
            text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
        fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        return int(fields["total_reads_processed"])
