"""What segmentation costs on a GPU, from a video file to mask_data.npz, with full-size models of random weights."""
