"""The harness: runs tables, caches and stores their numbers, checks them and reports on them."""
