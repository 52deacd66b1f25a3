#!/bin/bash
# Runs a main class of Kafka, with the variables its own scripts know. KAFKA_LIBRARIES is the
# folder of libraries: `libs`, or `tools` where the tools are of another version than the broker.
home=/opt/bitnami/kafka
logging="-Dlog4j2.configurationFile=$home/logging/tools.properties -Dlog4j2.disable.jmx=true"
performance="-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
# shellcheck disable=SC2086 # each variable holds several options
exec /opt/bitnami/java/bin/java ${KAFKA_HEAP_OPTS:--Xmx256m} ${KAFKA_JVM_PERFORMANCE_OPTS:-$performance} \
  -Xshare:auto -Djava.awt.headless=true ${KAFKA_LOG4J_OPTS:-$logging} ${KAFKA_OPTS:-} -cp "$home/${KAFKA_LIBRARIES:-libs}/*" "$@"
