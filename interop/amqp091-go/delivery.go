package main

import (
	"context"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

var delivery = []scenario{
	{"consume-ack", consumeAck}, {"consume-no-ack", consumeNoAck}, {"nack-requeue", nackRequeue},
	{"reject-drop", rejectDrop}, {"ack-multiple", ackMultiple}, {"ack-unknown", ackUnknown},
	{"requeue-on-close", requeueOnClose}, {"recover", recoverAll}, {"prefetch", prefetch},
	{"round-robin", roundRobin}, {"cancel", cancel}, {"cancel-notify", cancelNotify}, {"confirm", confirm},
	{"confirm-nack", confirmNack}, {"return", returned}, {"tx", transaction},
	{"direct-reply-to", directReplyTo},
}

func consumeAck(t *test) {
	conn := t.connect()
	ch := t.channelOn(conn)
	q := t.queue(ch)
	deliveries := t.consume(ch, q, "the-tag", false)
	t.publishMany(ch, q, 100)
	for i := 0; i < 100; i++ {
		d := t.nextIs(deliveries, body(i), false)
		t.check(d.DeliveryTag == uint64(i+1), "delivery tag %d, not %d", d.DeliveryTag, i+1)
		t.check(d.ConsumerTag == "the-tag", "consumer tag %q", d.ConsumerTag)
		t.check(d.Exchange == "" && d.RoutingKey == q, "from %q by %q", d.Exchange, d.RoutingKey)
		t.ok(d.Ack(false), "ack")
	}
	n, consumers := t.counts(ch, q)
	t.check(n == 0 && consumers == 1, "%d messages and %d consumers", n, consumers)
	t.quiet(deliveries)
	t.ok(ch.Close(), "close the channel") // what was not acknowledged would come back
	t.empty(t.channelOn(conn), q)
}

func consumeNoAck(t *test) {
	conn := t.connect()
	ch := t.channelOn(conn)
	q := t.queue(ch)
	t.publishMany(ch, q, 100)
	deliveries := t.consume(ch, q, "", true)
	for i := 0; i < 100; i++ {
		t.nextIs(deliveries, body(i), false)
	}
	t.ready(ch, q, 0)
	t.quiet(deliveries)
	t.ok(ch.Close(), "close the channel")
	t.empty(t.channelOn(conn), q)
}

func nackRequeue(t *test) {
	ch := t.channel()
	q := t.queue(ch)
	t.publishMany(ch, q, 4)
	var d [3]amqp.Delivery
	for i := range d {
		d[i] = t.get(ch, q, false, body(i))
	}
	t.ok(d[1].Nack(false, true), "nack")
	t.ok(d[0].Nack(false, true), "nack")
	for i := 0; i < 2; i++ { // both before message 3, in the order they had
		again := t.get(ch, q, true, body(i))
		t.check(again.Redelivered, "message %d is not redelivered", i)
	}
	t.check(!t.get(ch, q, true, body(3)).Redelivered, "message 3 is redelivered")
	t.empty(ch, q)
	t.ok(d[2].Nack(false, true), "nack")
	t.check(t.get(ch, q, true, body(2)).Redelivered, "message 2 is not redelivered")
}

func rejectDrop(t *test) {
	conn := t.connect()
	ch := t.channelOn(conn)
	q := t.queue(ch)
	t.publishMany(ch, q, 2)
	t.ok(t.get(ch, q, false, body(0)).Reject(false), "reject")
	t.get(ch, q, true, body(1))
	t.empty(ch, q)
	t.ok(ch.Close(), "close the channel")
	t.empty(t.channelOn(conn), q)
}

func ackMultiple(t *test) {
	conn := t.connect()
	ch := t.channelOn(conn)
	q := t.queue(ch)
	t.publishMany(ch, q, 11)
	deliveries := t.consume(ch, q, "", false)
	var tenth uint64
	for i := 0; i < 11; i++ {
		d := t.nextIs(deliveries, body(i), false)
		if i == 9 {
			tenth = d.DeliveryTag
		}
	}
	t.ok(ch.Ack(tenth, true), "ack")
	t.ok(ch.Close(), "close the channel")
	other := t.channelOn(conn)
	t.poll("the eleventh is back", func() bool {
		n, _ := t.counts(other, q)
		return n > 0
	})
	t.get(other, q, true, body(10)) // it alone was not acknowledged
	t.empty(other, q)
}

func ackUnknown(t *test) {
	conn := t.connect()
	ch := t.channelOn(conn)
	closing := ch.NotifyClose(make(chan *amqp.Error, 1))
	t.ok(ch.Ack(99, false), "ack")
	t.closed(closing, amqp.PreconditionFailed, "unknown delivery tag 99")
	t.alive(conn)
}

func requeueOnClose(t *test) {
	conn := t.connect()
	ch := t.channelOn(conn)
	q := t.queue(ch)
	t.publishMany(ch, q, 10)
	deliveries := t.consume(ch, q, "", false)
	for i := 0; i < 10; i++ {
		t.nextIs(deliveries, body(i), false)
	}
	t.ready(ch, q, 0)
	t.ok(ch.Close(), "close the channel")
	other := t.channelOn(conn)
	t.poll("ten messages are back", func() bool {
		n, _ := t.counts(other, q)
		return n == 10
	})
	for i := 0; i < 10; i++ {
		t.check(t.get(other, q, true, body(i)).Redelivered, "message %d is not redelivered", i)
	}
	t.empty(other, q)
}

func recoverAll(t *test) {
	ch := t.channel()
	q := t.queue(ch)
	t.publishMany(ch, q, 3)
	deliveries := t.consume(ch, q, "", false)
	t.ok(t.nextIs(deliveries, body(0), false).Ack(false), "ack")
	t.nextIs(deliveries, body(1), false)
	t.nextIs(deliveries, body(2), false)
	t.ok(ch.Recover(true), "recover")
	t.ok(t.nextIs(deliveries, body(1), true).Ack(false), "ack")
	t.ok(t.nextIs(deliveries, body(2), true).Ack(false), "ack")
	t.ready(ch, q, 0)
	t.quiet(deliveries)
}

func prefetch(t *test) {
	ch := t.channel()
	q := t.queue(ch)
	t.publishMany(ch, q, 6)
	t.ok(ch.Qos(3, 0, false), "qos")
	deliveries := t.consume(ch, q, "", false)
	first := t.nextIs(deliveries, body(0), false)
	t.nextIs(deliveries, body(1), false)
	t.nextIs(deliveries, body(2), false)
	t.ready(ch, q, 3)
	t.quiet(deliveries)
	t.ok(first.Ack(false), "ack")
	t.nextIs(deliveries, body(3), false)
	t.ready(ch, q, 2)
	t.quiet(deliveries)
}

func roundRobin(t *test) {
	conn := t.connect()
	publisher := t.channelOn(conn)
	q := t.queue(publisher)
	var c [2]<-chan amqp.Delivery
	for i := range c {
		ch := t.channelOn(conn)
		t.ok(ch.Qos(1, 0, false), "qos")
		c[i] = t.consume(ch, q, "", false)
	}
	t.publishMany(publisher, q, 10)
	var d [2]amqp.Delivery
	d[0], d[1] = t.next(c[0]), t.next(c[1])
	t.check(string(d[0].Body) == body(0) || string(d[1].Body) == body(0), "first came %q, %q", d[0].Body, d[1].Body)
	turn := 0 // whose turn it is: who got the first message
	if string(d[1].Body) == body(0) {
		turn = 1
	}
	t.check(string(d[1-turn].Body) == body(1), "the second message is %q", d[1-turn].Body)
	for i := 2; i < 10; i++ {
		t.ok(d[turn].Ack(false), "ack")
		d[turn] = t.nextIs(c[turn], body(i), false)
		t.quietNow(c[1-turn])
		turn = 1 - turn
	}
	t.ready(publisher, q, 0)
}

// quietNow is quiet without waiting.
func (t *test) quietNow(c <-chan amqp.Delivery) {
	select {
	case d := <-c:
		t.fail("an unexpected delivery %q", d.Body)
	default:
	}
}

func cancel(t *test) {
	ch := t.channel()
	q := t.queue(ch)
	deliveries := t.consume(ch, q, "tag", false)
	t.publish(ch, "", q, "before")
	t.ok(t.nextIs(deliveries, "before", false).Ack(false), "ack")
	t.ok(ch.Cancel("tag", false), "cancel")
	t.publishMany(ch, q, 5)
	t.poll("five messages are ready", func() bool { // a count may overtake a publish
		n, consumers := t.counts(ch, q)
		t.check(consumers == 0, "%d consumers", consumers)
		return n == 5
	})
	t.quiet(deliveries)
	for i := 0; i < 5; i++ {
		t.check(!t.get(ch, q, true, body(i)).Redelivered, "message %d is redelivered", i)
	}
	t.empty(ch, q)
}

func cancelNotify(t *test) {
	ch := t.channel()
	q := t.queue(ch)
	cancelled := ch.NotifyCancel(make(chan string, 1))
	deliveries := t.consume(ch, q, "tag", false)
	_, err := t.channel().QueueDelete(q, false, false, false)
	t.ok(err, "queue.delete")
	select {
	case tag := <-cancelled:
		t.check(tag == "tag", "cancelled %q", tag)
	case <-time.After(waitLimit):
		t.fail("no basic.cancel")
	}
	select {
	case d, open := <-deliveries:
		t.check(!open, "delivered %q", d.Body)
	case <-time.After(waitLimit):
		t.fail("the consumer is not closed")
	}
	other := t.queue(ch) // the channel lives
	t.publish(ch, "", other, "alive")
	t.get(ch, other, true, "alive")
}

func (t *test) confirmed(confirms <-chan amqp.Confirmation, tag uint64, ack bool) {
	select {
	case c := <-confirms:
		t.check(c.DeliveryTag == tag, "confirm of %d, not %d", c.DeliveryTag, tag)
		t.check(c.Ack == ack, "publish %d has ack=%v", tag, c.Ack)
	case <-time.After(waitLimit):
		t.fail("publish %d is not confirmed", tag)
	}
}

func confirm(t *test) {
	ch := t.channel()
	q := t.queue(ch)
	t.ok(ch.Confirm(false), "confirm.select")
	confirms := ch.NotifyPublish(make(chan amqp.Confirmation, 101))
	t.publishMany(ch, q, 100)
	for i := 1; i <= 100; i++ {
		t.confirmed(confirms, uint64(i), true)
	}
	t.ready(ch, q, 100)
	t.check(len(confirms) == 0, "more confirms than publishes")
}

func confirmNack(t *test) {
	ch := t.channel()
	q := t.queueWith(ch, amqp.Table{"x-overflow": "reject-publish", "x-max-length": int32(1)})
	t.ok(ch.Confirm(false), "confirm.select")
	confirms := ch.NotifyPublish(make(chan amqp.Confirmation, 3))
	t.publish(ch, "", q, "kept")
	t.confirmed(confirms, 1, true)
	t.publish(ch, "", q, "refused")
	t.confirmed(confirms, 2, false)
	t.get(ch, q, true, "kept")
	t.empty(ch, q)
	t.publish(ch, "", q, "room again")
	t.confirmed(confirms, 3, true)
}

func returned(t *test) {
	ch := t.channel()
	x, q := t.exchange(ch, "direct"), t.queue(ch)
	t.bind(ch, q, x, "key", nil)
	t.ok(ch.Confirm(false), "confirm.select")
	confirms := ch.NotifyPublish(make(chan amqp.Confirmation, 3))
	returns := ch.NotifyReturn(make(chan amqp.Return, 3))
	send := func(key, body string, mandatory bool) {
		p := amqp.Publishing{Body: []byte(body), MessageId: "id"}
		t.ok(ch.PublishWithContext(context.Background(), x, key, mandatory, false, p), "publish")
	}
	send("lost", "not routed", true)
	t.confirmed(confirms, 1, true)
	t.check(len(returns) == 1, "%d returns, not 1", len(returns)) // a return comes before its confirm
	r := <-returns
	t.check(r.ReplyCode == amqp.NoRoute && r.ReplyText == "NO_ROUTE", "returned %d %q", r.ReplyCode, r.ReplyText)
	t.check(string(r.Body) == "not routed" && r.MessageId == "id", "returned %q, id %q", r.Body, r.MessageId)
	t.check(r.Exchange == x && r.RoutingKey == "lost", "returned from %q by %q", r.Exchange, r.RoutingKey)
	send("key", "routed", true)
	t.confirmed(confirms, 2, true)
	send("lost", "not mandatory", false)
	t.confirmed(confirms, 3, true)
	t.check(len(returns) == 0, "something routed or not mandatory is returned")
	t.get(ch, q, true, "routed")
	t.empty(ch, q)
}

func transaction(t *test) {
	conn := t.connect()
	ch, other := t.channelOn(conn), t.channelOn(conn)
	q := t.queue(ch)
	t.ok(ch.Tx(), "tx.select")
	t.publishMany(ch, q, 3)
	t.ready(ch, q, 0) // the server has seen the publishes by now
	t.empty(other, q)
	t.ok(ch.TxCommit(), "tx.commit")
	t.poll("three messages are visible", func() bool {
		n, _ := t.counts(other, q)
		return n == 3
	})
	for i := 0; i < 3; i++ {
		t.get(other, q, true, body(i))
	}
	t.publish(ch, "", q, "discarded")
	t.ok(ch.TxRollback(), "tx.rollback")
	t.publish(ch, "", q, "after the rollback")
	t.ok(ch.TxCommit(), "tx.commit")
	t.getSoon(other, q, "after the rollback")
	t.empty(other, q)
}

func directReplyTo(t *test) {
	ch, conn := t.channel(), t.connect()
	server := t.channelOn(conn)
	q := t.queue(server)
	replies := t.consume(ch, "amq.rabbitmq.reply-to", "replies", true)
	request := amqp.Publishing{ReplyTo: "amq.rabbitmq.reply-to", CorrelationId: "7", Body: []byte("how?")}
	t.ok(ch.PublishWithContext(context.Background(), "", q, false, false, request), "publish a request")
	got := t.getSoon(server, q, "how?")
	t.check(strings.HasPrefix(got.ReplyTo, "amq.rabbitmq.reply-to."), "reply-to %q", got.ReplyTo)
	t.ready(server, got.ReplyTo, 0)
	reply := amqp.Publishing{CorrelationId: got.CorrelationId, Body: []byte("so")}
	t.ok(server.PublishWithContext(context.Background(), "", got.ReplyTo, false, false, reply), "publish a reply")
	d := t.nextIs(replies, "so", false)
	t.check(d.CorrelationId == "7", "correlation id %q", d.CorrelationId)
	t.check(d.Exchange == "" && d.RoutingKey == got.ReplyTo, "from %q by %q", d.Exchange, d.RoutingKey)
	t.ok(ch.Cancel("replies", false), "cancel")
	t.poll("the address is gone", func() bool { return !t.exists(conn, got.ReplyTo) })
}
