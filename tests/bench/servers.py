"""The servers that are measured: started, bound to a processor, held still while another is measured, and stopped."""

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

READY_S = 120
STOP_S = 60


class ServerError(Exception):
    """It does not start, or has died."""


class Server:
    """A broker in a folder of its own, on ports of its own.  settings are --set's; cpu None: any processor;
    environment: what it has besides ours."""

    def __init__(self, name, command, settings=(), cpu=None, tls=None, environment=None):
        self.name, self.command, self.settings, self.cpu, self.tls = name, command, list(settings), cpu, tls
        self.environment = dict(os.environ, **(environment or {}))
        self.folder = self.process = self.log = None
        self.pid = self.port = self.tls_port = 0
        self.is_held = False

    def arguments(self):
        """All of its command line."""
        settings = ["listeners.tcp.default=127.0.0.1:0", "management.tcp.port=none", "prometheus.tcp.port=none",
                    f"data_dir={self.folder}/data"] + self.settings
        if self.tls:
            settings += ["listeners.ssl.default=127.0.0.1:0", f"ssl_options.cacertfile={self.tls}/ca.pem",
                         f"ssl_options.certfile={self.tls}/server.pem", f"ssl_options.keyfile={self.tls}/server.key"]
        return self.command + ["-c", "/dev/null"] + [word for s in settings for word in ("--set", s)]

    def start(self):
        """Returns when it is ready."""
        self.folder = tempfile.mkdtemp(prefix="bench-data-", dir=os.environ.get("BENCH_DIR") or ".")
        bind = None if self.cpu is None else lambda: os.sched_setaffinity(0, {self.cpu})
        with open(f"{self.folder}/log", "wb") as log:
            self.process = subprocess.Popen(self.arguments(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                            stderr=log, start_new_session=True, preexec_fn=bind,
                                            env=self.environment)
        line = self.read_line()
        m = re.search(r"ready: amqp [0-9.]+:([0-9]+)(?:, pid ([0-9]+))?", line)
        if not m:
            words = self.last_words()
            self.stop()
            raise ServerError(f"{self.name} does not start: {line or words}")
        self.port, self.pid = int(m[1]), int(m[2] or self.process.pid)
        m = re.search(r"started TLS \(SSL\) listener on [0-9.]+:([0-9]+)", self.last_words(1 << 20))
        self.tls_port = int(m[1]) if m else 0

    def read_line(self):
        """Its first line on standard output, or what there is of it after READY_S."""
        line, until = b"", time.monotonic() + READY_S
        out = self.process.stdout.fileno()
        while not line.endswith(b"\n") and time.monotonic() < until:
            if not select.select([out], [], [], 1)[0]:
                continue
            got = os.read(out, 1)
            if not got:
                break
            line += got
        return line.decode(errors="replace").strip()

    def last_words(self, size=2000):
        """The end of its log."""
        with open(f"{self.folder}/log", "rb") as log:
            return log.read()[-size:].decode(errors="replace")

    def uri(self, is_tls=False):
        """Where it is."""
        scheme, port = ("amqps", self.tls_port) if is_tls else ("amqp", self.port)
        return f"{scheme}://guest:guest@127.0.0.1:{port}"

    def hold(self, is_held):
        """Stops it for the time that others are measured, or lets it go on."""
        if self.is_held != is_held:
            with contextlib.suppress(ProcessLookupError):  # who has died is found out when it is measured
                os.kill(self.pid, signal.SIGSTOP if is_held else signal.SIGCONT)
        self.is_held = is_held

    def memory(self):
        """Resident bytes, once they do not change any more."""
        last = still = 0
        for _ in range(100):
            time.sleep(0.1)
            with open(f"/proc/{self.pid}/smaps_rollup", encoding="ascii") as file:
                now = 1024 * int(re.search(r"^Rss:\s+([0-9]+)", file.read(), re.MULTILINE)[1])
            still = still + 1 if abs(now - last) <= 4096 else 0
            last = now
            if still == 5:
                break
        return last

    def stop(self):
        """Ends it, in whatever state it is."""
        if self.process is None:
            return
        if self.is_held:
            self.hold(False)
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process.stdout.close()
        self.process = None
        shutil.rmtree(self.folder, ignore_errors=True)


class Relay(Server):
    """The bare relay, which has no settings."""

    def arguments(self):
        return self.command


class Stranger(Server):
    """One that runs already: name=host:port or name=host:port,pid."""

    def __init__(self, text):
        m = re.fullmatch(r"([a-z0-9][a-z0-9-]*)=([^,]+):([0-9]+)(?:,([0-9]+))?", text)
        if not m:
            raise ServerError(f"no peer: {text}")
        super().__init__(m[1], [])
        self.host, self.port, self.pid = m[2], int(m[3]), int(m[4] or 0)

    def start(self):
        pass

    def stop(self):
        pass

    def hold(self, is_held):
        pass

    def uri(self, is_tls=False):
        return f"amqp://guest:guest@{self.host}:{self.port}"
