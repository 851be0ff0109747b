"""What the stages share: artifacts, storage, media, the stage harness. Imports no stage."""
