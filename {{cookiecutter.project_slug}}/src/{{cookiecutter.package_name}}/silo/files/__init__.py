"""Files: each session's own, under names that no client chose."""
