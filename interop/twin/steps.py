"""Sequences of what clients do, by seed.  A step is (connection, channel, operation, arguments); none needs another one,
so that any of them may be left out when a sequence is made shorter.
"""

import random
import struct

from amqp import bits, content, method, table
from wire import long, short

QUEUES = ["tq0", "tq1", "tq2", "tq3"]
EXCHANGES = ["tx0", "tx1", "tx2"]
SYSTEM = ["amq.direct", "amq.topic", "amq.fanout", "amq.headers"]
TYPES = ["direct", "fanout", "topic", "headers"]
KEYS = ["a", "a.b", "a.b.c", "b", "", "a.", "tq0", "tq1"]
PATTERNS = [*KEYS, "#", "*", "a.#", "*.b", "#.c", "*.*", "a.*"]
TAGS = ["c0", "c1", "c2"]
FOREVER = 600000
TICKET = b"\0\0"

# What a sequence is about: the operations and their weights.
PLANS = {
    "topology": {"exchange_declare": 8, "exchange_delete": 4, "exchange_bind": 6, "exchange_unbind": 4,
                 "queue_declare": 8, "queue_delete": 4, "queue_bind": 8, "queue_unbind": 5, "publish": 8, "get": 3,
                 "consume": 2, "cancel": 2, "channel_close": 1, "purge": 1},
    "work": {"queue_declare": 5, "publish": 14, "get": 4, "consume": 6, "cancel": 3, "qos": 4, "ack": 8, "nack": 6,
             "reject": 4, "recover": 2, "recover_async": 1, "channel_close": 2, "purge": 1, "queue_delete": 1,
             "connection_close": 1, "connection_drop": 1},
    "dead": {"queue_declare": 8, "exchange_declare": 2, "queue_bind": 4, "publish": 14, "get": 8, "consume": 3,
             "cancel": 2, "nack": 6, "reject": 5, "ack": 2, "qos": 1, "purge": 1, "queue_delete": 1, "wait": 1,
             "channel_close": 1},
    "tx": {"queue_bind": 1, "tx_select": 4, "tx_commit": 7, "tx_rollback": 4, "publish": 12, "get": 5,
           "consume": 2, "cancel": 1, "ack": 6, "nack": 4, "reject": 3, "recover": 1, "channel_close": 1,
           "confirm_select": 1, "queue_delete": 1, "qos": 1},
    "confirm": {"queue_declare": 5, "exchange_declare": 1, "queue_bind": 3, "confirm_select": 5, "publish": 16, "get": 3,
                "consume": 3, "ack": 3, "nack": 3, "tx_select": 1, "queue_delete": 2, "purge": 1, "channel_close": 1},
    "errors": {"queue_declare": 10, "exchange_declare": 8, "queue_bind": 4, "exchange_bind": 4, "publish": 8, "get": 3,
               "consume": 5, "cancel": 1, "qos": 2, "ack": 3, "nack": 1, "reject": 1, "recover": 1, "queue_delete": 3,
               "exchange_delete": 3, "purge": 2, "update_secret": 1, "flow_off": 1, "channel_open": 1,
               "tx_commit": 1, "tx_rollback": 1, "exchange_unbind": 2, "queue_unbind": 2},
    "burst": {"exchange_declare": 2, "exchange_bind": 2, "queue_bind": 6, "queue_unbind": 2, "publish": 16, "get": 10,
              "ack": 5, "nack": 5, "reject": 3, "purge": 2, "queue_delete": 1, "qos": 1, "recover": 1, "confirm_select": 1,
              "exchange_delete": 1},
    "crowd": {"queue_declare": 1, "publish": 20, "consume": 12, "cancel": 4, "qos": 4, "ack": 14, "nack": 6, "reject": 3,
              "get": 1, "channel_close": 2, "recover": 1, "connection_drop": 1, "purge": 1},
    "quorum": {"queue_declare": 2, "queue_bind": 2, "publish": 16, "get": 6, "consume": 5, "cancel": 2, "ack": 6,
               "nack": 8, "reject": 5, "recover": 1, "channel_close": 1, "purge": 1, "queue_delete": 1, "qos": 1,
               "confirm_select": 1, "connection_drop": 1},
    "stream": {"queue_declare": 2, "queue_bind": 2, "publish": 16, "get": 1, "consume": 8, "cancel": 3, "ack": 10,
               "recover": 1, "channel_close": 1, "purge": 1, "queue_delete": 1, "qos": 3, "confirm_select": 1,
               "connection_drop": 1},
}


class Maker:
    """Makes the steps of one seed."""

    def __init__(self, seed, plan=None):
        self.r = random.Random(seed)
        self.plan = plan or self.r.choice(sorted(PLANS))
        self.is_bad = self.plan == "errors"
        # Where RabbitMQ looks for overdue messages depends on their priorities.
        self.has_priorities = self.chance(0.4)
        self.soon = ["0", str(FOREVER)] if self.plan == "burst" else ["0", "1", "1", str(FOREVER)]

    def one(self, *values):
        return self.r.choice(values)

    def chance(self, p):
        return self.r.random() < p

    def steps(self):
        length = self.r.randrange(8, 45)
        connections = self.one(1, 1, 2)
        names, weights = zip(*PLANS[self.plan].items())
        out = []
        if not self.chance(0.1) or self.plan == "burst":
            out += self.beginning()
        place = (0, 1)
        for n in range(length):
            op = self.r.choices(names, weights)[0]
            if self.plan != "burst" or not out[-1][3].get("and_then"):
                place = (self.r.randrange(connections), self.one(1, 1, 2))
            out.append((*place, op, getattr(self, op)()))
            if self.plan == "burst" and n < length - 1 and self.chance(0.75) and op != "queue_delete":
                out[-1][3]["and_then"] = True
        return out

    def beginning(self):
        """What most others need."""
        out = []
        for x in self.r.sample(EXCHANGES, self.r.randrange(4)):
            out.append(("exchange_declare", {**self.exchange_declare(), "exchange": x, "passive": False}))
        for q in self.r.sample(QUEUES, self.one(2, 3, 4)):
            out.append(("queue_declare", {**self.queue_declare(), "queue": q, "passive": False}))
        for _ in range(self.one(0, 2, 4)):
            out.append(("queue_bind", {**self.queue_bind(), "queue": self.r.choice(QUEUES),
                                       "exchange": self.r.choice(EXCHANGES + SYSTEM)}))
        if self.plan == "stream":
            out.append(("qos", {"size": 0, "count": 10, "global": False}))
        if self.plan == "tx":
            out.append(("tx_select", {}))
        if self.plan == "confirm":
            out.append(("confirm_select", {"nowait": False}))
        return [(0, 1, *step) for step in out]

    # ---- Pieces.

    def queue(self):
        if self.plan in ("crowd", "burst"):
            return self.r.choice(QUEUES[:2])
        return self.r.choice(QUEUES) if not self.chance(0.06) else self.one("", "nosuch", "tq0\n")

    def exchange(self):
        if self.chance(0.25):
            return self.r.choice(SYSTEM)
        return self.r.choice(EXCHANGES) if not self.chance(0.05) else self.one("", "nosuch", "amq.new", "tx0\r")

    def number(self, v):
        """As one of the integer types that hold it."""
        letters = "lI" if abs(v) > 30000 else "bsIl" if abs(v) < 100 else "sIl"
        if abs(v) > 2 ** 31 - 1:
            letters = "l"
        return self.r.choice(letters), v

    def any_value(self, depth=0):
        letter = self.r.choice("tbBsuIilfdDSATFVx" if depth < 2 else "tBsIlS")
        if letter == "A":
            return letter, [self.any_value(depth + 1) for _ in range(self.r.randrange(3))]
        if letter == "F":
            return letter, [(k, self.any_value(depth + 1)) for k in self.r.sample(["k", "", "z", "x-a"], 2)]
        return letter, {"t": True, "b": -5, "B": 200, "s": -300, "u": 60000, "I": -70000, "i": 4000000000,
                        "l": -5000000000, "f": 0.5, "d": -0.25, "D": (2, 314), "S": self.one("", "abc", "ä"),
                        "T": 1700000000, "V": None, "x": b"\x01\x02"}[letter]

    def keys_of_header(self):
        entries = [("S", self.r.choice(KEYS + QUEUES)) for _ in range(self.r.randrange(3))]
        if self.chance(0.1):
            entries.append(self.any_value(2))
        return "A", entries

    # ---- Declarations.

    def limits(self):
        out = []
        if self.chance(0.35):
            out.append(("x-max-length", self.number(self.one(0, 1, 2, 3))))
        if self.chance(0.15):
            out.append(("x-max-length-bytes", self.number(self.one(0, 1, 5, 10))))
        if out and self.chance(0.6) or self.chance(0.05):
            out.append(("x-overflow", ("S", self.one("drop-head", "reject-publish", "reject-publish-dlx"))))
        return out

    def dead_letters(self):
        out = [("x-dead-letter-exchange", ("S", self.one("", "", "tx0", "tx1", "amq.fanout", "amq.direct")))]
        if self.chance(0.5):
            out.append(("x-dead-letter-routing-key", ("S", self.one("tq0", "tq1", "tq2", "tq3", "a", "nosuch"))))
        return out

    def bad_argument(self):
        key = self.one("x-max-length", "x-max-length-bytes", "x-message-ttl", "x-expires", "x-max-priority", "x-overflow",
                       "x-dead-letter-exchange", "x-dead-letter-routing-key", "x-single-active-consumer",
                       "x-foo", "x-max-age", "x-queue-version", "x-stream-offset", "x-max-in-memory-length",
                       "x-quorum-initial-group-size")
        v = self.one(self.any_value(1), ("l", -1), ("l", 0), ("l", 256), ("l", 315360000001), ("S", "nonsense"), ("t", True))
        return key, v

    def typed_arguments(self):
        """Those of quorum queues, or streams, that mean the same in both brokers."""
        out = [("x-queue-type", ("S", self.plan))]
        if self.plan == "stream":
            if self.chance(0.2):
                out.append(self.one(("x-max-age", ("S", "1D")), ("x-max-length-bytes", ("l", 100000)), ("x-expires", ("l", 5)),
                                    ("x-max-length", ("l", 5)), ("x-single-active-consumer", ("t", True))))
            return out
        out.append(("x-delivery-limit", self.number(self.one(0, 1, 2, 5))))
        if self.chance(0.3):
            out += [("x-max-length", self.number(self.one(1, 2, 3)))]
        if self.chance(0.5):
            out += self.dead_letters()
        if self.chance(0.1):
            out.append(("x-single-active-consumer", ("t", True)))
        return out

    def queue_arguments(self):
        out = []
        if self.plan in ("quorum", "stream"):
            return self.typed_arguments()
        dead = self.plan == "dead"
        if self.chance(0.5 if dead else 0.2):
            out += self.limits()
        if self.plan == "crowd":
            return [("x-single-active-consumer", ("t", True))] if self.chance(0.2) else []
        if self.chance(0.7 if dead else 0.15):
            out += self.dead_letters()
        if self.chance(0.25 if dead else 0.06):
            out.append(("x-message-ttl", self.number(FOREVER if self.has_priorities else int(self.r.choice(self.soon)))))
        if self.chance(0.3) and self.has_priorities:
            out.append(("x-max-priority", self.number(self.one(1, 2, 5, 10))))
        if self.chance(0.1):
            out.append(("x-single-active-consumer", ("t", self.chance(0.8))))
        if self.chance(0.05):
            out.append(("x-queue-mode", ("S", self.one("lazy", "default"))))
        if self.chance(0.05):
            out.append(("x-expires", self.number(FOREVER)))
        if self.chance(0.05):
            out.append(("x-foo", self.any_value()))
        if self.is_bad and self.chance(0.5):
            out.append(self.bad_argument())
        self.r.shuffle(out)
        return out

    def queue_declare(self):
        a = {"queue": self.queue(), "passive": self.chance(0.06), "durable": self.chance(0.4), "exclusive": self.chance(0.08),
             "auto_delete": self.chance(0.12), "nowait": self.chance(0.08), "arguments": self.queue_arguments()}
        if self.plan in ("quorum", "stream"):
            rare = self.chance(0.03)
            a.update(durable=not rare or self.chance(0.5), exclusive=rare, auto_delete=rare and self.chance(0.5))
        if a["queue"] == "nosuch" and not a["passive"]:
            a["queue"] = ""
        if self.is_bad and self.chance(0.1):
            a["queue"] = self.one("amq.mine", "amq.gen-x", "", "x" * 255, "ä")
        return a

    def exchange_declare(self):
        arguments = []
        if self.chance(0.3):
            arguments.append(("alternate-exchange", ("S", self.one(*EXCHANGES, "amq.fanout", "nosuch"))))
        if self.chance(0.1):
            arguments.append(("x-foo", self.any_value()))
        if self.is_bad and self.chance(0.2):
            arguments.append(("alternate-exchange", self.any_value(1)))
        is_passive = self.chance(0.08)
        x = self.exchange()
        return {"exchange": self.r.choice(EXCHANGES) if x == "nosuch" and not is_passive else x,
                "type": self.r.choice(TYPES), "passive": is_passive, "durable": self.chance(0.4), "auto_delete": self.chance(0.2),
                "internal": self.chance(0.12), "nowait": self.chance(0.08), "arguments": arguments}

    def exchange_delete(self):
        return {"exchange": self.exchange(), "if_unused": self.chance(0.4), "nowait": self.chance(0.1)}

    def binding_arguments(self):
        if self.chance(0.55):
            return []
        out = [(k, self.one(("S", "1"), ("l", 1), ("B", 1), ("t", True), ("V", None), ("d", 1.0)))
               for k in self.r.sample(["h", "g", "x-h"], self.r.randrange(3))]
        if self.chance(0.6):
            out.append(("x-match", ("S", self.one("all", "any", "all-with-x", "any-with-x"))))
        elif self.is_bad:
            out.append(("x-match", self.one(("S", "some"), ("l", 1), ("t", True))))
        return out

    def exchange_bind(self):
        destination = self.exchange()
        source = self.r.choice(EXCHANGES) if destination in SYSTEM else self.exchange()  # which nobody would unbind
        return {"destination": destination, "source": source, "key": self.r.choice(PATTERNS),
                "nowait": self.chance(0.06), "arguments": self.binding_arguments()}

    exchange_unbind = exchange_bind

    def queue_bind(self):
        return {"queue": self.queue(), "exchange": self.exchange(), "key": self.r.choice(PATTERNS),
                "nowait": self.chance(0.06), "arguments": self.binding_arguments()}

    def queue_unbind(self):
        return {**self.queue_bind(), "nowait": False}

    def queue_delete(self):
        may_ask = self.plan not in ("quorum", "stream")
        return {"queue": self.queue(), "if_unused": may_ask and self.chance(0.25), "if_empty": may_ask and self.chance(0.25),
                "nowait": self.chance(0.08)}

    def purge(self):
        return {"queue": self.queue(), "nowait": self.chance(0.1)}

    # ---- Messages.

    def headers(self):
        out = []
        if self.chance(0.3):
            out.append(("CC", self.keys_of_header()))
        if self.chance(0.2):
            out.append(("BCC", self.keys_of_header()))
        for k in self.r.sample(["h", "g", "x-h", "any"], self.r.randrange(3)):
            out.append((k, self.any_value() if k == "any" else self.one(("S", "1"), ("l", 1), ("B", 1), ("t", True))))
        if self.is_bad and self.chance(0.2):
            out.append((self.one("CC", "BCC"), self.any_value(2)))
        self.r.shuffle(out)
        return out

    def properties(self):
        out = {}
        if self.chance(0.5):
            out["delivery_mode"] = self.one(1, 2)
        if self.chance(0.35):
            out["headers"] = self.headers()
        if self.chance(0.25):
            out["priority"] = self.one(0, 1, 2, 3, 9, 255)
        if self.chance(0.2 if self.plan == "dead" else 0.05):
            out["expiration"] = str(FOREVER) if self.has_priorities else self.r.choice(self.soon)
        if self.chance(0.3 if self.is_bad else 0.02):
            out["expiration"] = self.one("", "abc", "-1", "1.5", " 10", "10 ", "+600000", "0600000", "99999999999999999999",
                                         "315360000001", "-0", "1e3", "0x10", "+", "--1", "+-1")
        elif not self.is_bad and self.chance(0.05):  # which of two errors comes first differs
            out["user_id"] = self.one("guest", "guest", "other", "")
        for name in ("content_type", "content_encoding", "correlation_id", "message_id", "type", "app_id", "cluster_id",
                     "reply_to"):
            if self.chance(0.06):
                out[name] = self.one("", "x", "ä" * 20)
        if self.chance(0.05):
            out["timestamp"] = self.one(0, 1700000000, 2 ** 63)
        return out

    def publish(self):
        exchange = "" if self.chance(0.95 if self.plan == "crowd" else 0.55) else self.exchange()
        key = self.r.choice(QUEUES) if exchange == "" and self.chance(0.93) else self.r.choice(KEYS)
        return {"exchange": exchange, "key": key, "mandatory": self.chance(0.25), "immediate": self.chance(0.004),
                "properties": self.properties(), "body": bytes(self.r.choice(b"abc") for _ in range(self.one(0, 1, 3, 6)))}

    def get(self):
        return {"queue": self.queue(), "no_ack": self.chance(0.3)}

    def consume(self):
        arguments = []
        if self.chance(0.15):
            arguments.append(("x-priority", self.number(self.one(-1, 0, 1, 5))))
        if self.is_bad and self.chance(0.2):
            arguments.append(self.one(("x-priority", ("S", "1")), ("x-stream-offset", ("S", "first")), ("x-foo", ("t", True)),
                                      ("x-priority", ("V", None)), ("x-priority", ("d", 1.0))))
        if self.plan == "stream" and self.chance(0.8):
            arguments.append(("x-stream-offset", self.one(
                ("S", "first"), ("S", "first"), ("S", "next"), ("l", 0), ("I", 1), ("s", 2), ("l", 50), ("S", "1h"), ("S", "5"),
                ("S", "last"), ("T", 1000))))
        if self.plan in ("quorum", "stream"):
            return {"queue": self.queue(), "tag": self.r.choice(TAGS), "no_local": False,
                    "no_ack": self.plan == "quorum" and self.chance(0.3), "exclusive": False, "nowait": False,
                    "arguments": arguments}
        return {"queue": self.queue(), "tag": self.r.choice(TAGS) if not self.chance(0.1) else "", "no_local": self.chance(0.1),
                "no_ack": self.chance(0.3), "exclusive": self.chance(0.1), "nowait": self.chance(0.06),
                "arguments": arguments}

    def cancel(self):
        return {"tag": self.r.choice(TAGS), "nowait": self.chance(0.1)}

    def qos(self):
        may_share = self.plan not in ("quorum", "stream")
        return {"size": 1 if self.chance(0.02) else 0, "count": self.one(0, 1, 1, 2, 3),
                "global": may_share and self.chance(0.4)}

    def which(self):
        """A delivery that is open, by its number among those; or something that is none."""
        return self.one(0, 0, 0, 0, 1, 1, 2, 3) if not self.chance(0.05) else self.one("zero", "beyond", "done")

    def ack(self):
        is_multiple = self.chance(0.3)
        return {"which": "zero" if is_multiple and self.chance(0.2) else self.which(), "multiple": is_multiple}

    def nack(self):
        return {**self.ack(), "requeue": self.chance(0.5)}

    def reject(self):
        return {"which": self.which(), "requeue": self.chance(0.5)}

    def recover(self):
        return {"requeue": not self.chance(0.05)}

    recover_async = recover

    # ---- Channels and connections.

    def confirm_select(self):
        return {"nowait": self.chance(0.2)}

    def nothing(self):
        return {}

    tx_select = tx_commit = tx_rollback = channel_close = channel_open = connection_close = connection_drop = nothing
    update_secret = flow_off = nothing

    def wait(self):
        return {"ms": 30}


# ---- Steps as octets.

def encode(step, tag):
    """tag: the delivery tag, if the step has one."""
    _, h, op, a = step
    t = table(a.get("arguments", []))
    one = {
        "exchange_declare": lambda: method(h, 40, 10, TICKET, short(a["exchange"]), short(a["type"]), bits(
            a["passive"], a["durable"], a["auto_delete"], a["internal"], a["nowait"]), t),
        "exchange_delete": lambda: method(h, 40, 20, TICKET, short(a["exchange"]), bits(a["if_unused"], a["nowait"])),
        "exchange_bind": lambda: method(h, 40, 30, TICKET, short(a["destination"]), short(a["source"]), short(a["key"]),
                                        bits(a["nowait"]), t),
        "exchange_unbind": lambda: method(h, 40, 40, TICKET, short(a["destination"]), short(a["source"]),
                                          short(a["key"]), bits(a["nowait"]), t),
        "queue_declare": lambda: method(h, 50, 10, TICKET, short(a["queue"]), bits(
            a["passive"], a["durable"], a["exclusive"], a["auto_delete"], a["nowait"]), t),
        "queue_bind": lambda: method(h, 50, 20, TICKET, short(a["queue"]), short(a["exchange"]), short(a["key"]),
                                     bits(a["nowait"]), t),
        "queue_unbind": lambda: method(h, 50, 50, TICKET, short(a["queue"]), short(a["exchange"]), short(a["key"]), t),
        "purge": lambda: method(h, 50, 30, TICKET, short(a["queue"]), bits(a["nowait"])),
        "queue_delete": lambda: method(h, 50, 40, TICKET, short(a["queue"]),
                                       bits(a["if_unused"], a["if_empty"], a["nowait"])),
        "qos": lambda: method(h, 60, 10, struct.pack(">IH", a["size"], a["count"]), bits(a["global"])),
        "consume": lambda: method(h, 60, 20, TICKET, short(a["queue"]), short(a["tag"]), bits(
            a["no_local"], a["no_ack"], a["exclusive"], a["nowait"]), t),
        "cancel": lambda: method(h, 60, 30, short(a["tag"]), bits(a["nowait"])),
        "publish": lambda: method(h, 60, 40, TICKET, short(a["exchange"]), short(a["key"]), bits(
            a["mandatory"], a["immediate"])) + content(h, a["properties"], a["body"]),
        "get": lambda: method(h, 60, 70, TICKET, short(a["queue"]), bits(a["no_ack"])),
        "ack": lambda: method(h, 60, 80, struct.pack(">Q", tag), bits(a["multiple"])),
        "nack": lambda: method(h, 60, 120, struct.pack(">Q", tag), bits(a["multiple"], a["requeue"])),
        "reject": lambda: method(h, 60, 90, struct.pack(">Q", tag), bits(a["requeue"])),
        "recover": lambda: method(h, 60, 110, bits(a["requeue"])),
        "recover_async": lambda: method(h, 60, 100, bits(a["requeue"])),
        "confirm_select": lambda: method(h, 85, 10, bits(a["nowait"])),
        "tx_select": lambda: method(h, 90, 10), "tx_commit": lambda: method(h, 90, 20),
        "tx_rollback": lambda: method(h, 90, 30),
        "channel_close": lambda: method(h, 20, 40, struct.pack(">H", 200), short("bye"), b"\0\0\0\0"),
        "channel_open": lambda: method(h, 20, 10, short("")),
        "flow_off": lambda: method(h, 20, 20, bits(False)),
        "connection_close": lambda: method(0, 10, 50, struct.pack(">H", 200), short("bye"), b"\0\0\0\0"),
        "update_secret": lambda: method(0, 10, 70, long("new"), short("why")),
    }
    return one[op]()
