"""The report of several studies on one page."""
