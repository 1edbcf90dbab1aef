"""Zadarma and its Russian successor Novofon: extensions, own numbers, and calls from the PBX or billing statistics."""
