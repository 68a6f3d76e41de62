# The two commands that matter are `make demo` and `make test`.

.PHONY: demo test bench bench-questions bench-micro fuzz soak format lint clean

demo:
	./scripts/demo $(ARGS)

test:
	./scripts/test $(ARGS)

# Measures this store and, where they can be installed, its peers: imports, then fourteen questions. ARGS go to both;
# ARGS="--quick" only looks whether everything works, ARGS="--help" lists the options.
bench:
	./scripts/bootstrap
	python3 Benchmarks/run.py $(ARGS)
	python3 Benchmarks/questions.py $(ARGS)

# The questions alone, with options of their own.
bench-questions:
	./scripts/bootstrap
	python3 Benchmarks/questions.py $(ARGS)

# Codecs, sealing, parsing, filters and groups; counts of allocations and retains against
# Benchmarks/Micro/Thresholds. ARGS="--update" accepts what is measured, ARGS="--run" only shows it.
bench-micro:
	./scripts/bootstrap
	python3 Benchmarks/micro.py $(ARGS)

fuzz:
	@echo "make fuzz: there is no fuzzer yet; it comes with a later release" >&2; exit 1

# Kills a durable import at many random moments and looks at what is there; a quarter of an hour or so. The second
# run is long enough for flushes to be killed too.
soak:
	./scripts/bootstrap
	swift build -c release --product eventstore
	./scripts/crash-test --runs 200 $(ARGS)
	./scripts/crash-test --runs 20 --events 600000 $(ARGS)

SWIFT_CODE = $(wildcard Sources Tests Examples Benchmarks Package.swift)

format:
	swift format --in-place --parallel --recursive $(SWIFT_CODE)

lint:
	swift format lint --strict --parallel --recursive $(SWIFT_CODE)

clean:
	rm -rf .build bench-work
