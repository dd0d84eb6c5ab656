"""Dandelion's online half: serves trained artifacts over HTTP."""
