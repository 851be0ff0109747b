"""The only door to video files: what they are, when each frame is shown, its pixels; and previews."""
