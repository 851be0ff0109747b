"""When each video of a scene starts on one clock, and which persons are the same in all of them."""
