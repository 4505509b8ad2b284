"""Render a page from a template as one HTML file that needs no other file."""

import base64
import functools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, **values: Any) -> str:
    """Return the page of `templates/TEMPLATE`, with its style and its pictures inline.

    Args:
      template: file name, such as "run.html".
      values: what the template names; texts are escaped. The filter `png` turns the bytes of a picture into a source.

    Raises:
      jinja2.UndefinedError: the template names a value that is not given.
    """
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # not at the top: most commands write no page

    environment = Environment(
        loader=PackageLoader("tfdgm.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["png"] = _data_uri
    return environment


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
