"""Tests against real engines: Docker, Apptainer, SLURM, an S3 server, Kubernetes. `make test-engines` runs them."""
