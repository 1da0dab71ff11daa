"""What is stored: keys, content hashes, hours and ids."""
