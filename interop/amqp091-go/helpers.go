package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

func (t *test) publishing(ch *amqp.Channel, exchange, key string, p amqp.Publishing) {
	t.ok(ch.PublishWithContext(context.Background(), exchange, key, false, false, p), "publish")
}

func (t *test) publish(ch *amqp.Channel, exchange, key, body string) {
	t.publishing(ch, exchange, key, amqp.Publishing{Body: []byte(body)})
}

func body(i int) string {
	return fmt.Sprintf("message %d", i)
}

// publishMany sends "message 0" to "message n-1" to a queue.
func (t *test) publishMany(ch *amqp.Channel, queue string, n int) {
	for i := 0; i < n; i++ {
		t.publish(ch, "", queue, body(i))
	}
}

// get takes the message that must be in the queue now.
func (t *test) get(ch *amqp.Channel, queue string, autoAck bool, want string) amqp.Delivery {
	d, ok, err := ch.Get(queue, autoAck)
	t.ok(err, "basic.get")
	t.check(ok, "the queue is empty, not holding %q", want)
	t.check(string(d.Body) == want, "body %q, not %q", d.Body, want)
	return d
}

func (t *test) empty(ch *amqp.Channel, queue string) {
	d, ok, err := ch.Get(queue, true)
	t.ok(err, "basic.get")
	t.check(!ok, "the queue is not empty: %q", d.Body)
}

// poll asks until it is so.
func (t *test) poll(what string, is func() bool) {
	end := time.Now().Add(waitLimit)
	for !is() {
		t.check(time.Now().Before(end), "never happened: %s", what)
		time.Sleep(5 * time.Millisecond)
	}
}

// getSoon takes the message that will be in the queue.
func (t *test) getSoon(ch *amqp.Channel, queue, want string) amqp.Delivery {
	var d amqp.Delivery
	t.poll("a message "+want, func() bool {
		var ok bool
		var err error
		d, ok, err = ch.Get(queue, true)
		t.ok(err, "basic.get")
		return ok
	})
	t.check(string(d.Body) == want, "body %q, not %q", d.Body, want)
	return d
}

// counts asks by passive declare.
func (t *test) counts(ch *amqp.Channel, queue string) (messages, consumers int) {
	q, err := ch.QueueDeclarePassive(queue, false, false, false, false, nil)
	t.ok(err, "passive declare")
	return q.Messages, q.Consumers
}

func (t *test) ready(ch *amqp.Channel, queue string, want int) {
	n, _ := t.counts(ch, queue)
	t.check(n == want, "%d messages are ready, not %d", n, want)
}

func (t *test) consume(ch *amqp.Channel, queue, tag string, autoAck bool) <-chan amqp.Delivery {
	c, err := ch.Consume(queue, tag, autoAck, false, false, false, nil)
	t.ok(err, "basic.consume")
	return c
}

func (t *test) next(c <-chan amqp.Delivery) amqp.Delivery {
	select {
	case d, ok := <-c:
		t.check(ok, "the consumer was closed")
		return d
	case <-time.After(waitLimit):
		t.fail("no delivery")
	}
	return amqp.Delivery{}
}

func (t *test) nextIs(c <-chan amqp.Delivery, want string, redelivered bool) amqp.Delivery {
	d := t.next(c)
	t.check(string(d.Body) == want, "delivered %q, not %q", d.Body, want)
	t.check(d.Redelivered == redelivered, "%q has redelivered=%v", want, d.Redelivered)
	return d
}

// quiet holds if nothing more has come.  Use after an answer that the server gives later than what must not come.
func (t *test) quiet(c <-chan amqp.Delivery) {
	select {
	case d, ok := <-c:
		t.check(!ok, "an unexpected delivery %q", d.Body)
	case <-time.After(quietTime):
	}
}

// refused holds if err is the server's, with that code and text.
func (t *test) refused(err error, code int, text string) {
	t.check(err != nil, "not refused with %d", code)
	e, is := err.(*amqp.Error)
	t.check(is, "error %v is not the server's", err)
	t.check(e.Code == code, "code %d (%s), not %d", e.Code, e.Reason, code)
	t.check(e.Server, "%v does not come from the server", e)
	t.check(strings.Contains(e.Reason, text), "text %q lacks %q", e.Reason, text)
}

// closed waits for the channel exception.
func (t *test) closed(ch chan *amqp.Error, code int, text string) {
	select {
	case e := <-ch:
		t.check(e != nil, "closed without a reason")
		t.refused(e, code, text)
	case <-time.After(waitLimit):
		t.fail("the channel stays open, not closed with %d", code)
	}
}

// alive holds if a new channel on the connection can be used.
func (t *test) alive(conn *amqp.Connection) {
	t.check(!conn.IsClosed(), "the connection is closed")
	ch := t.channelOn(conn)
	q := t.queue(ch)
	t.publish(ch, "", q, "alive")
	t.get(ch, q, true, "alive")
}

// gone holds if the queue does not exist.
func (t *test) gone(conn *amqp.Connection, queue string) {
	_, err := t.channelOn(conn).QueueDeclarePassive(queue, false, false, false, false, nil)
	t.refused(err, amqp.NotFound, "no queue '"+queue+"'")
}

// exists asks whether there is such a queue.
func (t *test) exists(conn *amqp.Connection, queue string) bool {
	ch := t.channelOn(conn)
	_, err := ch.QueueDeclarePassive(queue, false, false, false, false, nil)
	if err == nil {
		t.ok(ch.Close(), "close the channel")
		return true
	}
	t.refused(err, amqp.NotFound, queue)
	return false
}

// death answers entry i of x-death, after checking how many there are.
func (t *test) death(d amqp.Delivery, i, n int) amqp.Table {
	list, is := d.Headers["x-death"].([]interface{})
	t.check(is, "x-death is %T", d.Headers["x-death"])
	t.check(len(list) == n, "x-death has %d entries, not %d", len(list), n)
	entry, is := list[i].(amqp.Table)
	t.check(is, "x-death[%d] is %T", i, list[i])
	return entry
}

// died holds if the entry says so.
func (t *test) died(e amqp.Table, count int64, reason, queue, exchange, key string) {
	t.check(e["count"] == count, "x-death count %v (%T), not %d", e["count"], e["count"], count)
	t.check(e["reason"] == reason, "x-death reason %v, not %s", e["reason"], reason)
	t.check(e["queue"] == queue, "x-death queue %v, not %s", e["queue"], queue)
	t.check(e["exchange"] == exchange, "x-death exchange %v, not %q", e["exchange"], exchange)
	keys, is := e["routing-keys"].([]interface{})
	t.check(is && len(keys) == 1 && keys[0] == key, "x-death routing-keys %v, not [%s]", e["routing-keys"], key)
	when, is := e["time"].(time.Time)
	t.check(is && time.Since(when) < time.Minute && time.Since(when) > -time.Minute, "x-death time %v", e["time"])
}

func (t *test) firstDeath(d amqp.Delivery, reason, queue, exchange string) {
	for k, want := range map[string]string{"reason": reason, "queue": queue, "exchange": exchange} {
		v := d.Headers["x-first-death-"+k]
		t.check(v == want, "x-first-death-%s is %v, not %q", k, v, want)
	}
}
