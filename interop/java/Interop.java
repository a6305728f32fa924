import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicReference;

/** Runs the scenarios of ../scenarios.txt with the Java client and prints TAP. */
public final class Interop {
    static final long SCENARIO_MS = 30_000; // a scenario that takes longer has failed
    static final long CLEANUP_MS = 10_000;

    interface Body {
        void run(Session t) throws Exception;
    }

    record Scenario(String name, Body body) {
    }

    private Interop() {
    }

    /** Answers why it does not end or what it throws; null if all is well. */
    private static Throwable within(long ms, Body body, Session t) throws InterruptedException {
        AtomicReference<Throwable> thrown = new AtomicReference<>();
        Thread thread = new Thread(() -> {
            try {
                body.run(t);
            } catch (Throwable e) {
                thrown.set(e);
            }
        });
        thread.setDaemon(true);
        thread.start();
        thread.join(ms);
        return thread.isAlive() ? new AssertionError("no end after " + ms + " ms") : thrown.get();
    }

    private static void explain(Throwable e) {
        for (Throwable t = e; t != null; t = t.getCause()) {
            String text = t instanceof AssertionError ? t.getMessage() : t.toString();
            System.out.println("# " + String.valueOf(text).replace("\n", "\n# "));
        }
        for (StackTraceElement at : e.getStackTrace()) {
            if (at.getClassName().matches("Basics|Deliveries|Features|Application")) {
                System.out.println("# at " + at);
            }
        }
    }

    public static void main(String[] arguments) throws Exception {
        List<Scenario> scenarios = new ArrayList<>();
        scenarios.addAll(Basics.ALL);
        scenarios.addAll(Deliveries.ALL);
        scenarios.addAll(Features.ALL);
        run("java", scenarios, arguments);
    }

    /** Runs those of the scenarios that are named, or all; ends the program. */
    static void run(String client, List<Scenario> scenarios, String[] arguments) throws Exception {
        String prefix = String.format("interop-%s-%d-%06x-", client, ProcessHandle.current().pid(),
                ThreadLocalRandom.current().nextInt(1 << 24));
        if (arguments.length > 0) {
            scenarios.removeIf(s -> !List.of(arguments).contains(s.name()));
        }
        System.out.println("TAP version 13");
        System.out.println("1.." + scenarios.size());
        int number = 0;
        int failed = 0;
        for (Scenario s : scenarios) {
            Session t = new Session(prefix + s.name() + "-");
            long began = System.nanoTime();
            Throwable why = within(SCENARIO_MS, s.body(), t);
            Throwable unclean = within(CLEANUP_MS, Session::cleanup, t);
            why = why == null ? unclean : why;
            number++;
            System.out.println((why == null ? "ok " : "not ok ") + number + " - " + s.name());
            if (why != null) {
                failed++;
                explain(why);
            }
            if (System.getenv("INTEROP_TIMES") != null) {
                System.out.printf("# %.2f s%n", (System.nanoTime() - began) / 1e9);
            }
            System.out.flush();
        }
        System.exit(failed == 0 ? 0 : 1);
    }
}
