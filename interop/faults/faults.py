"""What the fault tests have in common: TAP, a client that counts, and where things are."""

import argparse
import collections
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import zlib

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
import wire  # noqa: E402
from broker import Broker, BrokerError  # noqa: E402,F401

STATUS_SYNC_FAILED = 70
EXAMPLES = 6


def say(line):
    print(line, flush=True)


class Tap:
    """A line a claim; what contradicts it is told before it."""

    def __init__(self):
        self.n = self.failed = 0

    def ok(self, good, text, todo=None):
        """todo: it is known not to hold."""
        self.n += 1
        self.failed += not good and not todo
        say(f"{'ok' if good else 'not ok'} {self.n} - {text}{' # TODO' if todo and not good else ''}")
        return good

    def skip(self, text, why):
        self.n += 1
        say(f"ok {self.n} - {text} # SKIP {why}")

    def end(self):
        say(f"1..{self.n}")
        return 1 if self.failed else 0


class Complaints:
    """Collects what is wrong in many cases and prints the first few."""

    def __init__(self):
        self.counts = collections.Counter()

    def __call__(self, kind, text):
        self.counts[kind] += 1
        if self.counts[kind] <= EXAMPLES:
            say(f"# {kind}: {text}")


def options(text, **more):
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument("--broker", default=os.environ.get("BROKER") or os.path.join(HERE, "../../build/millraced"))
    parser.add_argument("--long", action="store_true", help="all there is, for minutes")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().getrandbits(64))
    parser.add_argument("--keep", action="store_true", help="keep the folders")
    for name, kwargs in more.items():
        parser.add_argument(f"--{name}", **kwargs)
    o = parser.parse_args()
    o.broker = os.path.realpath(o.broker)
    say("TAP version 13")
    say(f"# {os.path.relpath(sys.argv[0])} --seed {o.seed}{' --long' if o.long else ''}")
    return o


def main(body, o):
    """Runs body(options, tap, folder)."""
    tap = Tap()
    folder = tempfile.mkdtemp(prefix="millrace-faults-")
    try:
        body(o, tap, folder)
    except Exception as error:  # pylint: disable=broad-except
        for line in traceback.format_exc().splitlines():
            say(f"# {line}")
        tap.ok(False, f"it ends without {type(error).__name__}")
    if o.keep:
        say(f"# kept: {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(tap.end())


# ---- A client that counts.

def body_of(queue, n, size):
    """All say whose they are, if they are large enough, and are different."""
    head = f"{queue}/{n}/".encode()
    noise = zlib.crc32(head).to_bytes(4, "big") * (size // 4 + 1)
    return (head + noise)[:size] if size >= len(head) else noise[:size]


def id_of(queue, n, body):
    return f"{queue}/{n}/{len(body)}/{zlib.crc32(body):08x}"


class Client(wire.Link):
    """Publishes numbered messages with confirms and takes them back; one connection, a loop of its own unless given."""

    def __init__(self, port, name="client", loop=None, **more):
        super().__init__(loop or wire.Loop(), port, name=name, **more)
        self.tag = 0
        self.waiting = {}                               # tag: (queue, n)
        self.confirmed = collections.defaultdict(set)   # queue: numbers
        self.refused = collections.defaultdict(set)
        self.attempted = collections.defaultdict(set)
        self.channels = 10
        self.call(1, wire.confirm_select(1))

    def declare(self, queue, **arguments):
        return self.call(1, wire.queue_declare(1, queue, arguments=arguments))

    def publish(self, queue, n, size):
        body = body_of(queue, n, size)
        self.tag += 1
        self.waiting[self.tag] = (queue, n)
        self.attempted[queue].add(n)
        self.put(wire.publish(1, "", queue, body, wire.properties(id_of(queue, n, body))))

    def on_confirm(self, channel, tag, multiple, is_ack):
        for t in ([t for t in self.waiting if t <= tag] if multiple else [tag]):
            queue, n = self.waiting.pop(t)
            (self.confirmed if is_ack else self.refused)[queue].add(n)

    def settle(self, seconds=10):
        """Waits until all that was published is answered; False: it is not, or the connection is gone."""
        end = time.monotonic() + seconds
        while self.waiting and not self.is_gone and time.monotonic() < end:
            self.loop.step(0.005)
        return not self.waiting

    def count(self, queue):
        """Ready messages; None: there is no such queue."""
        self.channels += 1
        self.call(self.channels, wire.channel_open(self.channels))
        answer = self.call(self.channels, wire.queue_declare(self.channels, queue, passive=True))
        if answer.refused:
            return None
        self.call(self.channels, wire.channel_close(self.channels))
        return answer.counts()[0]

    def get(self, queue, ack=True):
        """(number, redelivered), or None if it is empty."""
        answer = self.call(1, wire.basic_get(1, queue))
        if answer.refused:
            raise ConnectionError(f"get from {queue}: {answer.refused} {answer.text}")
        if answer.id == wire.GET_EMPTY:
            return None
        if ack:
            self.put(wire.basic_ack(1, answer.content.tag))
        return number_of(queue, answer.content), answer.content.redelivered


def number_of(queue, content):
    """The number of a message that is whole; -1: it is damaged, or never was ours."""
    parts = (content.properties.get("message_id") or "").split("/")
    if len(parts) != 4 or parts[0] != queue or not parts[1].isdigit():
        return -1
    n = int(parts[1])
    if content.body != body_of(queue, n, len(content.body)) or id_of(queue, n, content.body) != "/".join(parts):
        return -1
    return n


class Drainer(wire.Link):
    """Takes all there is from queues; self.got: queue to [(number, redelivered)] in order."""

    def __init__(self, port, queues, loop=None, seconds=30, ack=True):
        super().__init__(loop or wire.Loop(), port, name="drain")
        self.got = {q: [] for q in queues}
        self.ack = ack
        self.queue_of = {}
        self.missing = []
        self.expect, self.left = {}, {}
        for n, q in enumerate(queues, 2):
            self.queue_of[n] = q
            self.call(n, wire.channel_open(n))
            answer = self.call(n, wire.queue_declare(n, q, passive=True))
            if answer.refused:
                self.missing.append(q)
                continue
            self.expect[q] = answer.counts()[0]
            self.call(n, wire.basic_consume(n, q, q))
        self.is_done = False
        end, n, still = time.monotonic() + seconds, 0, 0
        while not self.is_done and not self.is_gone and time.monotonic() < end:
            self.loop.step(0.005)
            before, n = n, sum(map(len, self.got.values()))
            still = still + 1 if n == before else 0
            if n >= sum(self.expect.values()) or still % 10 == 9:
                self.is_done = self.is_quiet() and n == sum(map(len, self.got.values()))
        self.last_answers()

    def is_quiet(self):
        """Nothing is left; what can not be read is left out sooner or later."""
        self.left = {q: self.call(n, wire.queue_declare(n, q, passive=True)).counts()[0]
                     for n, q in self.queue_of.items() if q in self.expect}
        return not any(self.left.values())

    def last_answers(self):
        for n, q in self.queue_of.items():
            if q in self.expect and not self.is_gone:
                self.call(n, wire.basic_qos(n, 0))

    def on_deliver(self, channel, content):
        queue = self.queue_of[channel]
        self.got[queue].append((number_of(queue, content), content.redelivered))
        if self.ack:
            self.put(wire.basic_ack(channel, content.tag))


def judge(complain, what, queue, got, confirmed, attempted, gone=()):
    """Nothing damaged, nothing invented, nothing lost, in order.  Answers how many are missing."""
    numbers = [n for n, _ in got]
    if -1 in numbers:
        complain("corrupt", f"{what}: {queue}: {numbers.count(-1)} messages")
    numbers = [n for n in numbers if n >= 0]
    foreign = set(numbers) - attempted
    if foreign:
        complain("unexpected", f"{what}: {queue}: {sorted(foreign)[:5]}")
    if numbers != sorted(numbers):
        complain("order", f"{what}: {queue}: {[(a, b) for a, b in zip(numbers, numbers[1:]) if b <= a][:5]}")
    missing = confirmed - set(numbers) - set(gone)
    if missing:
        complain("lost", f"{what}: {queue}: {len(missing)} of {len(confirmed)}, e.g. {sorted(missing)[:5]}")
    return len(missing)


def losses(data):
    """What lost.jsonl tells: a list of objects; raises ValueError if a line is none."""
    path = os.path.join(data, "lost.jsonl")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]


def run(*command):
    """0 if it succeeded; what it says is not of interest."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode
