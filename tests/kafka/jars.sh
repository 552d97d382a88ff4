#!/bin/sh
# Bring the jars of Apache Kafka, Kafka Connect and Debezium into a folder: jars.sh FOLDER [POM]; benchmarks/pom.xml has the sink too.
# Exit code 1, and why, if it cannot.
set -eu
mkdir -p "$1" build
folder=$(cd "$1" && pwd)  # Maven reads a relative one from the POM's folder
if ! mvn -q -B -f "${2:-tests/kafka/pom.xml}" dependency:copy-dependencies -DoutputDirectory="$folder" >build/mvn.log 2>&1 </dev/null; then
    echo "mvn cannot resolve the servers here (build/mvn.log says why)"
    exit 1
fi
