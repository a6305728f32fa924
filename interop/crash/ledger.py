"""What was promised, and what came of it (reliability H1).

A Message is one publish, a Place that message in one queue.  The ledger is told what was sent, confirmed, delivered and
settled, and when the broker was killed; it says at once what can be said at once, and the rest in verify().
"""

import struct
import zlib

# An acknowledgement that the broker has read is on disk so much later at the latest (P5 with R09's allowance).
DURABLE_S = 0.050
LATE_S = 1.0
EXAMPLES = 8
POOL = zlib.compress(bytes(range(256)) * 64, 9)  # replaced by fill_pool()

VERDICTS = {
    "lost": "no confirmed message is lost",
    "corrupt": "no message is damaged",
    "unexpected": "no message comes that nobody sent, or that was done with",
    "order": "messages come in the order of their publisher",
    "unflagged": "a message that comes again says so",
    "dead": "a dead letter is in exactly one queue",
    "tx": "a transaction happens as a whole or not at all",
    "definitions": "what was declared, bound or deleted with an -ok stays so",
    "acks": "an acknowledgement holds, if a publish behind it was confirmed",
    "purge": "a purge holds, if a publish behind it was confirmed",
    "slow": "what was read 50 ms before the kill holds, whatever it was",
    "ttl": "messages expire in time, and not before",
    "confirms": "every publish is answered once",
    "broker": "the broker starts, stays, and stops when told to",
}


def fill_pool(rng, size=1 << 20):
    global POOL
    POOL = rng.randbytes(size)


def make_body(publisher, sequence, size):
    """Bodies of 16 bytes and more say whose they are; all are different stretches of noise."""
    at = (publisher * 7919 + sequence * 104729) % (len(POOL) - size) if size < len(POOL) else 0
    if size < 16:
        return POOL[at:at + size]
    return struct.pack(">IQI", publisher, sequence, size) + POOL[at + 16:at + size]


def make_id(publisher, sequence, body):
    return f"{publisher}.{sequence}.{len(body)}.{zlib.crc32(body):08x}"


def read_id(text):
    """(publisher, sequence, size, crc); None: it is none of ours."""
    try:
        publisher, sequence, size, crc = text.split(".")
        return int(publisher), int(sequence), int(size), int(crc, 16)
    except (ValueError, AttributeError):
        return None


def is_whole(content, who):
    body, (publisher, sequence, size, crc) = content.body, who
    if len(body) != size or zlib.crc32(body) != crc:
        return False
    return size < 16 or struct.unpack_from(">IQI", body) == (publisher, sequence, size)


class Message:
    __slots__ = ("publisher", "sequence", "size", "sent", "confirmed", "refused", "returned", "places", "group",
                 "epoch")

    def __init__(self, publisher, sequence, size, now, epoch):
        self.publisher, self.sequence, self.size, self.sent, self.epoch = publisher, sequence, size, now, epoch
        self.confirmed = None
        self.refused = self.returned = False
        self.places = []
        self.group = None


class Place:
    __slots__ = ("message", "queue", "seen", "seen_at", "seen_epoch", "is_out", "settled", "settled_epoch", "proven",
                 "in_tx", "purged", "purged_epoch", "is_in_doubt", "dead", "source", "attempts", "drained")

    def __init__(self, message, queue):
        self.message, self.queue = message, queue
        self.seen, self.seen_at, self.seen_epoch = 0, 0.0, -1
        self.is_out = False
        self.settled = None        # "ack", "drop": it is gone; "reject": it goes to the dead letters
        self.settled_epoch, self.proven, self.in_tx = -1, None, None
        self.purged, self.purged_epoch = None, -1
        self.is_in_doubt = False   # a purge or a delete was under way when the broker was killed
        self.dead = self.source = None
        self.attempts = ()         # groups that acknowledged it in a transaction
        self.drained = 0

    def __str__(self):
        m = self.message
        return (f"{self.queue.name} {m.publisher}.{m.sequence} ({m.size} B, life {m.epoch}, "
                f"{'confirmed' if m.confirmed else 'not confirmed'}, seen {self.seen}, settled {self.settled})")


class Queue:
    """ttl_s: it expires; dead: the Queue where its dead letters go; kind: for the consumers' manners."""

    def __init__(self, name, kind="plain", ttl_s=None, dead=None, arguments=None):
        self.name, self.kind, self.ttl_s, self.dead, self.arguments = name, kind, ttl_s, dead, arguments
        self.source = None
        self.places = {}
        self.is_purging = False  # a purge was sent and is not answered: what is published now may go with it
        self.last_first = {}   # publisher: the highest sequence that was ever delivered first, in an earlier life
        self.next_first = {}   # the same, in this life
        if dead:
            dead.source = self


class Group:
    """A transaction's publishes, and the place that it acknowledged, if any."""
    __slots__ = ("places", "is_committed", "source", "epoch")

    def __init__(self, epoch, source=None):
        self.places, self.is_committed, self.source, self.epoch = [], False, source, epoch


class Ledger:
    def __init__(self, say):
        self.say = say
        self.epoch = 0
        self.ends = {}    # epoch: (time, was a clean stop)
        self.queues = {}
        self.groups = []
        self.counts = dict.fromkeys(VERDICTS, 0)
        self.checked = dict.fromkeys(VERDICTS, 0)
        self.marks = {}
        self.lost_by_queue = {}
        self.newest_confirmed = {}  # epoch: when the newest message was sent that was confirmed in it
        self.stalls = {}            # epoch: how long this machine kept a write waiting, for disk and processor
        self.examples = dict.fromkeys(VERDICTS, 0)
        self.is_draining = False
        self.drain_last = {}

    def add_queue(self, queue):
        self.queues[queue.name] = queue
        return queue

    def mark(self, what, n=1):
        self.marks[what] = self.marks.get(what, 0) + n

    def blame(self, verdict, text):
        self.counts[verdict] += 1
        if self.examples[verdict] < EXAMPLES:
            self.examples[verdict] += 1
            self.say(f"{verdict}: life {self.epoch}: {text}")

    # ---- What we did.

    def sent(self, publisher, sequence, size, now, queues, group=None):
        m = Message(publisher, sequence, size, now, self.epoch)
        m.group = group
        for q in queues:
            p = Place(m, q)
            p.is_in_doubt = q.is_purging
            m.places.append(p)
            q.places[publisher << 40 | sequence] = p
            if group:
                group.places.append(p)
        self.mark("published")
        return m

    def settled(self, p, how, in_tx=None):
        p.settled, p.settled_epoch, p.proven, p.in_tx = how, self.epoch, None, in_tx
        p.is_out = False
        self.mark(how)

    def died(self, now, is_clean):
        """The broker's life ended, nothing that comes from now on is of the one that was."""
        self.ends[self.epoch] = (now, is_clean)
        self.epoch += 1
        for q in self.queues.values():
            q.is_purging = False
            for publisher, sequence in q.next_first.items():
                q.last_first[publisher] = max(sequence, q.last_first.get(publisher, -1))
            q.next_first = {}

    def undone(self, epoch, when, verdict, text):
        """Something that the broker was known to have done at that moment of that life was undone by its end.  That is
        wrong if it was on disk for sure, because something behind it in the journal was; or if it had time enough to get
        there, and the machine was not too busy for it."""
        if epoch == self.epoch:
            self.blame(verdict, f"{text} in the same life")
            return
        ended, is_clean = self.ends[epoch]
        ago = f"{text}; it was {(ended - when) * 1000:.0f} ms old at the end of life {epoch}" if when else text
        if when is None:
            self.mark("young undone")
        elif is_clean:
            self.blame(verdict, f"{ago}, which was a clean one")
        elif when < self.newest_confirmed.get(epoch, 0):
            self.blame(verdict, f"{ago}, and what was sent {(self.newest_confirmed[epoch] - when) * 1000:.0f} ms after it "
                                "was confirmed")
        elif when < ended - DURABLE_S - self.stalls.get(epoch, 0):
            self.blame("slow", f"{ago}; for disk and processor it had to wait "
                               f"{self.stalls.get(epoch, 0) * 1000:.0f} ms at most")
        else:
            self.mark("young undone")

    def confirmed(self, m, now):
        m.confirmed = now
        if m.places and (m.places[0] is not None):
            self.newest_confirmed[self.epoch] = max(m.sent, self.newest_confirmed.get(self.epoch, 0))

    # ---- What we saw.

    def delivered(self, queue, content, now, last_of_channel):
        """The place that it is, or None if there is no such thing; last_of_channel: publisher to sequence."""
        who = read_id(content.properties.get("message_id"))
        if who is None:
            self.blame("corrupt" if "message_id" in content.properties else "unexpected",
                       f"{queue.name}: a message with {content.properties}")
            return None
        publisher, sequence = who[:2]
        p = queue.places.get(publisher << 40 | sequence)
        if p is None and queue.source:
            p = self.dead_place(queue, publisher << 40 | sequence)
        self.checked["unexpected"] += 1
        if p is None:
            self.blame("unexpected", f"{queue.name}: {content.properties['message_id']} was not sent there, or was "
                                     "done with long ago")
            return None
        self.checked["corrupt"] += 1
        if p.message.size != who[2] or not is_whole(content, who):
            self.blame("corrupt", f"{p}: came with {len(content.body)} bytes")
        if content.properties.get("delivery_mode") != 2:
            self.blame("corrupt", f"{p}: it is not persistent any more: {content.properties}")
        self.check_return(p, now)
        if queue.source:
            self.check_dead(p, content, now)
        else:
            self.check_order(p, content, last_of_channel)
            if p.dead:
                self.check_not_dead(p)
        self.checked["unflagged"] += p.seen > 0
        if p.seen > 0 and not content.redelivered:
            if queue.source and p.seen_epoch != self.epoch:
                self.undone(p.seen_epoch, p.seen_at, "dead", f"{p}: died once more")
            else:
                self.blame("unflagged", f"{p}: comes again and does not say so; {self.last_seen(p)}")
        if queue.ttl_s and p.message.confirmed and not content.redelivered:
            self.checked["ttl"] += 1
            if now > p.message.confirmed + queue.ttl_s + LATE_S:
                self.blame("ttl", f"{p}: delivered {now - p.message.confirmed:.3f} s after its confirm, may stay "
                                  f"{queue.ttl_s} s")
        p.seen += 1
        p.seen_at, p.seen_epoch, p.is_out = now, self.epoch, True
        p.drained += self.is_draining
        self.mark("delivered")
        if content.redelivered:
            self.mark("redelivered")
        return p

    def delivered_late(self, queue, content, now):
        """On a channel that is being closed: given back meanwhile, and perhaps seen on another connection before this.
        So nothing can be said of it, but that it is one of ours and was seen."""
        who = read_id(content.properties.get("message_id"))
        p = who and queue.places.get(who[0] << 40 | who[1])
        if who and not is_whole(content, who):
            self.blame("corrupt", f"{queue.name}: {who} came with {len(content.body)} bytes")
        if p and not p.seen:
            p.seen, p.seen_at, p.seen_epoch = 1, now, self.epoch

    def last_seen(self, p):
        if p.seen_epoch not in self.ends:
            return "last seen in this life"
        ended, is_clean = self.ends[p.seen_epoch]
        return (f"last seen {(ended - p.seen_at) * 1000:.1f} ms before the {'end' if is_clean else 'kill'} of life "
                f"{p.seen_epoch}")

    def check_return(self, p, now):
        """Nothing comes back that was settled, unless its settling was lost with the broker."""
        if p.purged is not None:
            self.undone(p.purged_epoch, p.purged, "purge", f"{p}: was purged, and is back")
            p.purged = None
        if p.settled is None:
            return
        if p.settled_epoch == self.epoch:
            self.blame("unexpected", f"{p}: comes again in the same life, after {p.settled}")
        elif p.in_tx:
            if p.in_tx.is_committed:
                self.blame("tx", f"{p}: was acknowledged in a transaction that was committed, and is back")
        else:
            self.undone(p.settled_epoch, p.proven, "acks", f"{p}: is back")
        p.settled = None

    def dead_place(self, queue, key):
        s = queue.source.places.get(key)
        if s is None:
            return None
        if s.dead is None:
            s.dead = Place(s.message, queue)
            s.dead.source = s
            queue.places[key] = s.dead
        return s.dead

    def check_dead(self, p, content, now):
        s, source = p.source, p.queue.source
        self.checked["dead"] += 1
        if s.is_out and s.seen_epoch == self.epoch:
            self.blame("dead", f"{s}: is here, and as a dead letter too")
        if s.settled == "ack":
            self.check_return(s, now)
        deaths = content.properties.get("headers", {}).get("x-death") or [{}]
        death = deaths[0]
        wanted = "expired" if source.ttl_s else "rejected"
        if len(deaths) != 1 or death.get("queue") != source.name or death.get("reason") != wanted or \
                death.get("count") != 1:
            self.blame("dead", f"{p}: x-death is {deaths}")
        if source.ttl_s:
            self.checked["ttl"] += 1
            if now < p.message.sent + source.ttl_s - 0.002:
                self.blame("ttl", f"{p}: expired {now - p.message.sent:.3f} s after it was sent, may stay "
                                  f"{source.ttl_s} s")
        self.mark(f"dead letter {wanted}")

    def check_not_dead(self, p):
        d = p.dead
        if d.seen == 0:
            return
        self.undone(d.seen_epoch, d.seen_at, "dead", f"{p}: its death was undone, and the dead letter had come")
        d.seen, d.settled, d.is_out = 0, None, False

    def check_order(self, p, content, last_of_channel):
        publisher, sequence = p.message.publisher, p.message.sequence
        if self.is_draining:
            last = self.drain_last.setdefault((p.queue.name, publisher), -1)
            self.checked["order"] += 1
            if sequence <= last:
                self.blame("order", f"{p}: comes after {publisher}.{last} when all is drained")
            self.drain_last[p.queue.name, publisher] = sequence
        if content.redelivered or p.seen:
            return
        self.checked["order"] += 1
        if sequence <= last_of_channel.get(publisher, -1):
            self.blame("order", f"{p}: comes after {publisher}.{last_of_channel[publisher]}")
        elif sequence <= p.queue.last_first.get(publisher, -1):
            self.blame("order", f"{p}: is new, but {publisher}.{p.queue.last_first[publisher]} came in an earlier life")
        last_of_channel[publisher] = max(sequence, last_of_channel.get(publisher, -1))
        p.queue.next_first[publisher] = max(sequence, p.queue.next_first.get(publisher, -1))

    # ---- What became of it.

    def verify(self, queues):
        """All of these queues were drained just now."""
        for q in queues:
            if q.source or q.kind == "tx":
                continue
            for p in q.places.values():
                self.verify_place(p)
        self.verify_groups()

    def verify_place(self, p):
        m = p.message
        if not m.confirmed or p.attempts:
            return
        self.checked["lost"] += 1
        if p.settled in ("ack", "drop") or (p.dead and p.dead.settled):
            return
        if p.purged is not None or p.is_in_doubt or (p.queue.ttl_s and not p.queue.dead):
            return
        self.blame("lost", str(p))
        self.lost_by_queue[p.queue.name] = self.lost_by_queue.get(p.queue.name, 0) + 1

    def verify_groups(self):
        for g in self.groups:
            here = sum(p.seen > 0 for p in g.places)
            self.checked["tx"] += 1
            if here not in (0, len(g.places)):
                self.blame("tx", f"a transaction of life {g.epoch} happened to {here} of {len(g.places)} places, "
                                 f"{'committed' if g.is_committed else 'not answered'}: {g.places[0]}")
            elif g.is_committed and here == 0:
                self.blame("lost", f"a committed transaction of life {g.epoch}: {g.places[0]} and its "
                                   f"{len(g.places)} places")
        for p in {id(g.source): g.source for g in self.groups if g.source}.values():
            done = sum(g.places[0].seen > 0 for g in p.attempts)
            self.checked["tx"] += 1
            if done > 1 or (done == 1 and p.drained):
                self.blame("tx", f"{p}: its transfer happened {done} times, and it was there {p.drained} times")
            elif done == 0 and not p.drained and p.message.confirmed:
                self.blame("lost", f"{p}: acknowledged in a transaction that did not happen")

    def forget(self, queues):
        """These are empty, for good: nothing of theirs may come any more."""
        for q in queues:
            q.places.clear()
        self.groups = []
