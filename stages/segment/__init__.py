"""Who is where in every frame of a video: masks with identities."""
