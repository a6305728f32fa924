"""AMQP 0-9-1 for tests that want to see everything: a connection is a socket, what it says is what was put, what comes
in goes to a method of the link.  Nothing is retried, nothing is hidden; it shares no code with the broker.

A Loop drives any number of links in one thread.  Python's standard library is all it takes.
"""

import collections
import errno
import select
import socket
import ssl
import struct
import time

FRAME_METHOD, FRAME_HEADER, FRAME_BODY, FRAME_HEARTBEAT = 1, 2, 3, 8
FRAME_MAX = 131072
PERSISTENT, TRANSIENT = 2, 1


def ids(class_id, **methods):
    return {name: class_id << 16 | number for name, number in methods.items()}


CONNECTION = ids(10, start=10, tune=30, open_ok=41, close=50, close_ok=51, blocked=60, unblocked=61)
CHANNEL = ids(20, close=40, close_ok=41, flow=20)
BASIC = ids(60, cancel=30, returned=50, deliver=60, get_ok=71, get_empty=72, ack=80, nack=120)
GET_EMPTY = BASIC["get_empty"]
# Methods that answer what a client asked, in the order in which it asked.
ANSWERS = {20 << 16 | 11, 20 << 16 | 41, 60 << 16 | 11, 60 << 16 | 21, 60 << 16 | 31, 60 << 16 | 72, 60 << 16 | 111,
           85 << 16 | 11}
ANSWERS |= {40 << 16 | m for m in (11, 21, 31, 51)}
ANSWERS |= {50 << 16 | m for m in (11, 21, 31, 41, 51)}
ANSWERS |= {90 << 16 | m for m in (11, 21, 31)}

HEAD = struct.Struct(">BHI")
HEARTBEAT = HEAD.pack(FRAME_HEARTBEAT, 0, 0) + b"\xce"


# ---- Writing.

def short(text):
    raw = text if isinstance(text, bytes) else text.encode()
    return bytes((len(raw),)) + raw


def long(raw):
    raw = raw if isinstance(raw, bytes) else raw.encode()
    return struct.pack(">I", len(raw)) + raw


def table(values):
    out = b""
    for key, value in (values or {}).items():
        out += short(key)
        if isinstance(value, bool):
            out += b"t" + bytes((value,))
        elif isinstance(value, int):
            out += b"l" + struct.pack(">q", value)
        elif isinstance(value, dict):
            out += b"F" + table(value)
        else:
            out += b"S" + long(value)
    return long(out)


def frame(kind, channel, payload):
    return HEAD.pack(kind, channel, len(payload)) + payload + b"\xce"


def method(channel, class_id, method_id, arguments=b""):
    return frame(FRAME_METHOD, channel, struct.pack(">HH", class_id, method_id) + arguments)


def channel_open(channel):
    return method(channel, 20, 10, b"\0")


def channel_close(channel):
    return method(channel, 20, 40, struct.pack(">H", 200) + b"\0" + b"\0\0\0\0")


def exchange_declare(channel, name, kind="direct", durable=True, passive=False):
    return method(channel, 40, 10, b"\0\0" + short(name) + short(kind) + bytes((passive | durable << 1,)) + table({}))


def exchange_delete(channel, name):
    return method(channel, 40, 20, b"\0\0" + short(name) + b"\0")


def queue_declare(channel, name, durable=True, arguments=None, passive=False, exclusive=False):
    bits = passive | durable << 1 | exclusive << 2
    return method(channel, 50, 10, b"\0\0" + short(name) + bytes((bits,)) + table(arguments))


def queue_bind(channel, queue, exchange, key):
    return method(channel, 50, 20, b"\0\0" + short(queue) + short(exchange) + short(key) + b"\0" + table({}))


def queue_unbind(channel, queue, exchange, key):
    return method(channel, 50, 50, b"\0\0" + short(queue) + short(exchange) + short(key) + table({}))


def queue_purge(channel, queue):
    return method(channel, 50, 30, b"\0\0" + short(queue) + b"\0")


def queue_delete(channel, queue):
    return method(channel, 50, 40, b"\0\0" + short(queue) + b"\0")


def basic_qos(channel, prefetch):
    return method(channel, 60, 10, struct.pack(">IHB", 0, prefetch, 0))


def basic_consume(channel, queue, tag, no_ack=False):
    return method(channel, 60, 20, b"\0\0" + short(queue) + short(tag) + bytes((no_ack << 1,)) + table({}))


def basic_cancel(channel, tag):
    return method(channel, 60, 30, short(tag) + b"\0")


def basic_get(channel, queue, no_ack=False):
    return method(channel, 60, 70, b"\0\0" + short(queue) + bytes((no_ack,)))


def basic_ack(channel, tag, multiple=False):
    return method(channel, 60, 80, struct.pack(">QB", tag, multiple))


def basic_nack(channel, tag, multiple=False, requeue=True):
    return method(channel, 60, 120, struct.pack(">QB", tag, multiple | requeue << 1))


def basic_reject(channel, tag, requeue):
    return method(channel, 60, 90, struct.pack(">QB", tag, requeue))


def confirm_select(channel):
    return method(channel, 85, 10, b"\0")


def tx_select(channel):
    return method(channel, 90, 10)


def tx_commit(channel):
    return method(channel, 90, 20)


def properties(message_id=None, delivery_mode=PERSISTENT, expiration=None):
    flags, out = 1 << 12, bytes((delivery_mode,))
    if expiration is not None:
        flags |= 1 << 8
        out += short(str(expiration))
    if message_id is not None:
        flags |= 1 << 7
        out += short(message_id)
    return struct.pack(">H", flags) + out


def publish(channel, exchange, key, body, props, mandatory=False, frame_max=FRAME_MAX):
    out = method(channel, 60, 40, b"\0\0" + short(exchange) + short(key) + bytes((mandatory,)))
    out += frame(FRAME_HEADER, channel, struct.pack(">HHQ", 60, 0, len(body)) + props)
    most = frame_max - 8
    if 0 < len(body) <= most:
        return out + frame(FRAME_BODY, channel, body)
    return out + b"".join(frame(FRAME_BODY, channel, body[at:at + most]) for at in range(0, len(body), most))


# ---- Reading.

def read_short(raw, at):
    end = at + 1 + raw[at]
    return raw[at + 1:end].decode(errors="replace"), end


FIXED = {"b": ">b", "B": ">B", "s": ">h", "u": ">H", "I": ">i", "i": ">I", "l": ">q", "L": ">q", "f": ">f", "d": ">d",
         "T": ">Q"}


def read_value(raw, at):
    kind = chr(raw[at])
    at += 1
    if kind in FIXED:
        size = struct.calcsize(FIXED[kind])
        return struct.unpack_from(FIXED[kind], raw, at)[0], at + size
    if kind == "t":
        return bool(raw[at]), at + 1
    if kind == "V":
        return None, at
    if kind == "D":
        return raw[at:at + 5], at + 5
    size = struct.unpack_from(">I", raw, at)[0]
    inside, end = raw[at + 4:at + 4 + size], at + 4 + size
    if kind == "F":
        return read_table(inside), end
    if kind == "A":
        values, to = [], 0
        while to < size:
            value, to = read_value(inside, to)
            values.append(value)
        return values, end
    return inside.decode(errors="replace"), end


def read_table(inside):
    """Of what is behind the table's length."""
    out, at = {}, 0
    while at < len(inside):
        key, at = read_short(inside, at)
        out[key], at = read_value(inside, at)
    return out


PROPERTIES = ((15, "content_type"), (14, "content_encoding"), (13, "headers"), (12, "delivery_mode"), (11, "priority"),
              (10, "correlation_id"), (9, "reply_to"), (8, "expiration"), (7, "message_id"), (6, "timestamp"),
              (5, "type"), (4, "user_id"), (3, "app_id"), (2, "cluster_id"))


def read_properties(raw):
    flags = struct.unpack_from(">H", raw)[0]
    out, at = {}, 2
    for bit, name in PROPERTIES:
        if not flags >> bit & 1:
            continue
        if name == "headers":
            size = struct.unpack_from(">I", raw, at)[0]
            out[name] = read_table(raw[at + 4:at + 4 + size])
            at += 4 + size
        elif name in ("delivery_mode", "priority"):
            out[name] = raw[at]
            at += 1
        elif name == "timestamp":
            out[name] = struct.unpack_from(">Q", raw, at)[0]
            at += 8
        else:
            out[name], at = read_short(raw, at)
    return out


WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Content:
    """A message that came: delivered, got or returned."""
    __slots__ = ("method", "consumer", "tag", "redelivered", "exchange", "key", "code", "properties", "size", "parts",
                 "body", "left")


class Answer:
    """What a client asked for; refused: the code of the channel.close or connection.close, or 0."""
    __slots__ = ("id", "raw", "refused", "text", "content")

    def __init__(self, id_, raw, refused=0, text="", content=None):
        self.id, self.raw, self.refused, self.text, self.content = id_, raw, refused, text, content

    def counts(self):
        """Of queue.declare-ok: messages and consumers."""
        _, at = read_short(self.raw, 4)
        return struct.unpack_from(">II", self.raw, at)


class Loop:
    def __init__(self):
        self.poll = select.epoll()
        self.links = {}
        self.dirty = set()

    def add(self, link):
        self.links[link.fd] = link
        self.poll.register(link.fd, select.EPOLLIN)

    def remove(self, link):
        if self.links.pop(link.fd, None):
            self.poll.unregister(link.fd)
        self.dirty.discard(link)

    def step(self, timeout=0.001):
        for link in list(self.dirty):
            link.flush()
        for fd, events in self.poll.poll(timeout):
            link = self.links.get(fd)
            if link is None:
                continue
            if events & select.EPOLLOUT:
                link.flush()
            if events & ~select.EPOLLOUT:
                link.read()

    def wait(self, condition, seconds=10, what="an answer"):
        """Steps until condition() holds; otherwise raises TimeoutError."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"waited {seconds} s for {what}")
            self.step(0.01)

    def close(self):
        for link in list(self.links.values()):
            link.drop()
        self.poll.close()


def dial(host, port, source=None):
    if host.startswith("/"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(10)
        sock.connect(host)
        return sock
    sock = socket.create_connection((host, port), timeout=10, source_address=(source, 0) if source else None)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class Link:
    """A connection with a channel 1.  Override what is of interest; put() and ask() to talk.

    host may be the path of a UNIX socket; source: the address to come from.  tls: an SSLContext; what it says of the
    host's name is held to host.  external: the certificate says who comes."""

    def __init__(self, loop, port, host="127.0.0.1", user="guest", password="guest", vhost="/", heartbeat=0,
                 name="link", source=None, tls=None, external=False):
        self.loop, self.name = loop, name
        self.sock = dial(host, port, source)
        if tls:
            self.sock = tls.wrap_socket(self.sock, server_hostname=host)
        self.sock.setblocking(False)
        self.fd = self.sock.fileno()
        self.inbuf, self.out = bytearray(), bytearray()
        self.asked = collections.defaultdict(collections.deque)
        self.contents = {}
        self.is_open = self.is_gone = self.is_blocked = self.is_watching = False
        self.closed_text = ""
        self.heartbeat, self.last_sent, self.last_heard = heartbeat, time.monotonic(), time.monotonic()
        loop.add(self)
        capabilities = {name: True for name in ("publisher_confirms", "basic.nack", "consumer_cancel_notify",
                                                "connection.blocked", "authentication_failure_close")}
        self.put(b"AMQP\0\0\x09\x01")
        login = short("EXTERNAL") + long("") if external else short("PLAIN") + long(f"\0{user}\0{password}")
        self.put(method(0, 10, 11, table({"product": name, "capabilities": capabilities}) + login + short("en_US")))
        self.put(method(0, 10, 31, struct.pack(">HIH", 2047, FRAME_MAX, heartbeat)))
        self.put(method(0, 10, 40, short(vhost) + b"\0\0"))
        self.ask(1, channel_open(1), lambda answer: None)

    # What subclasses override.
    def on_deliver(self, channel, content):
        pass

    def on_return(self, channel, content):
        pass

    def on_confirm(self, channel, tag, multiple, is_ack):
        pass

    def on_cancel(self, channel, tag):
        pass

    def on_channel_closed(self, channel, code, text):
        pass

    def on_blocked(self, is_blocked):
        pass

    def on_gone(self):
        pass

    # What they call.
    def put(self, raw):
        self.out += raw
        self.loop.dirty.add(self)

    def ask(self, channel, raw, callback):
        self.asked[channel].append(callback)
        self.put(raw)

    def call(self, channel, raw, seconds=10):
        """Asks and waits; the other links live on meanwhile."""
        answers = []
        self.ask(channel, raw, answers.append)
        self.loop.wait(lambda: answers or self.is_gone, seconds, f"an answer on {self.name}")
        if not answers:
            raise ConnectionError(f"{self.name}: connection gone: {self.closed_text}")
        return answers[0]

    def drop(self):
        """Leaves without a word."""
        if not self.is_gone:
            self.is_gone = True
            self.loop.remove(self)
            self.sock.close()

    def close(self, seconds=10):
        if not self.is_gone:
            self.put(method(0, 10, 50, struct.pack(">H", 200) + b"\0" + b"\0\0\0\0"))
            try:
                self.loop.wait(lambda: self.is_gone, seconds, f"close-ok of {self.name}")
            finally:
                self.drop()

    # How it works.
    def flush(self):
        self.loop.dirty.discard(self)
        if self.is_gone:
            return
        try:
            while self.out:
                with memoryview(self.out) as view:
                    n = self.sock.send(view[:1 << 18])
                del self.out[:n]
                self.last_sent = time.monotonic()
        except WOULD_BLOCK:
            pass
        except OSError:
            self.out.clear()  # what came before the end is still to be read
        is_watching = bool(self.out)
        if is_watching != self.is_watching:
            self.is_watching = is_watching
            self.loop.poll.modify(self.fd, select.EPOLLIN | (select.EPOLLOUT if is_watching else 0))

    def beat(self):
        """To be called now and then where there is a heartbeat."""
        if self.heartbeat and time.monotonic() - self.last_sent > self.heartbeat / 2:
            self.put(HEARTBEAT)

    def read(self):
        """Takes what is there; with TLS a record at a time, and none may stay in TLS's buffers, where no poll looks."""
        self.read_once()
        while not self.is_gone and isinstance(self.sock, ssl.SSLSocket) and self.sock.pending():
            self.read_once()

    def read_once(self):
        try:
            raw = self.sock.recv(1 << 18)
        except WOULD_BLOCK:
            return
        except OSError as error:
            raw = b""
            self.closed_text = self.closed_text or errno.errorcode.get(error.errno, str(error))
        if not raw:
            self.gone()
            return
        self.last_heard = time.monotonic()
        self.inbuf += raw
        self.cut()

    def gone(self):
        if not self.is_gone:
            self.drop()
            self.on_gone()

    def cut(self):
        buf, at, end = self.inbuf, 0, len(self.inbuf)
        while end - at >= 8 and not self.is_gone:
            kind, channel, size = HEAD.unpack_from(buf, at)
            if end - at < size + 8:
                break
            if buf[at + 7 + size] != 0xCE:
                raise ValueError(f"{self.name}: no frame end")
            payload = bytes(buf[at + 7:at + 7 + size])
            at += size + 8
            if kind == FRAME_METHOD:
                self.take_method(channel, payload)
            elif kind == FRAME_HEADER:
                self.take_header(channel, payload)
            elif kind == FRAME_BODY:
                content = self.contents[channel]
                content.parts.append(payload)
                content.size -= size
                if content.size <= 0:
                    self.end_content(channel)
        del self.inbuf[:at]

    def take_method(self, channel, raw):
        id_ = struct.unpack_from(">I", raw)[0]
        if id_ == BASIC["deliver"]:
            c = Content()
            c.method = id_
            c.consumer, at = read_short(raw, 4)
            c.tag, c.redelivered = struct.unpack_from(">Q?", raw, at)
            c.exchange, at = read_short(raw, at + 9)
            c.key, at = read_short(raw, at)
            self.contents[channel] = c
        elif id_ == BASIC["ack"]:
            self.on_confirm(channel, *struct.unpack_from(">Q?", raw, 4), True)
        elif id_ == BASIC["nack"]:
            tag, bits = struct.unpack_from(">QB", raw, 4)
            self.on_confirm(channel, tag, bool(bits & 1), False)
        elif id_ in ANSWERS:
            self.answer(channel, Answer(id_, raw))
        elif id_ == BASIC["get_ok"]:
            c = Content()
            c.method, c.consumer = id_, None
            c.tag, c.redelivered = struct.unpack_from(">Q?", raw, 4)
            c.exchange, at = read_short(raw, 13)
            c.key, at = read_short(raw, at)
            c.left = struct.unpack_from(">I", raw, at)[0]
            self.contents[channel] = c
        elif id_ == BASIC["returned"]:
            c = Content()
            c.method = id_
            c.code = struct.unpack_from(">H", raw, 4)[0]
            _, at = read_short(raw, 6)
            c.exchange, at = read_short(raw, at)
            c.key, at = read_short(raw, at)
            self.contents[channel] = c
        else:
            self.take_rare(channel, id_, raw)

    def take_rare(self, channel, id_, raw):
        if id_ == CHANNEL["close"]:
            code = struct.unpack_from(">H", raw, 4)[0]
            text, _ = read_short(raw, 6)
            self.put(method(channel, 20, 41))
            self.contents.pop(channel, None)
            waiting = self.asked.pop(channel, ())
            for callback in waiting:
                callback(Answer(id_, raw, code, text))
            self.on_channel_closed(channel, code, text)
        elif id_ == CONNECTION["close"]:
            code = struct.unpack_from(">H", raw, 4)[0]
            self.closed_text = f"{code} {read_short(raw, 6)[0]}"
            self.put(method(0, 10, 51))
            self.flush()
        elif id_ == CONNECTION["close_ok"]:
            self.gone()
        elif id_ == CONNECTION["open_ok"]:
            self.is_open = True
        elif id_ == CONNECTION["blocked"]:
            self.is_blocked = True
            self.on_blocked(True)
        elif id_ == CONNECTION["unblocked"]:
            self.is_blocked = False
            self.on_blocked(False)
        elif id_ == BASIC["cancel"]:
            self.on_cancel(channel, read_short(raw, 4)[0])
        elif id_ == CHANNEL["flow"]:
            self.put(method(channel, 20, 21, raw[4:5]))

    def answer(self, channel, answer):
        waiting = self.asked[channel]
        if not waiting:
            raise ValueError(f"{self.name}: an answer {answer.id:#x} that nobody asked for")
        waiting.popleft()(answer)

    def take_header(self, channel, raw):
        c = self.contents[channel]
        c.size = struct.unpack_from(">Q", raw, 4)[0]
        c.properties = read_properties(raw[12:])
        c.parts = []
        if c.size == 0:
            self.end_content(channel)

    def end_content(self, channel):
        c = self.contents.pop(channel)
        c.body = c.parts[0] if len(c.parts) == 1 else b"".join(c.parts)
        if c.method == BASIC["deliver"]:
            self.on_deliver(channel, c)
        elif c.method == BASIC["returned"]:
            self.on_return(channel, c)
        else:
            self.answer(channel, Answer(c.method, b"", content=c))
