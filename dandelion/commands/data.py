"""Options of commands that read a file of texts."""

from typing import Annotated

import typer

TextColumnOption = Annotated[
    str, typer.Option("--text-column", metavar="NAME", help="Column of the texts.")
]
LabelColumnOption = Annotated[
    str, typer.Option("--label-column", metavar="NAME", help="Column of the labels.")
]
EncodingOption = Annotated[
    str | None, typer.Option("--encoding", metavar="NAME", help="Encoding. Default: UTF-8.")
]
DelimiterOption = Annotated[
    str | None,
    typer.Option(
        "--delimiter", metavar="CHARACTER", help="Delimiter of CSV, or `tab`. Default: a comma."
    ),
]
