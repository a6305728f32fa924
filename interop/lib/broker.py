"""A broker as a process of a test's own, whose data folder outlives it."""

import ctypes
import os
import random
import select
import signal
import socket
import subprocess
import time

READY_S, STOP_S = 60, 30
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class BrokerError(Exception):
    pass


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Broker:
    """Started on a free port of 127.0.0.1 with data in folder/data; folder/log has what it says.

    MILLRACED_ARGS in the environment are more arguments for it.  before: a command to run it under."""

    def __init__(self, program, folder, settings=(), before=(), data=None):
        self.program, self.folder, self.settings, self.before = program, folder, list(settings), list(before)
        self.data = data or os.path.join(folder, "data")
        self.log_path = os.path.join(folder, "log")
        self.config = "/dev/null"  # settings come after what is there
        self.process = None
        self.port = 0
        self.tls_ports = []
        self.web = {}  # ports by protocol: http, https, http/prometheus, https/prometheus
        self.said = b""
        self.started = self.ready_s = 0.0

    def quiet(self):
        """Settings without which brokers side by side would all want the usual ports for HTTP."""
        return [f"{kind}.tcp.port=none" for kind in ("management", "prometheus")
                if not any(s.startswith((f"{kind}.tcp.", f"{kind}.ssl.port", f"{kind}.listener.")) for s in self.settings)]

    def spawn(self):
        arguments = [*self.before, self.program, "-c", self.config, "--set", "listeners.tcp.1=127.0.0.1:0", "--set",
                     f"data_dir={self.data}"]
        for setting in [*self.quiet(), *self.settings]:
            arguments += ["--set", setting]
        arguments += os.environ.get("MILLRACED_ARGS", "").split()
        self.said = b""
        self.started = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
                                            preexec_fn=die_with_parent)

    def wait_ready(self, seconds=READY_S):
        """True: it says that it is ready; its port is known then.  Raises if it ends or says something else."""
        end = time.monotonic() + seconds
        out = self.process.stdout.fileno()
        while b"\n" not in self.said:
            if not select.select([out], [], [], max(0.0, end - time.monotonic()))[0]:
                return False
            piece = os.read(out, 4096)
            if not piece:
                raise BrokerError(f"the broker ended with {self.wait(STOP_S)} instead of starting: {self.last_words()}")
            self.said += piece
        line = self.said.split(b"\n")[0].decode(errors="replace")
        if " ready: amqp" not in line:
            raise BrokerError(f"the broker said: {line}")
        places = line.split(" ready: ")[1].split(", ")
        self.tls_ports = [int(p.rsplit(":", 1)[1]) for p in places if p.startswith("amqps ")]
        self.port = int(places[0].rsplit(":", 1)[1]) if places[0].startswith("amqp ") else 0
        self.web, protocol = {}, None
        for place in places:
            protocol, _, at = place.rpartition(" ") if " " in place else (protocol, "", place)
            if protocol.startswith("http"):
                self.web.setdefault(protocol, []).append(int(at.rsplit(":", 1)[1]))
        self.ready_s = time.monotonic() - self.started
        return True

    def start(self, seconds=READY_S):
        self.spawn()
        if not self.wait_ready(seconds):
            self.kill()
            raise BrokerError(f"the broker was not ready after {seconds} s: {self.last_words()}")

    @property
    def pid(self):
        return self.process.pid

    def wait(self, seconds):
        """Its exit status, negative if by a signal; None: it runs still."""
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        if self.process.stdout:
            self.process.stdout.close()
            self.process.stdout = None
        return status

    def poll(self):
        return self.process.poll() if self.process else 0

    def kill(self, signal_number=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal_number)

    def crash(self):
        self.kill()
        return self.wait(STOP_S)

    def stop(self, seconds=STOP_S):
        self.kill(signal.SIGTERM)
        status = self.wait(seconds)
        if status is None:
            self.crash()
        return status

    def threads(self):
        """Its threads: (name, seconds that it ran, seconds that it waited for a processor)."""
        out = []
        try:
            for task in sorted(os.listdir(f"/proc/{self.pid}/task"), key=int):
                with open(f"/proc/{self.pid}/task/{task}/comm", encoding="utf-8") as f:
                    name = f.read().strip()
                with open(f"/proc/{self.pid}/task/{task}/schedstat", encoding="utf-8") as f:
                    ran, waited, _ = map(int, f.read().split())
                out.append((name, ran / 1e9, waited / 1e9))
        except OSError:
            pass
        return out

    def last_words(self, lines=15):
        try:
            with open(self.log_path, "rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(0, log.tell() - 8192))
                return " | ".join(log.read().decode(errors="replace").splitlines()[-lines:])
        except OSError as error:
            return f"no log: {error}"

    def found_a_bug(self):
        """Lines of the log that say that the broker has failed a check of its own."""
        with open(self.log_path, "r", errors="replace") as log:
            return [line.strip() for line in log
                    if "check failed" in line or "Sanitizer:" in line or "runtime error:" in line]


def free_port(host="127.0.0.1"):
    """Not one that the kernel gives to others meanwhile: those are from 32768 on."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as s:
            try:
                s.bind((host, port))
                return port
            except OSError:
                pass


class RabbitMq(Broker):
    """RabbitMQ in the same role, to see whether what we expect is what people are used to.

    settings become its configuration file, which has the same keys; port 0 in a listener is a free one here too."""
    SCRIPTS = "/usr/lib/rabbitmq/lib"
    PLUGINS = ("rabbitmq_auth_mechanism_ssl", "rabbitmq_consistent_hash_exchange", "rabbitmq_random_exchange",
               "rabbitmq_recent_history_exchange")

    def configure(self):
        lines, self.places, self.port = [], [], 0
        for setting in self.settings:
            key, value = setting.split("=", 1)
            if value == "none" and key.endswith(".tcp.port"):
                continue  # ours alone
            if key.startswith("listeners.") and value.endswith(":0"):
                value = f"{value[:-2]}:{free_port(value[:-2])}"
                self.places.append((value.rsplit(":", 1)[0], int(value.rsplit(":", 1)[1])))
            if key.startswith("listeners.tcp."):
                self.port = int(value.rsplit(":", 1)[1])
            lines.append(f"{key} = {value}\n")
        if not self.port:
            self.port = free_port()
            lines.append(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n")
        with open(os.path.join(self.folder, "rabbitmq.conf"), "w", encoding="utf-8") as file:
            file.writelines(lines)
        with open(os.path.join(self.folder, "plugins"), "w", encoding="utf-8") as file:
            file.write(f"[{','.join(self.PLUGINS)}].\n")

    def spawn(self):
        release = sorted(os.listdir(self.SCRIPTS))[-1]
        self.configure()
        environment = dict(os.environ, HOME=self.folder, RABBITMQ_NODENAME=f"crash{os.getpid()}@localhost",
                           RABBITMQ_DIST_PORT=str(free_port()), RABBITMQ_LOGS="-",
                           RABBITMQ_MNESIA_BASE=os.path.join(self.folder, "mnesia"), RABBITMQ_LOG_BASE=self.folder,
                           RABBITMQ_ENABLED_PLUGINS_FILE=os.path.join(self.folder, "plugins"),
                           RABBITMQ_CONFIG_FILE=os.path.join(self.folder, "rabbitmq.conf"))
        self.started = time.monotonic()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([f"{self.SCRIPTS}/{release}/sbin/rabbitmq-server"], env=environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def wait_ready(self, seconds=READY_S):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise BrokerError(f"RabbitMQ ended with {self.process.returncode}: {self.last_words()}")
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                    s.settimeout(5)
                    s.sendall(b"AMQP\0\0\x09\x01")
                    is_ready = bool(s.recv(1))
                for place in self.places:
                    socket.create_connection(place, 1).close()
                if is_ready:
                    self.ready_s = time.monotonic() - self.started
                    return True
            except OSError:
                time.sleep(0.05)
        return False

    def kill(self, signal_number=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            if signal_number == signal.SIGKILL:
                os.killpg(self.process.pid, signal_number)
            else:
                self.process.send_signal(signal_number)
