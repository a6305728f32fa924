"""AMQP 0-9-1 as a client that hides nothing: it sends whatever it is told to, right or wrong, and what comes is a list of
events.  Values of tables are (type letter, value), so that nothing is lost between what came and what is compared.
"""

import select
import socket
import struct
import time

from wire import long, short

METHODS = {
    (10, 10): ("connection.start", "BBTLL"), (10, 30): ("connection.tune", "HIH"), (10, 41): ("connection.open-ok", "S"),
    (10, 50): ("connection.close", "HSHH"), (10, 51): ("connection.close-ok", ""), (10, 60): ("connection.blocked", "S"),
    (10, 61): ("connection.unblocked", ""), (10, 71): ("connection.update-secret-ok", ""),
    (20, 11): ("channel.open-ok", "L"), (20, 20): ("channel.flow", "b"), (20, 21): ("channel.flow-ok", "b"),
    (20, 40): ("channel.close", "HSHH"), (20, 41): ("channel.close-ok", ""), (30, 11): ("access.request-ok", "H"),
    (40, 11): ("exchange.declare-ok", ""), (40, 21): ("exchange.delete-ok", ""), (40, 31): ("exchange.bind-ok", ""),
    (40, 51): ("exchange.unbind-ok", ""), (50, 11): ("queue.declare-ok", "SII"), (50, 21): ("queue.bind-ok", ""),
    (50, 31): ("queue.purge-ok", "I"), (50, 41): ("queue.delete-ok", "I"), (50, 51): ("queue.unbind-ok", ""),
    (60, 11): ("basic.qos-ok", ""), (60, 21): ("basic.consume-ok", "S"), (60, 30): ("basic.cancel", "Sb"),
    (60, 31): ("basic.cancel-ok", "S"), (60, 50): ("basic.return", "HSSS"), (60, 60): ("basic.deliver", "SQbSS"),
    (60, 71): ("basic.get-ok", "QbSSI"), (60, 72): ("basic.get-empty", "S"), (60, 80): ("basic.ack", "Qb"),
    (60, 111): ("basic.recover-ok", ""), (60, 120): ("basic.nack", "Qb"), (85, 11): ("confirm.select-ok", ""),
    (90, 11): ("tx.select-ok", ""), (90, 21): ("tx.commit-ok", ""), (90, 31): ("tx.rollback-ok", ""),
}
CONTENTS = ("basic.return", "basic.deliver", "basic.get-ok")
PROPERTIES = (("content_type", "S"), ("content_encoding", "S"), ("headers", "T"), ("delivery_mode", "B"),
              ("priority", "B"), ("correlation_id", "S"), ("reply_to", "S"), ("expiration", "S"), ("message_id", "S"),
              ("timestamp", "Q"), ("type", "S"), ("user_id", "S"), ("app_id", "S"), ("cluster_id", "S"))
FIXED = {"b": ">b", "B": ">B", "s": ">h", "u": ">H", "I": ">i", "i": ">I", "l": ">q", "L": ">q", "f": ">f", "d": ">d",
         "T": ">Q"}
CAPABILITIES = ("authentication_failure_close", "basic.nack", "connection.blocked", "consumer_cancel_notify",
                "publisher_confirms", "exchange_exchange_bindings")
WAIT_S = 15


# ---- Writing.

def value(letter, v):
    if letter in FIXED:
        raw = struct.pack(FIXED[letter], v)
    elif letter == "t":
        raw = bytes((v,))
    elif letter in "Sx":
        raw = long(v)
    elif letter == "D":
        raw = struct.pack(">BI", *v)
    elif letter == "A":
        raw = long(b"".join(value(*e) for e in v))
    elif letter == "F":
        raw = table(v)
    else:
        raw = b""
    return letter.encode() + raw


def table(entries):
    """entries: [(key, (letter, value))…]"""
    return long(b"".join(short(k) + value(*v) for k, v in entries))


def bits(*values):
    return bytes((sum(bool(v) << n for n, v in enumerate(values)),))


def frame(kind, channel, payload):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def method(channel, class_id, method_id, *parts):
    return frame(1, channel, struct.pack(">HH", class_id, method_id) + b"".join(parts))


def properties(given):
    flags, raw = 0, b""
    for n, (name, kind) in enumerate(PROPERTIES):
        if name in given:
            flags |= 1 << (15 - n)
            v = given[name]
            raw += {"S": short, "T": table, "B": lambda x: bytes((x,)), "Q": lambda x: struct.pack(">Q", x)}[kind](v)
    return struct.pack(">H", flags) + raw


def content(channel, props, body):
    out = frame(2, channel, struct.pack(">HHQ", 60, 0, len(body)) + properties(props))
    return out + (frame(3, channel, body) if body else b"")


# ---- Reading.

class Reader:
    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, size):
        piece = self.raw[self.at:self.at + size]
        if len(piece) != size:
            raise ValueError("a value that is cut off")
        self.at += size
        return piece

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, form):
        return self.take(self.number(form)).decode("utf-8", "backslashreplace")

    def value(self):
        letter = chr(self.take(1)[0])
        if letter in FIXED:
            return letter, self.number(FIXED[letter])
        if letter == "t":
            return letter, bool(self.take(1)[0])
        if letter in "Sx":
            return letter, self.text(">I")
        if letter == "D":
            return letter, (self.number(">B"), self.number(">I"))
        if letter == "F":
            return letter, self.table()
        if letter == "A":
            inner, out = Reader(self.take(self.number(">I"))), []
            while inner.at < len(inner.raw):
                out.append(inner.value())
            return letter, out
        if letter == "V":
            return letter, None
        raise ValueError(f"a value of type {letter!r}")

    def table(self):
        inner, out = Reader(self.take(self.number(">I"))), []
        while inner.at < len(inner.raw):
            key = inner.text(">B")
            out.append((key, inner.value()))
        return out

    def field(self, code):
        if code == "b":
            return bool(self.take(1)[0] & 1)
        if code == "S":
            return self.text(">B")
        if code == "L":
            return self.text(">I")
        if code == "T":
            return self.table()
        return self.number(">" + code)

    def properties(self):
        flags, out = self.number(">H"), {}
        for n, (name, kind) in enumerate(PROPERTIES):
            if flags & 1 << (15 - n):
                out[name] = self.field(kind)
        return out


class Client:
    """A connection.  Events are (channel, name, fields) or, with a content, (channel, name, fields, properties, body);
    what is the protocol's part it does itself: it opens channels, and answers whoever closes one."""

    def __init__(self, place, vhost, login=("guest", "guest")):
        self.socket = socket.create_connection(place, WAIT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.is_gone = self.is_closing = False
        self.channels, self.partial, self.events = set(), {}, []
        self.send(b"AMQP\0\0\x09\x01")
        self.await_event("connection.start", keep=True)
        self.server = {k: v for k, (_, v) in self.events.pop()[2][2]}
        capabilities = [(c, ("t", True)) for c in CAPABILITIES]
        self.send(method(0, 10, 11, table([("capabilities", ("F", capabilities))]), short("PLAIN"),
                         long("\0" + "\0".join(login)), short("en_US")))
        self.await_event("connection.tune")
        self.send(method(0, 10, 31, struct.pack(">HIH", 2047, 131072, 0)) +
                  method(0, 10, 40, short(vhost), short(""), bits(0)))
        self.await_event("connection.open-ok")
        self.events.clear()

    def send(self, raw):
        try:
            self.socket.sendall(raw)
        except OSError:
            pass  # what came before that is still read

    def await_event(self, name, channel=0, keep=False):
        """True: it came (and is kept); False: the channel or the connection has ended instead."""
        end = time.monotonic() + WAIT_S
        at = 0
        while True:
            for event in self.events[at:]:
                if event[:2] == (channel, name):
                    if not keep:
                        self.events.remove(event)
                    return True
            at = len(self.events)
            if self.is_gone or (channel and channel not in self.channels and name != "channel.open-ok"):
                return False
            if time.monotonic() > end:
                raise TimeoutError(f"no {name} on channel {channel}")
            self.pump(0.05)

    def pump(self, seconds=0.0):
        """Reads what there is; waits for it so long."""
        while not self.is_gone and select.select([self.socket], [], [], seconds)[0]:
            try:
                piece = self.socket.recv(1 << 20)
            except OSError:
                piece = b""
            if not piece:
                self.end()
                return
            self.buffer += piece
            self.cut()
            seconds = 0

    def end(self):
        self.is_gone = True
        self.channels.clear()
        self.events.append((0, "end", ()))
        self.socket.close()

    def cut(self):
        at = 0
        while len(self.buffer) - at >= 8:
            kind, channel, size = struct.unpack_from(">BHI", self.buffer, at)
            if len(self.buffer) - at < size + 8:
                break
            payload = self.buffer[at + 7:at + 7 + size]
            at += size + 8
            self.take(kind, channel, payload)
        self.buffer = self.buffer[at:]

    def take(self, kind, channel, payload):
        if kind == 1:
            self.take_method(channel, payload)
        elif kind == 2:
            c = self.partial[channel]
            c[2], c[3] = struct.unpack_from(">Q", payload, 4)[0], Reader(payload[12:]).properties()
        elif kind == 3:
            self.partial[channel][4] += payload
        c = self.partial.get(channel)
        if c and c[2] is not None and len(c[4]) >= c[2]:
            del self.partial[channel]
            self.events.append((channel, c[0], c[1], c[3], c[4]))

    def take_method(self, channel, payload):
        name, codes = METHODS[struct.unpack_from(">HH", payload)]
        reader = Reader(payload[4:])
        fields = tuple(reader.field(c) for c in codes)
        if name in CONTENTS:
            self.partial[channel] = [name, fields, None, None, b""]
            return
        self.events.append((channel, name, fields))
        if name == "channel.close":
            self.channels.discard(channel)
            self.send(method(channel, 20, 41))
        elif name == "channel.close-ok":
            self.channels.discard(channel)
        elif name == "connection.close":
            self.channels.clear()
            self.send(method(0, 10, 51))

    def open(self, channel):
        if channel not in self.channels and not self.is_gone:
            self.channels.add(channel)
            self.send(method(channel, 20, 10, short("")))
            if not self.await_event("channel.open-ok", channel):
                self.channels.discard(channel)

    def drop(self):
        if not self.is_gone:
            self.end()
