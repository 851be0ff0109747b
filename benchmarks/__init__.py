"""The measurements that the README quotes: `python -m benchmarks.<subject> [--quick]`."""
