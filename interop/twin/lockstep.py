"""Two brokers that get the same steps: after each, both are given time to be quiet, and what came from them is compared."""

import re
import time

from amqp import Client, method, bits, table
from steps import EXCHANGES, QUEUES, encode
from wire import short

SPY_CHANNELS = {q: n + 1 for n, q in enumerate(QUEUES)}
PATIENCE_S = (0, 0.003, 0.01, 0.03, 0.1, 0.3, 0.8)
MADE_UP = re.compile(r"amq\.(?:gen|ctag)-[\w-]{22}|amq\.rabbitmq\.reply-to\.[^ ']+")
NEWER = ("x-last-death-reason", "x-last-death-queue", "x-last-death-exchange")


class Difference(Exception):
    """number: the step after which they differed; what: lines that say how."""

    def __init__(self, number, what):
        super().__init__(number)
        self.number, self.what = number, what


class Crash(Exception):
    """RabbitMQ has failed inside: there is nothing to compare with."""


class Side:
    """One of the brokers, with its clients."""

    def __init__(self, name, place, vhost, logins):
        self.name, self.place, self.vhost, self.logins = name, place, vhost, logins
        self.clients, self.names, self.unconfirmed = {}, {}, {}
        self.spy = Client(place, vhost)

    def client(self, number):
        c = self.clients.get(number)
        if c is None or c.is_gone:
            c = self.clients[number] = Client(self.place, self.vhost, self.logins[number])
        return c

    def is_open(self, connection, channel):
        c = self.clients.get(connection)
        return c is not None and channel in c.channels

    def prepare(self, step):
        c = self.client(step[0])
        if step[1] not in c.channels:
            c.open(step[1])
            self.unconfirmed.pop(step[:2], None)

    def apply(self, step, tag):
        connection, channel, op, a = step
        c = self.client(connection)
        if op == "connection_drop":
            c.drop()
            c.events.clear()
            return
        if op == "publish" and step[:2] in self.unconfirmed:
            known = self.unconfirmed[step[:2]]
            known["last"] += 1
            known["open"].add(known["last"])
        if op == "confirm_select":
            self.unconfirmed.setdefault(step[:2], {"last": 0, "open": set()})
        c.send(encode(step, tag))
        if op == "connection_close":
            c.await_event("connection.close-ok")
            c.drop()
            c.events.clear()
        elif op == "update_secret":
            c.await_event("connection.update-secret-ok")
        elif op == "tx_commit":  # RabbitMQ bears nothing behind it
            while not c.is_gone and channel in c.channels and not any(e[0] == channel and e[1] in (
                    "tx.commit-ok", "channel.close") for e in c.events):
                c.pump(0.05)
        elif op == "channel_close":
            c.await_event("channel.close-ok", channel)
        elif op == "channel_open":
            while not c.is_gone:
                c.pump(0.1)

    def ask_to_sync(self):
        for c in self.clients.values():
            for channel in sorted(c.channels):
                c.send(method(channel, 20, 20, bits(True)))
        for q, channel in SPY_CHANNELS.items():
            self.spy.open(channel)
            self.spy.send(method(channel, 50, 10, b"\0\0", short(q), bits(True), table([])))

    def sync(self):
        """Every open channel has answered; or its connection has gone.  Returns what is in the queues."""
        for c in self.clients.values():
            for channel in sorted(c.channels):
                c.await_event("channel.flow-ok", channel)
            if any(e[1] == "connection.close" for e in c.events):
                while not c.is_gone:
                    c.pump(0.1)
            c.pump()
        counts = {}
        for q, channel in SPY_CHANNELS.items():
            self.await_spy(channel)
            event = next(e for e in self.spy.events if e[0] == channel)
            counts["in " + q] = event[2][1:3] if event[1] == "queue.declare-ok" else event[2][0]
        self.spy.events.clear()
        return counts

    def await_spy(self, channel):
        end = time.monotonic() + 15
        while not any(e[0] == channel for e in self.spy.events):
            if time.monotonic() > end:
                raise TimeoutError(f"{self.name}: no count")
            self.spy.pump(0.05)

    # ---- What came, so that it can be compared.

    def plain(self, v):
        """Without names that a broker makes up."""
        if isinstance(v, str):
            v = MADE_UP.sub(lambda m: self.names.setdefault(m[0], f"{m[0].split('-')[0]}#{len(self.names)}"), v)
            return v.replace(f"vhost '{self.vhost}'", "vhost '/'")
        if isinstance(v, (list, tuple)):
            return type(v)(self.plain(x) for x in v)
        return v

    @staticmethod
    def text(text):
        """Of an error, as it was in RabbitMQ 3.10."""
        text = re.sub(r"\n *", "", text)
        text = re.sub(r" (configure|read|write) access to", " access to", text)
        text = re.sub(r"the value '[^']*' of type '(decimal|array|table|void|binary|float|double)'", r"a \1", text)
        text = re.sub(r"(acknowledgement not supported by stream) queues", r"\1", text)
        return re.sub(r"is not set for '(queue .*)'$", r"is not set for stream \1", text)

    def headers(self, entries):
        entries = [e for e in entries if e[0] != "x-acquired-count" and e != ("x-delivery-count", ("l", 0))]
        if not any(k == "x-death" for k, _ in entries):
            return entries
        out = []
        for k, v in entries:
            if k in NEWER or k == "CC":
                continue
            if k == "x-death" and v[0] == "A":
                v = ("A", [(t, sorted(e for e in d if e[0] != "time") if t == "F" else d) for t, d in v[1]])
            out.append((k, v))
        return sorted(out, key=lambda e: e[0])

    def view(self, types):
        """{(connection, channel, stream): what came there}, and the delivery tags by the same keys.

        Between streams no order is compared: there RabbitMQ gives none."""
        out, tags = {}, {}

        def add(*key_and_value):
            out.setdefault(key_and_value[:-1], []).append(key_and_value[-1])

        for number, c in self.clients.items():
            for channel, name, fields, *message in c.events:
                fields = self.plain(fields)
                if message:
                    props = dict(message[0])
                    if "headers" in props:
                        props["headers"] = self.headers(props["headers"])
                        if types:  # RabbitMQ reads what they hold, and writes it anew
                            props["headers"] = sorted((h for h in props["headers"] if "stream" not in types or
                                                       h[1][0] not in "AF"), key=lambda e: e[0])
                        if not props["headers"] and (message[0]["headers"] or types):
                            del props["headers"]
                    message = (sorted(self.plain(list(props.items()))), message[1])
                if name == "basic.deliver":
                    key = (number, channel, "deliver " + fields[0])
                    add(*key, (fields[2:], message))
                    tags.setdefault(key, []).append(fields[1])
                elif name == "basic.get-ok":
                    key = (number, channel, "get")
                    add(*key, (fields[1:], message))
                    tags.setdefault(key, []).append(fields[0])
                elif name in ("basic.ack", "basic.nack"):
                    for n in self.confirmed(number, channel, fields):
                        add(number, channel, "confirms", (n, name))
                elif name == "basic.return":
                    add(number, channel, "returns", (fields, message))
                elif name == "basic.cancel":
                    add(number, channel, "cancels", fields)
                else:
                    if name.endswith(".close"):
                        fields = (fields[0], self.text(fields[1]), *fields[2:])
                    if name in ("queue.delete-ok", "queue.declare-ok") and "stream" in types:
                        fields = ()
                    add(number, channel, "answers", (name, fields))
        for key, values in out.items():
            if key[2] in ("cancels", "confirms"):
                values.sort()
        for key in [k for k in out if k[2] == "confirms"]:  # what is due may come before an error, or not
            if any(name.endswith(".close") for place in (key[1], 0)
                   for name, _ in out.get((key[0], place, "answers"), ())):
                del out[key]
        return out, tags

    def confirmed(self, number, channel, fields):
        known = self.unconfirmed.get((number, channel), {"open": set()})["open"]
        return sorted(n for n in known if n <= fields[0]) if fields[1] else [fields[0]]

    def forget(self):
        """What was compared is past."""
        for number, c in self.clients.items():
            for channel, name, fields, *_ in c.events:
                if name in ("basic.ack", "basic.nack"):
                    for n in self.confirmed(number, channel, fields):
                        self.unconfirmed[number, channel]["open"].discard(n)
            c.events.clear()

    def clear(self):
        """Nothing is left of it."""
        for c in self.clients.values():
            if not c.is_gone:
                c.send(method(0, 10, 50, b"\0\xc8", short(""), b"\0\0\0\0"))
                c.await_event("connection.close-ok")
                c.drop()
        self.clients, self.names, self.unconfirmed = {}, {}, {}
        if self.spy.is_gone:
            self.spy = Client(self.place, self.vhost)
        self.spy.open(99)
        self.spy.events.clear()
        names = [("queue", q) for q in (*QUEUES, "x" * 255, "ä")] + [("exchange", x) for x in EXCHANGES]
        for kind, name in names:
            self.spy.send(method(99, 50, 40, b"\0\0", short(name), bits()) if kind == "queue" else
                          method(99, 40, 20, b"\0\0", short(name), bits()))
            self.spy.await_event(kind + ".delete-ok", 99)
        if 99 not in self.spy.channels:
            raise RuntimeError(f"{self.name}: cannot clean up: {self.spy.events}")


class Lockstep:
    """The same sequence for both sides."""

    def __init__(self, sides, patience_s=PATIENCE_S):
        self.sides, self.patience_s, self.types = sides, patience_s, set()
        self.open, self.done, self.pending, self.transactional, self.without_ack = {}, {}, {}, set(), set()

    def tags(self, step):
        """The delivery tag for each side; None: there is no such delivery, nothing is to be done."""
        a, place = step[3], step[:2]
        if "which" not in a:
            return 0, 0
        entries = self.open.get(place, [])
        which = a["which"]
        if "quorum" in self.types and a.get("requeue") and len(entries) > 1:
            return None  # where it goes back to differs
        is_skewed = any(one != other for one, other in entries)
        if which == "zero" or is_skewed and a.get("multiple"):
            return 0, 0
        if which == "beyond":
            return 1000, 1000
        if which == "done":
            return self.done[place][-1] if self.done.get(place) else None
        return entries[which % len(entries)] if entries else None

    def run(self, steps, trace=None):
        self.types = {v[1] for s in steps for k, v in s[3].get("arguments", ()) if k == "x-queue-type" and v[0] == "S"}
        is_sent = False  # something, and what came of it is not compared yet
        for number, step in enumerate(steps):
            tags = 0, 0
            for s in self.sides:
                s.prepare(step)
            if step[2] == "wait":
                time.sleep(step[3]["ms"] / 1000)
            else:
                tags = self.tags(step)
                for s, tag in zip(self.sides, tags or ()):
                    s.apply(step, tag)
                is_sent = is_sent or tags is not None
                if not is_sent:
                    continue
                if tags and step[3].get("and_then") and steps[number + 1:] and steps[number + 1][:2] == step[:2]:
                    self.learn_sent(step, tags)
                    continue  # the next one goes out at once
                is_sent = False
            view, delivered = self.settle(number)
            if trace:
                trace(step, tags, view)
            self.learn(step, tags, view, delivered)
            for s in self.sides:
                s.forget()

    def settle(self, number):
        for seconds in self.patience_s:
            time.sleep(seconds)
            for s in self.sides:
                s.ask_to_sync()
            counts = [s.sync() for s in self.sides]
            (ours, our_tags), (theirs, their_tags) = (s.view(self.types) for s in self.sides)
            for view, c in zip((ours, theirs), counts):
                view.update((k, self.figures(v)) for k, v in c.items())
            if ours == theirs and self.flat(our_tags) == self.flat(their_tags):
                return ours, (our_tags, their_tags)
        if any(e[1][:1] == (541,) for v in theirs.values() if isinstance(v, list) for e in v if e[0] == "connection.close"):
            raise Crash
        lines = []
        for key in sorted(set(ours) | set(theirs), key=str):
            if ours.get(key) != theirs.get(key):
                lines += [f"{key}", *(f"    {s.name}: {side.get(key)}" for s, side in zip(self.sides, (ours, theirs)))]
        if not lines:
            lines = [f"delivery tags: {our_tags} {their_tags}"]
        raise Difference(number, lines)

    def figures(self, counts):
        """RabbitMQ's are late for a stream, and have a consumer too many after basic.get from a quorum queue."""
        kind = self.types & {"quorum", "stream"}
        return counts if not kind or not isinstance(counts, tuple) else counts[0] if kind == {"quorum"} else "there"

    @staticmethod
    def flat(tags):
        """All tags of a channel: which message has which is free where several consumers are served."""
        out = {}
        for (connection, channel, _), values in tags.items():
            out.setdefault((connection, channel), []).extend(values)
        return {k: sorted(v) for k, v in out.items()}

    def learn_sent(self, step, tags):
        """What a step means for what is open on its channel, whatever comes back."""
        place, op, a = step[:2], step[2], step[3]
        if "which" in a and tags:
            entries = self.open.get(place, [])
            is_all = a.get("multiple") and tags[0] == 0
            gone = [e for e in entries if e == tags or a.get("multiple") and (is_all or e[0] <= tags[0])]
            self.open[place] = [e for e in entries if e not in gone]
            self.done.setdefault(place, []).extend(gone)
            if place in self.transactional:
                self.pending.setdefault(place, []).extend(gone)
        if op in ("recover", "recover_async"):
            self.done.setdefault(place, []).extend(self.open.pop(place, []))

    def learn(self, step, tags, view, delivered):
        """What is open on each channel now."""
        place, op, a = step[:2], step[2], step[3]
        answers = view.get((*place, "answers"), ())
        self.learn_sent(step, tags)
        if op == "consume":
            tag = next((f[0] for n, f in answers if n == "basic.consume-ok"), a["tag"])
            key = (*place, "deliver " + tag)
            (self.without_ack.add if a["no_ack"] else self.without_ack.discard)(key)
        for name, _ in answers:
            if name == "tx.select-ok":
                self.transactional.add(place)
            elif name == "tx.commit-ok":
                self.pending.pop(place, None)
            elif name == "tx.rollback-ok":
                self.open.setdefault(place, []).extend(self.pending.pop(place, []))
                self.open[place].sort()
        for key in sorted(delivered[0]):
            is_settled = a.get("no_ack", False) if key[2] == "get" else key in self.without_ack
            entries = list(zip(delivered[0][key], delivered[1][key]))
            (self.done if is_settled else self.open).setdefault(key[:2], []).extend(entries)
        for one in set(self.open) | set(self.done) | self.transactional | {place}:
            if not self.sides[0].is_open(*one):
                for d in (self.open, self.done, self.pending):
                    d.pop(one, None)
                self.transactional.discard(one)
                self.without_ack -= {k for k in self.without_ack if k[:2] == one}
