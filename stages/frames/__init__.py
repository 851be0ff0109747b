"""When every frame of a video is shown."""
