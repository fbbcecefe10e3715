.DEFAULT_GOAL := help
.PHONY: help run cluster test test-unit test-services test-protocol test-redis-topologies test-interop test-journeys test-browser test-api test-fault test-fault-mutants test-fuzz test-sanitizers bench bench-storm simulate simulate-faults soak docs format lint check clean-data

help:  ## lists the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-22s %s\n", $$1, $$2}'

run:  ## everything a new machine needs, then one instance on http://127.0.0.1:8080
	@scripts/run.sh

test:  ## every test on private servers; ends with "N passed, N failed"
	@scripts/test.sh all

test-unit:  ## tests that need no server
	@scripts/test.sh unit

test-services:  ## tests against a real Redis and a real PostgreSQL
	@scripts/test.sh services

test-protocol:  ## Engine.IO and Socket.IO over real sockets
	@scripts/test.sh protocol

test-redis-topologies:  ## one server, Sentinel and a cluster: the suites, failovers, slots that move while selling
	@scripts/test-topologies.sh

test-interop:  ## the protocol from outside, with raw sockets and other people's clients
	@scripts/test.sh interop

test-journeys:  ## several instances as processes, real Socket.IO clients
	@scripts/test.sh journeys

test-browser:  ## the web client in a headless browser
	@scripts/test.sh browser

test-api:  ## schemathesis plays /openapi.json: no 5xx, no answer outside the schema
	@scripts/test.sh api

test-fuzz:  ## the decoders under libFuzzer for a minute; FUZZ_SECONDS=600 for ten minutes each
	@scripts/fuzz.sh

test-sanitizers:  ## Swift tests under the thread and the address sanitizer
	@scripts/sanitizers.sh

bench:  ## measures the Socket.IO server beside nchan, Centrifuge and python-socketio, one core each
	@scripts/bench.sh

bench-storm:  ## 10,000 clients cut at once, a tenth who do not read, four times the load that is held
	@scripts/bench-storm.sh

simulate:  ## 5,000 fans play a whole on-sale on three instances; every promise is checked
	@scripts/simulate.sh 5000 --arrive-seconds 120 --duration 900

simulate-faults:  ## the same behind HAProxy and on Sentinel: instances die and leave, Redis fails over; FANS=500 for fewer
	@SIMULATE_FAULTS=$${SIMULATE_FAULTS:-60} scripts/simulate.sh $${FANS:-5000} --arrive-seconds 150 --duration 900

cluster:  ## three instances behind HAProxy, on private stores; prints the addresses
	@scripts/cluster.sh

test-fault:  ## breaks stores, instances, clocks and clients under load, and compares the books
	@scripts/test-fault.sh

test-fault-mutants:  ## the same with safeguards removed: the tests have to notice
	@scripts/test-fault.sh mutants

soak:  ## MINUTES (60) of people coming and going: memory, keys and descriptors must not grow
	@scripts/soak.sh

docs:  ## the libraries' documentation, into .build/docs
	@scripts/docs.sh

format:  ## formats the Swift sources
	swift format --in-place --recursive --parallel Package.swift Sources Tests

lint:  ## fails on Swift that is not formatted
	swift format lint --strict --recursive --parallel Package.swift Sources Tests

check: lint test  ## what has to be green before a commit lands

clean-data:  ## removes the private stores and their data
	@for folder in .holdfast/*/; do [ ! -e "$$folder/env" ] || scripts/services.sh stop "$$folder"; done
	rm -rf .holdfast
