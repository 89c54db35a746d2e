package bench;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The reference work of benchmarks/detect.py on Kafka Streams: one stream thread, a caching in-memory store with its
 * changelog, one compact binary value a target, windows as running sums, Avro read by hand.
 *
 * Arguments: bootstrap, source topic, sink topic, application id, state folder; with the schema's file as a sixth,
 * LibraryWork does it.
 */
public final class ReferenceWork {
    static final String STORE = "targets";

    public static void main(String[] args) throws Exception {
        Properties p = new Properties();
        p.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        p.put(StreamsConfig.APPLICATION_ID_CONFIG, args[3]);
        p.put(StreamsConfig.STATE_DIR_CONFIG, args[4]);
        p.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        p.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, 1000);
        p.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 512L << 20);
        p.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        p.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5000);
        p.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 8 << 20);
        p.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 5000);

        Topology topology = args.length > 5 ? LibraryWork.topology(args[1], args[2], args[5]) : lean(args[1], args[2]);
        KafkaStreams streams = new KafkaStreams(topology, p);
        CountDownLatch over = new CountDownLatch(1);
        streams.setUncaughtExceptionHandler(e -> {
            e.printStackTrace();
            over.countDown();
            return org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse
                .SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        over.await();
        System.exit(1);
    }

    private static Topology lean(String source, String sink) {
        Topology topology = new Topology();
        topology.addSource("samples", Serdes.ByteArray().deserializer(), Serdes.ByteArray().deserializer(), source);
        topology.addProcessor("work", Work::new, "samples");
        topology.addStateStore(
            Stores.keyValueStoreBuilder(Stores.inMemoryKeyValueStore(STORE), Serdes.Bytes(), Serdes.ByteArray())
                .withCachingEnabled(),
            "work");
        topology.addSink("changes", sink, Serdes.Bytes().serializer(), Serdes.ByteArray().serializer(), "work");

        return topology;
    }

    /** Reads a batch and folds each of its samples into its target's state. */
    static final class Work implements Processor<byte[], byte[], Bytes, byte[]> {
        private static final int HEADER = 5;
        private ProcessorContext<Bytes, byte[]> context;
        private KeyValueStore<Bytes, byte[]> store;
        private int[] nameStart = new int[1024];
        private int[] nameEnd = new int[1024];
        private int at;
        private long total;
        private int head = Integer.MIN_VALUE;
        private final State state = new State();

        @Override
        public void init(ProcessorContext<Bytes, byte[]> context) {
            this.context = context;
            this.store = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            byte[] data = record.value();
            ByteBuffer in = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
            at = HEADER;
            int probe = (int) varint(data);
            at += probe;
            int n = 0;
            for (int block = block(data); block != 0; block = block(data)) {
                if (n + block > nameStart.length) {
                    nameStart = Arrays.copyOf(nameStart, 2 * (n + block));
                    nameEnd = Arrays.copyOf(nameEnd, 2 * (n + block));
                }
                for (int i = 0; i < block; i++, n++) {
                    int length = (int) varint(data);
                    nameStart[n] = at;
                    nameEnd[n] = at += length;
                }
            }
            int times = fixed(data, n, 8);
            int oks = fixed(data, n, 1);
            int latencies = fixed(data, n, 8);
            for (int i = 0; i < n; i++) {
                double time = in.getDouble(times + 8 * i);
                head = Math.max(head, (int) Math.floorDiv((long) time, 10_000L));
                Bytes target = Bytes.wrap(Arrays.copyOfRange(data, nameStart[i], nameEnd[i]));
                byte[] stored = store.get(target);
                total++;
                state.open(stored);
                int changed = state.fold(time, data[oks + i] != 0, in.getDouble(latencies + 8 * i), head);
                store.put(target, state.bytes());
                for (int rule = 0; rule < 3; rule++) {
                    if ((changed & 1 << rule) != 0) {
                        tell(target, rule, record);
                    }
                }
            }
        }

        private void tell(Bytes target, int rule, Record<byte[], byte[]> record) {
            byte[] value = state.told(new String(target.get(), StandardCharsets.UTF_8), rule, total);
            context.forward(new Record<>(target, value, record.timestamp()));
        }

        /** A zigzag variable-length integer. */
        private long varint(byte[] data) {
            long value = 0;
            for (int shift = 0; ; shift += 7) {
                byte b = data[at++];
                value |= (long) (b & 0x7F) << shift;
                if (b >= 0) {
                    return (value >>> 1) ^ -(value & 1);
                }
            }
        }

        private int block(byte[] data) {
            long count = varint(data);
            if (count < 0) {
                varint(data);
                count = -count;
            }
            return (int) count;
        }

        /** Start of the only block of an array of n items. */
        private int fixed(byte[] data, int n, int width) {
            if (block(data) != n) {
                throw new IllegalStateException("an array in several blocks");
            }
            int start = at;
            at += n * width;
            if (varint(data) != 0) {
                throw new IllegalStateException("an array in several blocks");
            }
            return start;
        }
    }

    /** One target's state as bytes: baseline, flags, running sums of three windows, and the panes of the last hour. */
    static final class State {
        private static final int[] LENGTH = {6, 30, 360}; // panes of 10 s: 1 min, 5 min, 1 h
        private static final int MEAN = 0, VARIANCE = 8, TIME = 16, SEEN = 24, HOLDS = 28, HEAD = 32, PANES = 36;
        private static final int WINDOWS = 40, WINDOW = 24; // sum, count, errors, index of its first pane
        private static final int START = WINDOWS + 3 * WINDOW, PANE = 24; // sum, pane, count, errors
        final double[] value = new double[3];
        private byte[] data;
        private ByteBuffer b;

        void open(byte[] stored) {
            data = stored == null ? new byte[START + PANE] : stored.clone(); // what a store returns is the store's
            b = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
            if (stored == null) {
                b.putInt(HEAD, Integer.MIN_VALUE);
            }
        }

        byte[] bytes() {
            return data;
        }

        boolean holds(int rule) {
            return (b.getInt(HOLDS) & 1 << rule) != 0;
        }

        byte[] told(String target, int rule, long total) {
            return ("{\"target\":\"" + target + "\",\"rule\":" + rule + ",\"holds\":" + holds(rule) + ",\"value\":"
                + value[rule] + ",\"total\":" + total + "}").getBytes(StandardCharsets.UTF_8);
        }

        /** Takes one sample in; returns which rules changed, as bits. */
        int fold(double time, boolean ok, double latency, int head) {
            advance(head);
            add((int) Math.floorDiv((long) time, 10_000L), ok, latency);
            double z = Double.NaN;
            if (time >= b.getDouble(TIME)) {
                b.putDouble(TIME, time);
                z = ok ? learn(latency) : Double.NaN;
            }
            int window1m = WINDOWS, window5m = WINDOWS + WINDOW;
            value[0] = b.getInt(window5m + 12) / (double) b.getInt(window5m + 8);
            double normal = b.getInt(SEEN) >= 20 ? b.getDouble(MEAN) : Double.NaN;
            value[1] = b.getDouble(window1m) / b.getInt(window1m + 8) / normal;
            value[2] = z;
            int old = b.getInt(HOLDS);
            int now = rule(rule(rule(old, 0, value[0], 0.05), 1, value[1], 2.0), 2, value[2], 4.0);
            b.putInt(HOLDS, now);
            return old ^ now;
        }

        private static int rule(int holds, int rule, double value, double threshold) {
            return Double.isNaN(value) ? holds : value > threshold ? holds | 1 << rule : holds & ~(1 << rule);
        }

        /** Exponentially weighted mean and variance, which do not learn from what lies beyond four deviations. */
        private double learn(double latency) {
            double mean = b.getDouble(MEAN), variance = b.getDouble(VARIANCE);
            int seen = b.getInt(SEEN);
            double deviation = Math.max(Math.sqrt(variance), Math.max(0.05 * Math.abs(mean), 2.0));
            double z = seen < 20 ? Double.NaN : (latency - mean) / deviation;
            if (!(Math.abs(z) > 4.0)) {
                double alpha = Math.max(0.05, 1.0 / (seen + 1.0)), step = latency - mean;
                b.putDouble(MEAN, seen == 0 ? latency : mean + alpha * step);
                b.putDouble(VARIANCE, seen == 0 ? 0.0 : (1.0 - alpha) * (variance + alpha * step * step));
                b.putInt(SEEN, seen + 1);
            }
            return z;
        }

        /** Moves the windows on: what leaves a window is subtracted from its sums, what leaves the last is dropped. */
        private void advance(int head) {
            if (head == b.getInt(HEAD)) {
                return;
            }
            b.putInt(HEAD, head);
            int panes = b.getInt(PANES);
            for (int w = 0; w < 3; w++) {
                int window = WINDOWS + w * WINDOW, first = b.getInt(window + 16);
                for (; first < panes && b.getInt(START + first * PANE + 8) <= head - LENGTH[w]; first++) {
                    int pane = START + first * PANE;
                    b.putDouble(window, b.getDouble(window) - b.getDouble(pane));
                    b.putInt(window + 8, b.getInt(window + 8) - b.getInt(pane + 12));
                    b.putInt(window + 12, b.getInt(window + 12) - b.getInt(pane + 16));
                }
                b.putInt(window + 16, first);
            }
            int gone = b.getInt(WINDOWS + 2 * WINDOW + 16);
            if (gone > 0) {
                System.arraycopy(data, START + gone * PANE, data, START, (panes - gone) * PANE);
                b.putInt(PANES, panes - gone);
                for (int w = 0; w < 3; w++) {
                    int window = WINDOWS + w * WINDOW;
                    b.putInt(window + 16, b.getInt(window + 16) - gone);
                }
            }
        }

        private void add(int pane, boolean ok, double latency) {
            int panes = b.getInt(PANES), i = panes - 1;
            while (i >= 0 && b.getInt(START + i * PANE + 8) > pane) {
                i--;
            }
            if (i < 0 || b.getInt(START + i * PANE + 8) != pane) {
                insert(++i, pane, panes);
            }
            int at = START + i * PANE;
            b.putDouble(at, b.getDouble(at) + latency);
            b.putInt(at + 12, b.getInt(at + 12) + 1);
            b.putInt(at + 16, b.getInt(at + 16) + (ok ? 0 : 1));
            for (int w = 0; w < 3; w++) {
                int window = WINDOWS + w * WINDOW;
                if (i >= b.getInt(window + 16)) {
                    b.putDouble(window, b.getDouble(window) + latency);
                    b.putInt(window + 8, b.getInt(window + 8) + 1);
                    b.putInt(window + 12, b.getInt(window + 12) + (ok ? 0 : 1));
                }
            }
        }

        private void insert(int i, int pane, int panes) {
            if (START + (panes + 1) * PANE > data.length) {
                data = Arrays.copyOf(data, START + (panes + 2) * PANE);
                b = ByteBuffer.wrap(data).order(ByteOrder.LITTLE_ENDIAN);
            }
            System.arraycopy(data, START + i * PANE, data, START + (i + 1) * PANE, (panes - i) * PANE);
            Arrays.fill(data, START + i * PANE, START + (i + 1) * PANE, (byte) 0);
            b.putInt(START + i * PANE + 8, pane);
            b.putInt(PANES, panes + 1);
            for (int w = 0; w < 3; w++) {
                int window = WINDOWS + w * WINDOW;
                if (i < b.getInt(window + 16) || pane <= b.getInt(HEAD) - LENGTH[w]) {
                    b.putInt(window + 16, b.getInt(window + 16) + 1);
                }
            }
        }
    }
}
