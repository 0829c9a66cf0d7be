"""Networks as files: saving, loading, what a file may say of a network, and the hub."""
