"""The parts of the benchmark, one module each: ``measure(...)`` gives a `bench.report.Part`."""
