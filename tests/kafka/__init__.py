"""A real Apache Kafka for the tests, without Docker: `jars` fetches it, `broker` runs it."""
