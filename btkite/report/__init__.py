"""What a run leaves: figures, tables, a page, a folder."""
