"""Dandelion's offline half: data sets in, trained artifacts and reports out."""
