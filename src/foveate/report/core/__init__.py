"""What all reports share: tables, charts, pages, files, formatting of numbers."""
