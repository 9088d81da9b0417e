"""What the pages load: everything from the book itself, and buttons only with a repository."""

import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
MATHJAX = Path("sphinx-mathjax-offline/static/mathjax")
LOADED_ON_DEMAND = ("output/chtml/fonts/**/*.*", "input/tex/extensions/*.js")
BUTTONS = ("use_repository_button", "use_edit_page_button", "use_issues_button")
# A notebook is edited as text.
EDIT = (
    "{{ github_url }}/{{ github_user }}/{{ github_repo }}/edit/{{ github_version }}/{{ doc_path }}"
    "{% if file_name.endswith('.ipynb') %}_src/{{ file_name[:-6] }}.md"
    "{% else %}{{ file_name }}{% endif %}"
)
UNPUBLISHED = "Tell whoever you have this book from: it has no public address yet."
LAUNCH = {
    "notebook_interface": "jupyterlab",
    "binderhub_url": "https://mybinder.org",
    "colab_url": "https://colab.research.google.com",
}


def configure(app: Sphinx, config: Config) -> None:
    """Show the buttons that need a repository only if ``_config.yml`` sets ``repository.url``."""
    options = config.html_theme_options
    published = bool(options.get("repository_url"))
    options.update(dict.fromkeys(BUTTONS, published))
    options["launch_buttons"] = LAUNCH if published else {}
    issues = f"{options.get('repository_url')}/issues/new"
    config.myst_substitutions = config.myst_substitutions | {
        "feedback": f"[Open an issue]({issues})." if published else UNPUBLISHED
    }
    if published:
        config.html_context |= {"edit_page_provider_name": "GitHub", "edit_page_url_template": EDIT}


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Put into the HTML what the pages load of MathJax, and what it fetches when needed."""
    if error is not None or app.builder.format != "html":
        return
    source = Path(str(metadata.distribution("sphinx-mathjax-offline").locate_file(MATHJAX)))
    target = Path(app.outdir) / "_static" / "mathjax"
    loaded = [f"{name}.js" for name in app.config.mathjax3_config["loader"]["load"]]
    for pattern in ("startup.js", *loaded, *LOADED_ON_DEMAND):
        for file in source.glob(pattern):
            (target / file.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target / file.relative_to(source))


def drop_thebe(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Jupyter Book loads Thebe on every page; its kernel would come from another host."""
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, []) if not is_thebe(file)]


def is_thebe(file: Any) -> bool:
    """Whether a script or style sheet, inline ones too, is Thebe's."""
    said = f"{getattr(file, 'filename', '')} {getattr(file, 'attributes', {}).get('body', '')}"
    return "thebe" in said.lower()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.connect("config-inited", configure, priority=900)
    app.connect("build-finished", copy_mathjax)
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
