import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.Recoverable;
import com.rabbitmq.client.RecoveryListener;
import com.rabbitmq.client.RpcClient;
import com.rabbitmq.client.RpcServer;
import com.rabbitmq.client.ShutdownSignalException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.ConcurrentSkipListSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;

/** What Java applications, and the frameworks below them, ask of the broker. */
public final class Application {
    private static final String REPLY_TO = "amq.rabbitmq.reply-to";
    private static final Map<String, Object> QUORUM = Map.of("x-queue-type", "quorum");
    private static final Map<String, Object> STREAM = Map.of("x-queue-type", "stream");
    private static final int LOG_LENGTH = 500;

    private static final List<Interop.Scenario> ALL = List.of(
            new Interop.Scenario("quorum", Application::quorum),
            new Interop.Scenario("quorum-rules", Application::quorumRules),
            new Interop.Scenario("rpc", Application::rpc),
            new Interop.Scenario("rpc-mistakes", Application::rpcMistakes),
            new Interop.Scenario("consumer-priorities", Application::consumerPriorities),
            new Interop.Scenario("single-active-consumer", Application::singleActiveConsumer),
            new Interop.Scenario("stream", Application::stream),
            new Interop.Scenario("stream-live", Application::streamLive),
            new Interop.Scenario("stream-rules", Application::streamRules),
            new Interop.Scenario("confirms", Application::confirms),
            new Interop.Scenario("recovery", Application::recovery),
            new Interop.Scenario("anonymous-queues", Application::anonymousQueues),
            new Interop.Scenario("priorities", Application::priorities));

    private Application() {
    }

    public static void main(String[] arguments) throws Exception {
        Interop.run("java-app", new ArrayList<>(ALL), arguments);
    }

    private static Map<String, Object> with(Map<String, Object> base, Object... more) {
        Map<String, Object> all = new HashMap<>(base);
        for (int i = 0; i < more.length; i += 2) {
            all.put((String) more[i], more[i + 1]);
        }
        return all;
    }

    private static String durable(Session t, Channel ch, Map<String, Object> arguments) throws IOException {
        String q = t.queueName();
        Session.same(q, ch.queueDeclare(q, true, false, false, arguments).getQueue(), "name in declare-ok");
        return q;
    }

    private static long header(AMQP.BasicProperties p, String name) {
        Object v = p.getHeaders() == null ? null : p.getHeaders().get(name);
        Session.check(v == null || v instanceof Number, name + " is " + v);
        return v == null ? -1 : ((Number) v).longValue();
    }

    /** A work queue whose poison is given back until the broker has had enough; the rest is done, each once. */
    static void quorum(Session t) throws Exception {
        Channel ch = t.channel();
        String dlx = t.exchange(ch, "fanout");
        String dead = durable(t, ch, QUORUM);
        ch.queueBind(dead, dlx, "");
        Map<String, Object> arguments = with(QUORUM, "x-delivery-limit", 3, "x-dead-letter-exchange", dlx,
                "x-quorum-initial-group-size", 1, "x-overflow", "reject-publish", "x-dead-letter-strategy", "at-least-once");
        String q = durable(t, ch, arguments);
        ch.queueDeclare(q, true, false, false, arguments);
        ch.confirmSelect();
        for (int i = 0; i < 20; i++) {
            ch.basicPublish("", q, new AMQP.BasicProperties.Builder().deliveryMode(2).build(),
                    Session.bytes(i == 7 ? "poison" : Session.body(i)));
        }
        ch.waitForConfirmsOrDie(Session.WAIT_MS);
        ch.basicQos(5);
        List<String> done = new ArrayList<>();
        List<Long> counts = new ArrayList<>();
        Session.Inbox inbox = Session.consume(ch, q, "", false);
        while (done.size() < 19 || counts.size() < 4) {
            Session.Delivery d = inbox.deliveries.poll(Session.WAIT_MS, TimeUnit.MILLISECONDS);
            Session.check(d != null, "only " + done + " and the poison " + counts);
            if (d.body().equals("poison")) {
                Session.same(!counts.isEmpty(), d.envelope().isRedeliver(), "redelivered");
                counts.add(header(d.properties(), "x-delivery-count"));
                ch.basicNack(d.number(), false, true);
            } else {
                done.add(d.body());
                ch.basicAck(d.number(), false);
            }
        }
        Session.same(List.of(-1L, 1L, 2L, 3L), counts, "x-delivery-count of the poison");
        Session.same(19L, done.stream().distinct().count(), "done, each once");
        GetResponse r = Session.getSoon(ch, dead, "poison");
        Session.died(Session.death(r.getProps(), 0, 1), 1, "delivery_limit", q, "", q);
        inbox.quiet();
        Session.ready(ch, q, 0);
    }

    static void quorumRules(Session t) throws Exception {
        Connection c = t.connect();
        String text = "PRECONDITION_FAILED";
        String q = t.queueName();
        Session.refused(406, text, () -> Session.channel(c).queueDeclare(q, false, false, false, QUORUM));
        Session.refused(406, text, () -> Session.channel(c).queueDeclare(q, true, true, false, QUORUM));
        Session.refused(406, text, () -> Session.channel(c).queueDeclare(q, true, false, true, QUORUM));
        Session.refused(406, "server-named", () -> Session.channel(c).queueDeclare("", true, false, false, QUORUM));
        Session.refused(406, "unsupported queue type",
                () -> Session.channel(c).queueDeclare(q, true, false, false, Map.of("x-queue-type", "pigeon")));
        Channel ch = Session.channel(c);
        String there = durable(t, ch, QUORUM);
        Session.refused(406, "inequivalent arg 'x-queue-type'",
                () -> Session.channel(c).queueDeclare(there, true, false, false, null));
        t.alive(c);
    }

    /** The library's own RpcServer and RpcClient, which asks over direct reply-to. */
    static void rpc(Session t) throws Exception {
        Channel serving = t.channel();
        String q = t.queue(serving);
        RpcServer server = new RpcServer(serving, q) {
            @Override
            public byte[] handleCall(byte[] body, AMQP.BasicProperties reply) {
                return Session.bytes(new String(body) + "!");
            }
        };
        Thread loop = new Thread(() -> {
            try {
                server.mainloop();
            } catch (IOException | ShutdownSignalException e) {
                // the scenario is over
            }
        });
        loop.setDaemon(true);
        loop.start();
        ExecutorService callers = Executors.newFixedThreadPool(4);
        List<Future<Integer>> calls = new ArrayList<>();
        for (int n = 0; n < 4; n++) {
            Channel ch = t.channel();
            String name = "caller " + n + " call ";
            calls.add(callers.submit(() -> {
                RpcClient client = new RpcClient(ch, "", q, REPLY_TO, (int) Session.WAIT_MS);
                for (int i = 0; i < 50; i++) {
                    Session.same(name + i + "!", client.stringCall(name + i), "answer");
                }
                client.close();
                return 50;
            }));
        }
        for (Future<Integer> f : calls) {
            Session.same(50, f.get(Session.WAIT_MS, TimeUnit.MILLISECONDS), "calls");
        }
        callers.shutdown();
        RpcClient lonely = new RpcClient(t.channel(), "", t.queue(serving), REPLY_TO, 100);
        try {
            lonely.stringCall("nobody");
            throw new AssertionError("an answer from nobody");
        } catch (TimeoutException e) {
            lonely.close();
        }
        Session.ready(serving, q, 0);
    }

    static void rpcMistakes(Session t) throws Exception {
        Connection c = t.connect();
        AMQP.BasicProperties p = new AMQP.BasicProperties.Builder().replyTo(REPLY_TO).build();
        Channel unready = Session.channel(c);
        BlockingQueue<ShutdownSignalException> closing = Session.watch(unready);
        unready.basicPublish("", "anywhere", p, Session.bytes("x"));
        Session.closed(closing, 406, "fast reply consumer does not exist");
        Session.refused(406, "reply consumer cannot acknowledge",
                () -> Session.consume(Session.channel(c), REPLY_TO, "", false));
        Channel twice = Session.channel(c);
        Session.consume(twice, REPLY_TO, "", true);
        Session.refused(406, "reply consumer already set", () -> Session.consume(twice, REPLY_TO, "", true));
        Session.refused(404, "no queue", () -> Session.channel(c).queueDeclarePassive(REPLY_TO + ".made-up"));
        Session.same(0, Session.channel(c).queueDeclarePassive(REPLY_TO).getMessageCount(), "a passive declare");
        t.alive(c);
    }

    static void consumerPriorities(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        String q = t.queue(ch);
        Map<Integer, Session.Inbox> inboxes = new HashMap<>();
        Map<Integer, Channel> channels = new HashMap<>();
        for (int priority : new int[] {0, 10, 5}) {
            Channel own = Session.channel(c);
            own.basicQos(2);
            inboxes.put(priority, new Session.Inbox(own));
            channels.put(priority, own);
            own.basicConsume(q, false, "p" + priority, false, false, Map.of("x-priority", priority), inboxes.get(priority));
        }
        Session.publishMany(ch, q, 7);
        List<Session.Delivery> high = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            high.add(inboxes.get(10).next(Session.body(i), false));
        }
        for (int i = 2; i < 4; i++) {
            inboxes.get(5).next(Session.body(i), false);
        }
        for (int i = 4; i < 6; i++) {
            inboxes.get(0).next(Session.body(i), false);
        }
        Session.ready(ch, q, 1);
        channels.get(10).basicAck(high.get(1).number(), true);
        inboxes.get(10).next(Session.body(6), false);
        Session.publish(ch, "", q, "more");
        inboxes.get(10).next("more", false);
        for (Session.Inbox i : inboxes.values()) {
            i.quiet();
        }
        Session.refused(406, "x-priority", () -> Session.channel(c).basicConsume(q, false, "", false, false,
                Map.of("x-priority", "high"), new Session.Inbox(ch)));
    }

    static void singleActiveConsumer(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        String q = durable(t, ch, with(QUORUM, "x-single-active-consumer", true));
        List<Channel> channels = new ArrayList<>();
        List<Session.Inbox> inboxes = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            channels.add(Session.channel(c));
            inboxes.add(Session.consume(channels.get(i), q, "c" + i, false));
        }
        Session.publishMany(ch, q, 4);
        for (int i = 0; i < 4; i++) {
            Session.Delivery d = inboxes.get(0).next(Session.body(i), false);
            if (i < 2) {
                channels.get(0).basicAck(d.number(), false);
            }
        }
        inboxes.get(1).quiet();
        channels.get(0).close(); // what it had is the next one's, in order
        inboxes.get(1).next(Session.body(2), true);
        inboxes.get(1).next(Session.body(3), true);
        Session.publish(ch, "", q, "more");
        inboxes.get(1).next("more", false);
        inboxes.get(2).quiet();
        channels.get(1).basicCancel("c1"); // what it has stays with it
        Session.publish(ch, "", q, "last");
        inboxes.get(2).next("last", false);
        inboxes.get(1).quiet();
    }

    private static String fillStream(Session t, Channel ch) throws Exception {
        String q = durable(t, ch, with(STREAM, "x-max-age", "1h", "x-max-length-bytes", 100_000_000L));
        ch.confirmSelect();
        for (int i = 0; i < LOG_LENGTH; i++) {
            Session.publish(ch, "", q, Session.body(i));
        }
        ch.waitForConfirmsOrDie(Session.WAIT_MS);
        return q;
    }

    /** Reads count messages of a stream from there on, with a small prefetch, and gives up its consumer. */
    private static List<Long> read(Session t, String q, Object from, int count) throws Exception {
        Channel ch = t.channel();
        ch.basicQos(20);
        Session.Inbox inbox = new Session.Inbox(ch);
        ch.basicConsume(q, false, "", false, false, from == null ? null : Map.of("x-stream-offset", from), inbox);
        List<Long> offsets = new ArrayList<>();
        while (offsets.size() < count) {
            Session.Delivery d = inbox.deliveries.poll(Session.WAIT_MS, TimeUnit.MILLISECONDS);
            Session.check(d != null, "only " + offsets.size() + " of " + count + " from " + from);
            long offset = header(d.properties(), "x-stream-offset");
            if (offset < LOG_LENGTH) {
                Session.same(Session.body((int) offset), d.body(), "body at its offset");
            }
            Session.same(false, d.envelope().isRedeliver(), "redelivered");
            offsets.add(offset);
            ch.basicAck(d.number(), false);
        }
        ch.getConnection().close();
        return offsets;
    }

    private static List<Long> range(long from, long to) {
        return java.util.stream.LongStream.range(from, to).boxed().toList();
    }

    /** One log, read from many places, by many, and again: nothing is taken from it. */
    static void stream(Session t) throws Exception {
        String q = fillStream(t, t.channel());
        List<Long> all = range(0, LOG_LENGTH);
        Session.same(all, read(t, q, "first", LOG_LENGTH), "from the first");
        Session.same(all, read(t, q, 0, LOG_LENGTH), "from 0");
        Session.same(range(400, LOG_LENGTH), read(t, q, 400L, LOG_LENGTH - 400), "from 400");
        Session.same(all, read(t, q, "1h", LOG_LENGTH), "from an hour ago");
        Date before = new Date(System.currentTimeMillis() - 60_000);
        Session.same(all, read(t, q, before, LOG_LENGTH), "from a minute ago");
        long last = read(t, q, "last", 1).get(0); // the start of what was written last, however much that was
        Session.check(last >= 0 && last < LOG_LENGTH, "the last is " + last);
        ExecutorService readers = Executors.newFixedThreadPool(5);
        List<Future<List<Long>>> read = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            int from = i * 100;
            read.add(readers.submit(() -> read(t, q, from, LOG_LENGTH - from)));
        }
        for (int i = 0; i < 5; i++) {
            Session.same(range(i * 100, LOG_LENGTH), read.get(i).get(Session.WAIT_MS, TimeUnit.MILLISECONDS), "reader " + i);
        }
        readers.shutdown();
    }

    /** Who asks for what comes next gets that, and nothing of what had been there. */
    static void streamLive(Session t) throws Exception {
        Channel out = t.channel();
        String q = fillStream(t, out);
        Channel ch = t.channel();
        ch.basicQos(10);
        Session.Inbox inbox = Session.consume(ch, q, "", false);
        for (int i = 0; i < 50; i++) {
            Session.publish(out, "", q, "new " + i);
        }
        out.waitForConfirmsOrDie(Session.WAIT_MS);
        for (int i = 0; i < 50; i++) {
            Session.Delivery d = inbox.next("new " + i, false);
            Session.same((long) LOG_LENGTH + i, header(d.properties(), "x-stream-offset"), "offset");
            if (i % 5 == 4) {
                ch.basicAck(d.number(), true);
            }
        }
        inbox.quiet();
        Session.same(List.of((long) LOG_LENGTH + 49), read(t, q, LOG_LENGTH + 49, 1), "the last by its offset");
    }

    static void streamRules(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        String q = durable(t, ch, STREAM);
        String name = t.queueName();
        Session.refused(406, "non-durable", () -> Session.channel(c).queueDeclare(name, false, false, false, STREAM));
        Session.refused(406, "x-message-ttl", () -> Session.channel(c).queueDeclare(name, true, false, false,
                with(STREAM, "x-message-ttl", 1000)));
        Session.refused(406, "consumer prefetch count is not set", () -> Session.consume(Session.channel(c), q, "", false));
        Session.refused(406, "x-stream-offset", () -> Session.channel(c).basicConsume(t.queue(Session.channel(c)), false, "",
                false, false, Map.of("x-stream-offset", "first"), new Session.Inbox(ch)));
        t.alive(c);
    }

    /** Confirms as they come, some for many; four threads work, and each message is done once. */
    static void confirms(Session t) throws Exception {
        int count = 5000;
        Channel ch = t.channel();
        String q = durable(t, ch, null);
        ConcurrentSkipListMap<Long, String> waiting = new ConcurrentSkipListMap<>();
        AtomicInteger nacks = new AtomicInteger();
        ch.confirmSelect();
        ch.addConfirmListener(new com.rabbitmq.client.ConfirmListener() {
            @Override
            public void handleAck(long number, boolean multiple) {
                if (multiple) {
                    waiting.headMap(number, true).clear();
                } else {
                    waiting.remove(number);
                }
            }

            @Override
            public void handleNack(long number, boolean multiple) {
                nacks.incrementAndGet();
            }
        });
        ConcurrentSkipListSet<String> done = new ConcurrentSkipListSet<>();
        AtomicInteger deliveries = new AtomicInteger();
        CountDownLatch all = new CountDownLatch(count);
        ExecutorService threads = Executors.newFixedThreadPool(4);
        Connection working = t.factory().newConnection(threads);
        for (int i = 0; i < 4; i++) {
            Channel own = working.createChannel();
            own.basicQos(50);
            own.basicConsume(q, false, new DefaultConsumer(own) {
                @Override
                public void handleDelivery(String tag, Envelope e, AMQP.BasicProperties p, byte[] body) throws IOException {
                    deliveries.incrementAndGet();
                    done.add(new String(body));
                    own.basicAck(e.getDeliveryTag(), false);
                    all.countDown();
                }
            });
        }
        for (int i = 0; i < count; i++) {
            waiting.put(ch.getNextPublishSeqNo(), Session.body(i));
            ch.basicPublish("", q, new AMQP.BasicProperties.Builder().deliveryMode(2).build(), Session.bytes(Session.body(i)));
        }
        Session.check(all.await(Session.WAIT_MS, TimeUnit.MILLISECONDS), "only " + deliveries + " deliveries");
        Session.poll("every confirm", waiting::isEmpty);
        Session.same(0, nacks.get(), "nacks");
        Session.same(count, done.size(), "messages done");
        Session.same(count, deliveries.get(), "deliveries");
        working.close();
        threads.shutdown();
        Session.ready(ch, q, 0);
    }

    /** The library's automatic recovery: channels, a queue without a name, bindings, consumers, what was not acknowledged. */
    static void recovery(Session t) throws Exception {
        ConnectionFactory f = t.factory();
        try (Relay relay = new Relay(f.getHost(), f.getPort())) {
            f.setHost("127.0.0.1");
            f.setPort(relay.port());
            f.setAutomaticRecoveryEnabled(true);
            f.setTopologyRecoveryEnabled(true);
            f.setNetworkRecoveryInterval(100);
            Connection c = t.connect(f);
            BlockingQueue<Boolean> recovered = new LinkedBlockingQueue<>();
            ((Recoverable) c).addRecoveryListener(new RecoveryListener() {
                @Override
                public void handleRecovery(Recoverable r) {
                    recovered.add(true);
                }

                @Override
                public void handleRecoveryStarted(Recoverable r) {
                    // handleRecovery() is enough
                }
            });
            Channel ch = Session.channel(c);
            ch.basicQos(2);
            String x = t.exchange(ch, "topic");
            String work = durable(t, ch, null);
            ch.queueBind(work, x, "work.#");
            String own = ch.queueDeclare().getQueue();
            ch.queueBind(own, x, "#");
            Session.Inbox inbox = Session.consume(ch, work, "worker", false);
            Session.Inbox copies = Session.consume(ch, own, "copies", true);
            Channel out = t.channel();
            for (int i = 0; i < 3; i++) {
                Session.publish(out, x, "work.x", Session.body(i));
            }
            for (int i = 0; i < 3; i++) {
                copies.next(Session.body(i), false);
            }
            inbox.next(Session.body(0), false);
            inbox.next(Session.body(1), false);
            relay.cut();
            Session.check(recovered.poll(Session.WAIT_MS, TimeUnit.MILLISECONDS) != null, "it does not come back");
            ch.basicAck(inbox.next(Session.body(0), true).number(), false);
            ch.basicAck(inbox.next(Session.body(1), true).number(), false);
            ch.basicAck(inbox.next(Session.body(2), false).number(), false);
            Session.publish(out, x, "work.x", "after");
            copies.next("after", false);
            ch.basicAck(inbox.next("after", false).number(), false);
            inbox.quiet();
            Session.readySoon(out, work, 0);
            c.close(); // before the relay
        }
    }

    /** As Spring makes them: exclusive, automatic, with arguments for clusters; looked for passively; returns. */
    static void anonymousQueues(Session t) throws Exception {
        Connection c = t.connect();
        Channel ch = Session.channel(c);
        String q = ch.queueDeclare("", false, true, true, Map.of("x-queue-master-locator", "client-local")).getQueue();
        Session.check(q.startsWith("amq.gen-"), "the name is " + q);
        Session.same(0, ch.queueDeclarePassive(q).getConsumerCount(), "consumers");
        BlockingQueue<String> returned = new LinkedBlockingQueue<>();
        ch.addReturnListener((code, text, x, key, p, body) -> returned.add(code + " " + text + " " + new String(body)));
        ch.confirmSelect();
        ch.basicPublish("", q, true, null, Session.bytes("here"));
        ch.basicPublish("", t.name(), true, null, Session.bytes("nowhere"));
        ch.waitForConfirmsOrDie(Session.WAIT_MS);
        Session.same("312 NO_ROUTE nowhere", returned.poll(Session.WAIT_MS, TimeUnit.MILLISECONDS), "returned");
        Session.check(returned.isEmpty(), "more came back: " + returned);
        Session.Inbox inbox = Session.consume(ch, q, "", true);
        inbox.next("here", false);
        ch.basicCancel(inbox.getConsumerTag());
        Session.poll("the queue to be gone", () -> !Session.exists(c, q));
        Channel tx = Session.channel(c);
        String work = t.queue(tx);
        tx.txSelect();
        Session.publishMany(tx, work, 3);
        Session.ready(Session.channel(c), work, 0);
        tx.txCommit();
        Session.ready(Session.channel(c), work, 3);
    }

    static void priorities(Session t) throws Exception {
        Channel ch = t.channel();
        String q = durable(t, ch, Map.of("x-max-priority", 10));
        int[] given = {0, 4, 10, 4, 7, 99, 0};
        for (int i = 0; i < given.length; i++) {
            ch.basicPublish("", q, new AMQP.BasicProperties.Builder().priority(given[i]).build(), Session.bytes(Session.body(i)));
        }
        ch.basicQos(1);
        Session.poll("all there", () -> ch.messageCount(q) == given.length);
        Session.Inbox inbox = Session.consume(ch, q, "", false);
        for (int i : IntStream.of(2, 5, 4, 1, 3, 0, 6).toArray()) {
            ch.basicAck(inbox.next(Session.body(i), false).number(), false);
        }
        inbox.quiet();
    }
}
