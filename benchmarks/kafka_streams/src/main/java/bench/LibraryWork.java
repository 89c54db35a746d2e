package bench;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.common.errors.SerializationException;
import org.apache.kafka.common.serialization.Deserializer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * The same work with the library's own parts: Avro's generic reader, string keys, a serde for the state's object,
 * RocksDB as the store, which is the default.
 */
final class LibraryWork implements Processor<String, GenericRecord, String, String> {
    private ProcessorContext<String, String> context;
    private KeyValueStore<String, ReferenceWork.State> store;
    private long total;
    private int head = Integer.MIN_VALUE;

    static Topology topology(String source, String sink, String schema) throws java.io.IOException {
        GenericDatumReader<GenericRecord> reader =
            new GenericDatumReader<>(new Schema.Parser().parse(Files.readString(Path.of(schema))));
        Deserializer<GenericRecord> avro = (topic, data) -> {
            try {
                BinaryDecoder decoder = DecoderFactory.get().binaryDecoder(data, 5, data.length - 5, null);
                return reader.read(null, decoder);
            } catch (java.io.IOException e) {
                throw new SerializationException(e);
            }
        };
        Serde<ReferenceWork.State> state = Serdes.serdeFrom(
            (topic, value) -> value == null ? null : value.bytes(),
            (topic, data) -> {
                if (data == null) {
                    return null;
                }
                ReferenceWork.State value = new ReferenceWork.State();
                value.open(data);
                return value;
            });
        Topology topology = new Topology();
        topology.addSource("samples", Serdes.String().deserializer(), avro, source);
        topology.addProcessor("work", LibraryWork::new, "samples");
        topology.addStateStore(
            Stores.keyValueStoreBuilder(
                    Stores.persistentKeyValueStore(ReferenceWork.STORE), Serdes.String(), state)
                .withCachingEnabled(),
            "work");
        topology.addSink("changes", sink, Serdes.String().serializer(), Serdes.String().serializer(), "work");
        return topology;
    }

    @Override
    public void init(ProcessorContext<String, String> context) {
        this.context = context;
        this.store = context.getStateStore(ReferenceWork.STORE);
    }

    @Override
    public void process(Record<String, GenericRecord> record) {
        GenericRecord batch = record.value();
        List<?> targets = (List<?>) batch.get("target");
        List<?> times = (List<?>) batch.get("time");
        List<?> oks = (List<?>) batch.get("ok");
        List<?> latencies = (List<?>) batch.get("latency_ms");
        for (int i = 0; i < targets.size(); i++) {
            String target = targets.get(i).toString();
            double time = (Double) times.get(i);
            head = Math.max(head, (int) Math.floorDiv((long) time, 10_000L));
            ReferenceWork.State state = store.get(target);
            if (state == null) {
                state = new ReferenceWork.State();
                state.open(null);
            }
            total++;
            int changed = state.fold(time, (Boolean) oks.get(i), (Double) latencies.get(i), head);
            store.put(target, state);
            for (int rule = 0; rule < 3; rule++) {
                if ((changed & 1 << rule) != 0) {
                    String value = new String(state.told(target, rule, total), StandardCharsets.UTF_8);
                    context.forward(new Record<>(target, value, record.timestamp()));
                }
            }
        }
    }
}
