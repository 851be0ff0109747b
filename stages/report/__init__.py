"""The report stage: one page per scene that says what was found and how sure it is."""
