import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.ConfirmListener;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.RpcClient;
import com.rabbitmq.client.ShutdownSignalException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** Consumers, acknowledgements, confirms, returns, and transactions. */
final class Deliveries {
    static final List<Interop.Scenario> ALL = List.of(
            new Interop.Scenario("consume-ack", Deliveries::consumeAck),
            new Interop.Scenario("consume-no-ack", Deliveries::consumeNoAck),
            new Interop.Scenario("nack-requeue", Deliveries::nackRequeue),
            new Interop.Scenario("reject-drop", Deliveries::rejectDrop),
            new Interop.Scenario("ack-multiple", Deliveries::ackMultiple),
            new Interop.Scenario("ack-unknown", Deliveries::ackUnknown),
            new Interop.Scenario("requeue-on-close", Deliveries::requeueOnClose),
            new Interop.Scenario("recover", Deliveries::recover),
            new Interop.Scenario("prefetch", Deliveries::prefetch),
            new Interop.Scenario("round-robin", Deliveries::roundRobin),
            new Interop.Scenario("cancel", Deliveries::cancel),
            new Interop.Scenario("cancel-notify", Deliveries::cancelNotify),
            new Interop.Scenario("confirm", Deliveries::confirm),
            new Interop.Scenario("confirm-nack", Deliveries::confirmNack),
            new Interop.Scenario("return", Deliveries::returned),
            new Interop.Scenario("tx", Deliveries::transaction),
            new Interop.Scenario("direct-reply-to", Deliveries::directReplyTo));

    private Deliveries() {
    }

    static void consumeAck(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        String q = t.queue(ch);
        Session.Inbox inbox = Session.consume(ch, q, "the-tag", false);
        Session.publishMany(ch, q, 100);
        for (int i = 0; i < 100; i++) {
            Session.Delivery d = inbox.next(Session.body(i), false);
            Session.same(i + 1L, d.number(), "delivery tag");
            Session.same("the-tag", d.tag(), "consumer tag");
            Session.from(d.envelope(), "", q);
            ch.basicAck(d.number(), false);
        }
        AMQP.Queue.DeclareOk ok = ch.queueDeclarePassive(q);
        Session.same(0, ok.getMessageCount(), "messages");
        Session.same(1, ok.getConsumerCount(), "consumers");
        inbox.quiet();
        ch.close(); // what was not acknowledged would come back
        Session.empty(Session.channel(c), q);
    }

    static void consumeNoAck(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        String q = t.queue(ch);
        Session.publishMany(ch, q, 100);
        Session.Inbox inbox = Session.consume(ch, q, "", true);
        for (int i = 0; i < 100; i++) {
            inbox.next(Session.body(i), false);
        }
        Session.ready(ch, q, 0);
        inbox.quiet();
        ch.close();
        Session.empty(Session.channel(c), q);
    }

    private static boolean redelivered(GetResponse r) {
        return r.getEnvelope().isRedeliver();
    }

    static void nackRequeue(Session t) throws Exception {
        Channel ch = t.channel();
        String q = t.queue(ch);
        Session.publishMany(ch, q, 4);
        long[] tags = new long[3];
        for (int i = 0; i < 3; i++) {
            tags[i] = Session.get(ch, q, false, Session.body(i)).getEnvelope().getDeliveryTag();
        }
        ch.basicNack(tags[1], false, true);
        ch.basicNack(tags[0], false, true);
        for (int i = 0; i < 2; i++) { // both before message 3, in the order they had
            Session.same(true, redelivered(Session.get(ch, q, true, Session.body(i))), "redelivered of " + i);
        }
        Session.same(false, redelivered(Session.get(ch, q, true, Session.body(3))), "redelivered of 3");
        Session.empty(ch, q);
        ch.basicNack(tags[2], false, true);
        Session.same(true, redelivered(Session.get(ch, q, true, Session.body(2))), "redelivered of 2");
    }

    static void rejectDrop(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        String q = t.queue(ch);
        Session.publishMany(ch, q, 2);
        ch.basicReject(Session.get(ch, q, false, Session.body(0)).getEnvelope().getDeliveryTag(), false);
        Session.get(ch, q, true, Session.body(1));
        Session.empty(ch, q);
        ch.close();
        Session.empty(Session.channel(c), q);
    }

    static void ackMultiple(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        String q = t.queue(ch);
        Session.publishMany(ch, q, 11);
        Session.Inbox inbox = Session.consume(ch, q, "", false);
        long tenth = 0;
        for (int i = 0; i < 11; i++) {
            long tag = inbox.next(Session.body(i), false).number();
            tenth = i == 9 ? tag : tenth;
        }
        ch.basicAck(tenth, true);
        ch.close();
        Channel other = Session.channel(c);
        Session.poll("the eleventh is back", () -> other.queueDeclarePassive(q).getMessageCount() > 0);
        Session.get(other, q, true, Session.body(10)); // it alone was not acknowledged
        Session.empty(other, q);
    }

    static void ackUnknown(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        BlockingQueue<ShutdownSignalException> closing = Session.watch(ch);
        ch.basicAck(99, false);
        Session.closed(closing, AMQP.PRECONDITION_FAILED, "unknown delivery tag 99");
        t.alive(c);
    }

    static void requeueOnClose(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        String q = t.queue(ch);
        Session.publishMany(ch, q, 10);
        Session.Inbox inbox = Session.consume(ch, q, "", false);
        for (int i = 0; i < 10; i++) {
            inbox.next(Session.body(i), false);
        }
        Session.ready(ch, q, 0);
        ch.close();
        Channel other = Session.channel(c);
        Session.readySoon(other, q, 10);
        for (int i = 0; i < 10; i++) {
            Session.same(true, redelivered(Session.get(other, q, true, Session.body(i))), "redelivered of " + i);
        }
        Session.empty(other, q);
    }

    static void recover(Session t) throws Exception {
        Channel ch = t.channel();
        String q = t.queue(ch);
        Session.publishMany(ch, q, 3);
        Session.Inbox inbox = Session.consume(ch, q, "", false);
        ch.basicAck(inbox.next(Session.body(0), false).number(), false);
        inbox.next(Session.body(1), false);
        inbox.next(Session.body(2), false);
        ch.basicRecover(true);
        ch.basicAck(inbox.next(Session.body(1), true).number(), false);
        ch.basicAck(inbox.next(Session.body(2), true).number(), false);
        Session.ready(ch, q, 0);
        inbox.quiet();
    }

    static void prefetch(Session t) throws Exception {
        Channel ch = t.channel();
        String q = t.queue(ch);
        Session.publishMany(ch, q, 6);
        ch.basicQos(3);
        Session.Inbox inbox = Session.consume(ch, q, "", false);
        long first = inbox.next(Session.body(0), false).number();
        inbox.next(Session.body(1), false);
        inbox.next(Session.body(2), false);
        Session.ready(ch, q, 3);
        inbox.quiet();
        ch.basicAck(first, false);
        inbox.next(Session.body(3), false);
        Session.ready(ch, q, 2);
        inbox.quiet();
    }

    static void roundRobin(Session t) throws Exception {
        Connection c = t.connect();
        Channel publisher = Session.channel(c);
        String q = t.queue(publisher);
        List<Session.Inbox> inboxes = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            Channel ch = Session.channel(c);
            ch.basicQos(1);
            inboxes.add(Session.consume(ch, q, "", false));
        }
        Session.publishMany(publisher, q, 10);
        Session.Delivery[] d = new Session.Delivery[2];
        for (int i = 0; i < 2; i++) {
            d[i] = inboxes.get(i).deliveries.poll(Session.WAIT_MS, TimeUnit.MILLISECONDS);
            Session.check(d[i] != null, "consumer " + i + " gets nothing");
        }
        int turn = d[0].body().equals(Session.body(0)) ? 0 : 1; // whose turn it is: who got the first message
        Session.same(Session.body(0), d[turn].body(), "the first message");
        Session.same(Session.body(1), d[1 - turn].body(), "the second message");
        for (int i = 2; i < 10; i++) {
            inboxes.get(turn).getChannel().basicAck(d[turn].number(), false);
            d[turn] = inboxes.get(turn).next(Session.body(i), false);
            Session.check(inboxes.get(1 - turn).deliveries.isEmpty(), "the wrong consumer gets one too");
            turn = 1 - turn;
        }
        Session.ready(publisher, q, 0);
    }

    static void cancel(Session t) throws Exception {
        Channel ch = t.channel();
        String q = t.queue(ch);
        Session.Inbox inbox = Session.consume(ch, q, "tag", false);
        Session.publish(ch, "", q, "before");
        ch.basicAck(inbox.next("before", false).number(), false);
        ch.basicCancel("tag");
        Session.publishMany(ch, q, 5);
        Session.readySoon(ch, q, 5); // a count may overtake a publish
        Session.same(0, ch.queueDeclarePassive(q).getConsumerCount(), "consumers");
        inbox.quiet();
        for (int i = 0; i < 5; i++) {
            Session.same(false, redelivered(Session.get(ch, q, true, Session.body(i))), "redelivered of " + i);
        }
        Session.empty(ch, q);
    }

    static void cancelNotify(Session t) throws Exception {
        Channel ch = t.channel();
        String q = t.queue(ch);
        Session.Inbox inbox = Session.consume(ch, q, "tag", false);
        t.channel().queueDelete(q);
        Session.same("tag", inbox.cancelled.poll(Session.WAIT_MS, TimeUnit.MILLISECONDS), "cancelled tag");
        String other = t.queue(ch); // the channel lives
        Session.publish(ch, "", other, "alive");
        Session.get(ch, other, true, "alive");
    }

    /** What was confirmed: the tag, and whether by an ack. */
    private static final class Confirms implements ConfirmListener {
        final BlockingQueue<Map.Entry<Long, Boolean>> list = new LinkedBlockingQueue<>();
        private long next = 1;
        private final Map<Long, Boolean> early = new HashMap<>(); // waiting for those before them

        private void add(long tag, boolean multiple, boolean ack) {
            for (long i = multiple ? next : tag; i <= tag; i++) {
                if (i < next || early.putIfAbsent(i, ack) != null && !multiple) {
                    list.add(Map.entry(-i, ack)); // twice: no test expects it
                }
            }
            for (Boolean known; (known = early.remove(next)) != null; next++) {
                list.add(Map.entry(next, known));
            }
        }

        @Override
        public void handleAck(long tag, boolean multiple) {
            add(tag, multiple, true);
        }

        @Override
        public void handleNack(long tag, boolean multiple) {
            add(tag, multiple, false);
        }

        void next(long tag, boolean ack) throws InterruptedException {
            Session.same(Map.entry(tag, ack), list.poll(Session.WAIT_MS, TimeUnit.MILLISECONDS), "confirm");
        }
    }

    private static Confirms confirms(Channel ch) throws Exception {
        Confirms confirms = new Confirms();
        ch.confirmSelect();
        ch.addConfirmListener(confirms);
        return confirms;
    }

    static void confirm(Session t) throws Exception {
        Channel ch = t.channel();
        String q = t.queue(ch);
        Confirms confirms = confirms(ch);
        Session.same(1L, ch.getNextPublishSeqNo(), "next publish number");
        Session.publishMany(ch, q, 100);
        Session.same(true, ch.waitForConfirms(Session.WAIT_MS), "all confirmed");
        for (int i = 1; i <= 100; i++) {
            confirms.next(i, true);
        }
        Session.ready(ch, q, 100);
        Session.check(confirms.list.isEmpty(), "more confirms than publishes");
    }

    static void confirmNack(Session t) throws Exception {
        Channel ch = t.channel();
        String q = t.queue(ch, Map.of("x-overflow", "reject-publish", "x-max-length", 1));
        Confirms confirms = confirms(ch);
        Session.publish(ch, "", q, "kept");
        confirms.next(1, true);
        Session.publish(ch, "", q, "refused");
        confirms.next(2, false);
        Session.get(ch, q, true, "kept");
        Session.empty(ch, q);
        Session.publish(ch, "", q, "room again");
        confirms.next(3, true);
    }

    private record Returned(int code, String text, String exchange, String key, String id, String body) {
    }

    static void returned(Session t) throws Exception {
        Channel ch = t.channel();
        String x = t.exchange(ch, "direct");
        String q = t.queue(ch);
        ch.queueBind(q, x, "key");
        Confirms confirms = confirms(ch);
        BlockingQueue<Returned> returns = new LinkedBlockingQueue<>();
        ch.addReturnListener((code, text, exchange, key, p, body) -> returns.add(
                new Returned(code, text, exchange, key, p.getMessageId(), new String(body))));
        AMQP.BasicProperties p = new AMQP.BasicProperties.Builder().messageId("id").build();
        ch.basicPublish(x, "lost", true, p, Session.bytes("not routed"));
        confirms.next(1, true);
        Session.same(new Returned(312, "NO_ROUTE", x, "lost", "id", "not routed"), returns.poll(), "return");
        ch.basicPublish(x, "key", true, p, Session.bytes("routed")); // a return comes before its confirm
        confirms.next(2, true);
        ch.basicPublish(x, "lost", false, p, Session.bytes("not mandatory"));
        confirms.next(3, true);
        Session.same(null, returns.poll(), "return of what is routed or not mandatory");
        Session.get(ch, q, true, "routed");
        Session.empty(ch, q);
    }

    static void transaction(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        Channel other = Session.channel(c);
        String q = t.queue(ch);
        ch.txSelect();
        Session.publishMany(ch, q, 3);
        Session.ready(ch, q, 0); // the server has seen the publishes by now
        Session.empty(other, q);
        ch.txCommit();
        Session.readySoon(other, q, 3);
        for (int i = 0; i < 3; i++) {
            Session.get(other, q, true, Session.body(i));
        }
        Session.publish(ch, "", q, "discarded");
        ch.txRollback();
        Session.publish(ch, "", q, "after the rollback");
        ch.txCommit();
        Session.getSoon(other, q, "after the rollback");
        Session.empty(other, q);
    }

    /** The library's own RpcClient asks that way. */
    static void directReplyTo(Session t) throws Exception {
        Channel ch = t.channel();
        Connection c = t.connect();
        Channel server = Session.channel(c);
        String q = t.queue(server);
        BlockingQueue<String> addresses = new LinkedBlockingQueue<>();
        server.basicConsume(q, true, (tag, request) -> {
            String address = request.getProperties().getReplyTo();
            addresses.add(address);
            AMQP.BasicProperties p = new AMQP.BasicProperties.Builder()
                    .correlationId(request.getProperties().getCorrelationId()).build();
            server.basicPublish("", address, p, Session.bytes("so: " + new String(request.getBody())));
        }, tag -> { });
        RpcClient client = new RpcClient(ch, "", q, (int) Session.WAIT_MS);
        Session.same("so: how?", client.stringCall("how?"), "reply");
        Session.same("so: why?", client.stringCall("why?"), "second reply");
        String address = addresses.take();
        Session.check(address.startsWith("amq.rabbitmq.reply-to."), "reply-to " + address);
        Session.same(address, addresses.take(), "second reply-to");
        Session.same(0, server.queueDeclarePassive(address).getMessageCount(), "messages");
        client.close(); // which cancels its consumer
        Session.poll("the address is gone", () -> !Session.exists(c, address));
    }
}
