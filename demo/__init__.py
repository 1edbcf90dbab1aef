"""The demo company and the simulated source servers; the end-to-end tests use them too."""
