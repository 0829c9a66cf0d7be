"""The section of a report on networks as they are deployed."""
