"""The page about Ray has the figures that were measured."""

from benchmarks import cluster


def test_the_page_has_the_stored_figures() -> None:
    figures = cluster.Figures.model_validate_json(cluster.FIGURES.read_text(encoding="utf-8"))
    assert cluster.rendered(figures) in cluster.PAGE.read_text(encoding="utf-8")
    assert set(figures.engines) == {
        "local, 1 process",
        "local, 2 processes",
        "Ray, 1 actor",
        "Ray, 2 actors",
    }
