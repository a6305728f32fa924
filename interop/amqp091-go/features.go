package main

import (
	"bytes"
	"crypto/sha256"
	"math/rand"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var features = []scenario{
	{"dead-letter-reject", deadLetterReject}, {"dead-letter-count", deadLetterCount}, {"ttl-queue", ttlQueue},
	{"ttl-message", ttlMessage}, {"max-length", maxLength}, {"queue-expires", queueExpires},
	{"exclusive-queue", exclusiveQueue}, {"auto-delete", autoDelete}, {"purge-delete", purgeDelete},
	{"exclusive-consumer", exclusiveConsumer}, {"channel-error-recovery", channelErrorRecovery},
	{"many-channels", manyChannels}, {"large-bodies", largeBodies}, {"heartbeat", heartbeat},
}

func deadLetterReject(t *test) {
	ch := t.channel()
	x, dlx, dead := t.exchange(ch, "direct"), t.exchange(ch, "fanout"), t.queue(ch)
	t.bind(ch, dead, dlx, "", nil)
	q := t.queueWith(ch, amqp.Table{"x-dead-letter-exchange": dlx})
	t.bind(ch, q, x, "key", nil)
	t.publishing(ch, x, "key", amqp.Publishing{Body: []byte("dies"), MessageId: "id", Headers: amqp.Table{"mine": "kept"}})
	t.ok(t.get(ch, q, false, "dies").Reject(false), "reject")
	d := t.getSoon(ch, dead, "dies")
	t.check(d.Exchange == dlx && d.RoutingKey == "key", "from %q by %q", d.Exchange, d.RoutingKey)
	t.check(d.MessageId == "id" && d.Headers["mine"] == "kept", "id %q, headers %v", d.MessageId, d.Headers)
	t.died(t.death(d, 0, 1), 1, "rejected", q, x, "key")
	t.firstDeath(d, "rejected", q, x)
	t.empty(ch, q)
	t.empty(ch, dead)
}

func deadLetterCount(t *test) {
	ch := t.channel()
	work, retry := t.queueName(), t.queueName()
	for name, args := range map[string]amqp.Table{
		work:  {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": retry},
		retry: {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": work, "x-message-ttl": int32(20)},
	} {
		_, err := ch.QueueDeclare(name, false, false, false, false, args)
		t.ok(err, "queue.declare")
	}
	deliveries := t.consume(ch, work, "", false)
	t.publish(ch, "", work, "again")
	t.ok(t.nextIs(deliveries, "again", false).Reject(false), "reject")
	d := t.nextIs(deliveries, "again", false)
	t.died(t.death(d, 0, 2), 1, "expired", retry, "", retry)
	t.died(t.death(d, 1, 2), 1, "rejected", work, "", work)
	t.ok(d.Reject(false), "reject")
	d = t.nextIs(deliveries, "again", false)
	t.died(t.death(d, 0, 2), 2, "expired", retry, "", retry)
	t.died(t.death(d, 1, 2), 2, "rejected", work, "", work)
	t.firstDeath(d, "rejected", work, "")
	t.ok(d.Ack(false), "ack")
}

func (t *test) queueDyingInto(ch *amqp.Channel, dead string, args amqp.Table) string {
	args["x-dead-letter-exchange"] = ""
	args["x-dead-letter-routing-key"] = dead
	return t.queueWith(ch, args)
}

func ttlQueue(t *test) {
	ch := t.channel()
	dead := t.queue(ch)
	q := t.queueDyingInto(ch, dead, amqp.Table{"x-message-ttl": int32(50)})
	t.publish(ch, "", q, "expires")
	d := t.getSoon(ch, dead, "expires")
	e := t.death(d, 0, 1)
	t.died(e, 1, "expired", q, "", q)
	_, has := e["original-expiration"]
	t.check(!has, "original-expiration is %v", e["original-expiration"])
	t.check(d.Exchange == "" && d.RoutingKey == dead, "from %q by %q", d.Exchange, d.RoutingKey)
	t.empty(ch, q)
}

func ttlMessage(t *test) {
	ch := t.channel()
	dead := t.queue(ch)
	q := t.queueDyingInto(ch, dead, amqp.Table{})
	t.publishing(ch, "", q, amqp.Publishing{Body: []byte("expires"), Expiration: "50"})
	d := t.getSoon(ch, dead, "expires")
	e := t.death(d, 0, 1)
	t.died(e, 1, "expired", q, "", q)
	t.check(e["original-expiration"] == "50", "original-expiration is %v", e["original-expiration"])
	t.check(d.Expiration == "", "the expiration is still %q", d.Expiration)
	t.firstDeath(d, "expired", q, "")
	t.empty(ch, q)
}

func maxLength(t *test) {
	ch := t.channel()
	dead := t.queue(ch)
	q := t.queueDyingInto(ch, dead, amqp.Table{"x-max-length": int32(3)})
	t.publishMany(ch, q, 5)
	for i := 0; i < 2; i++ {
		d := t.getSoon(ch, dead, body(i))
		t.died(t.death(d, 0, 1), 1, "maxlen", q, "", q)
	}
	t.ready(ch, q, 3)
	for i := 2; i < 5; i++ {
		t.get(ch, q, true, body(i))
	}
	t.empty(ch, q)
	t.empty(ch, dead)
}

// A passive declare starts x-expires anew, so it must not be asked more often than that.
func queueExpires(t *test) {
	conn := t.connect()
	q := t.queueWith(t.channelOn(conn), amqp.Table{"x-expires": int32(200)})
	ask := time.NewTicker(400 * time.Millisecond)
	defer ask.Stop()
	end := time.Now().Add(waitLimit)
	for there := true; there; {
		t.check(time.Now().Before(end), "the queue does not expire")
		<-ask.C
		there = t.exists(conn, q)
	}
	t.alive(conn)
}

func exclusiveQueue(t *test) {
	owner, other := t.connect(), t.connect()
	q := t.queueName()
	_, err := t.channelOn(owner).QueueDeclare(q, false, false, true, false, nil)
	t.ok(err, "queue.declare")
	_, err = t.channelOn(other).QueueDeclarePassive(q, false, false, false, false, nil)
	t.refused(err, amqp.ResourceLocked, q)
	t.ok(owner.Close(), "close the connection")
	t.gone(other, q)
}

func autoDelete(t *test) {
	conn := t.connect()
	ch := t.channelOn(conn)
	q := t.queueName()
	_, err := ch.QueueDeclare(q, false, true, false, false, nil)
	t.ok(err, "queue.declare")
	t.consume(ch, q, "one", true)
	t.consume(ch, q, "two", true)
	t.ok(ch.Cancel("one", false), "cancel")
	_, consumers := t.counts(ch, q)
	t.check(consumers == 1, "%d consumers, not 1", consumers)
	t.ok(ch.Cancel("two", false), "cancel")
	t.poll("the queue is gone", func() bool { return !t.exists(conn, q) })
}

func purgeDelete(t *test) {
	conn := t.connect()
	ch := t.channelOn(conn)
	q := t.queue(ch)
	t.publishMany(ch, q, 3)
	n, err := ch.QueuePurge(q, false)
	t.ok(err, "purge")
	t.check(n == 3, "purge counts %d, not 3", n)
	t.empty(ch, q)
	t.publishMany(ch, q, 2)
	t.poll("two messages are ready", func() bool {
		ready, _ := t.counts(ch, q)
		return ready == 2
	})
	doomed := t.channelOn(conn)
	_, err = doomed.QueueDelete(q, false, true, false)
	t.refused(err, amqp.PreconditionFailed, "not empty")
	doomed = t.channelOn(conn)
	t.consume(ch, q, "user", false)
	_, err = doomed.QueueDelete(q, true, false, false)
	t.refused(err, amqp.PreconditionFailed, "in use")
	t.ok(ch.Close(), "close the channel")
	ch = t.channelOn(conn)
	t.poll("both messages are back", func() bool {
		ready, consumers := t.counts(ch, q)
		return ready == 2 && consumers == 0
	})
	n, err = ch.QueueDelete(q, true, false, false)
	t.ok(err, "delete an unused queue")
	t.check(n == 2, "delete counts %d, not 2", n)
	t.gone(conn, q)
}

func exclusiveConsumer(t *test) {
	conn := t.connect()
	ch := t.channelOn(conn)
	q := t.queue(ch)
	deliveries, err := ch.Consume(q, "", true, true, false, false, nil)
	t.ok(err, "consume exclusively")
	_, err = t.channelOn(conn).Consume(q, "", true, false, false, false, nil)
	t.refused(err, amqp.AccessRefused, "exclusive")
	t.publish(ch, "", q, "for the first")
	t.nextIs(deliveries, "for the first", false)
}

func channelErrorRecovery(t *test) {
	conn := t.connect()
	ch := t.channelOn(conn)
	closing := ch.NotifyClose(make(chan *amqp.Error, 1))
	missing := t.name()
	t.publish(ch, missing, "key", "lost")
	t.closed(closing, amqp.NotFound, "no exchange '"+missing+"'")
	t.alive(conn)
}

func manyChannels(t *test) {
	conn := t.connect()
	n := conn.Config.ChannelMax
	t.check(n > 0, "channel_max is %d", n)
	if n > 1000 {
		n = 1000
	}
	channels := make([]*amqp.Channel, n)
	for i := range channels {
		channels[i] = t.channelOn(conn)
	}
	for i, ch := range channels { // exclusive: all go with the connection
		q, err := ch.QueueDeclare("", false, false, true, false, nil)
		t.ok(err, "queue.declare")
		t.publish(ch, "", q.Name, body(i))
		t.get(ch, q.Name, true, body(i))
		t.empty(ch, q.Name)
	}
	for _, ch := range channels {
		t.check(!ch.IsClosed(), "a channel was closed")
	}
}

func largeBodies(t *test) {
	ch := t.channel()
	q := t.queue(ch)
	for _, size := range []int{0, 1, 4096, 131072, 1 << 20, 16 << 20} {
		sent := make([]byte, size)
		rand.Read(sent)
		sum := sha256.Sum256(sent)
		t.publishing(ch, "", q, amqp.Publishing{Body: sent})
		d, ok, err := ch.Get(q, true)
		t.ok(err, "basic.get")
		t.check(ok, "the queue is empty, not holding %d bytes", size)
		t.check(len(d.Body) == size, "%d bytes, not %d", len(d.Body), size)
		t.check(sum == sha256.Sum256(d.Body) && bytes.Equal(sent, d.Body), "%d bytes differ", size)
	}
	t.empty(ch, q)
}

func heartbeat(t *test) {
	conn := t.connectBeating(time.Second)
	t.check(conn.Config.Heartbeat == time.Second, "heartbeat is %v", conn.Config.Heartbeat)
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	select {
	case err := <-closed:
		t.fail("the connection died: %v", err)
	case <-time.After(3200 * time.Millisecond):
	}
	t.alive(conn)
}
