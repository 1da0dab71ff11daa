"""The embedded AWS emulator: start it, deploy to it, stop it."""
