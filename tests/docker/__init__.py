"""What can be said of the images without building one; `tests/engines/test_docker.py` builds and runs them."""
