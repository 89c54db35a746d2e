"""Apache Kafka inside the program: its jars, its settings, its process."""
