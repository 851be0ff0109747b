"""Every person's 3D body in every frame of a video."""
