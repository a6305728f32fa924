"""A RabbitMQ of our own with its HTTP API, and what both sides' documents are compared by."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from broker import die_with_parent  # noqa: E402

SCRIPTS = "/usr/lib/rabbitmq/lib"
READY_S, ATTEMPTS = 90, 3
PLUGINS = ("rabbitmq_management", "rabbitmq_consistent_hash_exchange", "rabbitmq_random_exchange",
           "rabbitmq_recent_history_exchange", "rabbitmq_sharding")
# What says which broker wrote a document, and nothing else.
HEADERS = ("rabbit_version", "rabbitmq_version", "product_name", "product_version")
# Of the node, not of what is in it.
NODES_OWN = ("internal_cluster_id", "cluster_name")


def free_ports(n):
    """Unlike one another."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


class Peer:
    """RabbitMQ with data in folder; api() speaks to it as guest."""

    @staticmethod
    def is_there():
        return os.path.isdir(SCRIPTS)

    def __init__(self, folder):
        self.folder = folder
        for i in range(ATTEMPTS):
            self.process = self.start(os.path.join(folder, str(i)), f"definitions{i}-{os.getpid()}@localhost")
            if self.is_ready():
                return
            self.stop()
        with open(self.log, encoding="utf-8", errors="replace") as log:
            raise RuntimeError(f"RabbitMQ did not start {ATTEMPTS} times; it said: {log.read()[-2000:]}")

    def start(self, folder, node):
        release = sorted(os.listdir(SCRIPTS))[-1]
        self.port, self.http_port, dist_port = free_ports(3)
        os.makedirs(folder, exist_ok=True)
        plugins, config, self.log = (os.path.join(folder, name) for name in ("plugins", "rabbitmq.conf", "log"))
        with open(plugins, "w", encoding="utf-8") as f:
            f.write(f"[{','.join(PLUGINS)}].\n")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"management.tcp.port = {self.http_port}\nmanagement.tcp.ip = 127.0.0.1\n")
        environment = dict(os.environ, HOME=folder, RABBITMQ_NODENAME=node,
                           RABBITMQ_NODE_IP_ADDRESS="127.0.0.1", RABBITMQ_NODE_PORT=str(self.port),
                           RABBITMQ_DIST_PORT=str(dist_port), RABBITMQ_MNESIA_BASE=os.path.join(folder, "mnesia"),
                           RABBITMQ_LOG_BASE=folder, RABBITMQ_ENABLED_PLUGINS_FILE=plugins,
                           RABBITMQ_CONFIG_FILE=config)
        with open(self.log, "ab") as log:
            return subprocess.Popen([f"{SCRIPTS}/{release}/sbin/rabbitmq-server"], env=environment,
                                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                                    preexec_fn=die_with_parent)

    def is_ready(self):
        """False: it has ended, as it does if somebody has taken a port meanwhile, or does not answer."""
        end = time.monotonic() + READY_S
        while self.process.poll() is None and time.monotonic() < end:
            try:
                self.api("GET", "/overview")
                return True
            except (OSError, RuntimeError):
                time.sleep(0.2)
        return False

    def api(self, method, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}/api{path}", method=method)
        request.add_header("authorization", "Basic " + base64.b64encode(b"guest:guest").decode())
        request.add_header("content-type", "application/json")
        try:
            with urllib.request.urlopen(request, None if body is None else json.dumps(body).encode(), 60) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')}") from error
        return json.loads(text) if text else None

    def stop(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def quote(name):
    return urllib.parse.quote(name, safe="")


def sort_key(value):
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def comparable(document, but=()):
    """The document without its headers and the global parameters named in but; order means nothing in a section."""
    out = {}
    for section, objects in document.items():
        if section in HEADERS:
            continue
        if section == "global_parameters":
            objects = [o for o in objects if o["name"] not in but]
        out[section] = sorted(objects, key=sort_key)
    return out


def differences(a, b, but=()):
    """What one of two documents has and the other has not, as lines."""
    a, b = comparable(a, but), comparable(b, but)
    lines = []
    for section in sorted(set(a) | set(b)):
        left, right = ([sort_key(o) for o in d.get(section, [])] for d in (a, b))
        lines += [f"only in the first: {section}: {o}" for o in left if o not in right]
        lines += [f"only in the second: {section}: {o}" for o in right if o not in left]
        if section not in a or section not in b:
            lines.append(f"no section {section} in the {'second' if section in a else 'first'}")
        if len(left) != len(right):
            lines.append(f"{section}: {len(left)} objects and {len(right)}")
    return lines
