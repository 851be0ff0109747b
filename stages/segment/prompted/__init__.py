"""Segmentation by models that are prompted: a detector told what to look for, a tracker told what to follow."""
