"""The preview stage: the video with masks, ids and skeletons drawn on it."""
