"""Model weights: which files, from where, under which licence; fetched once, verified, then used offline."""
