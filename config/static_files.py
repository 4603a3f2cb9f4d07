"""Names with a hash for collected static files, in the imports of JavaScript modules too."""

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class HashedStaticFilesStorage(ManifestStaticFilesStorage):
    """Django's storage, which by default leaves imports as they are: only the entry of a page would have a hash.

    Its switch for imports (``support_js_module_import_aggregation``) follows the types in JSDoc comments too, which
    may refer to each other in a circle; then no hash can be computed. These patterns match statements alone.
    """

    max_post_process_passes = 20  # modules import modules, up to this depth
    patterns = (
        *ManifestStaticFilesStorage.patterns,
        (
            "*.js",
            (
                (
                    r"""(?m)(?P<matched>^(?P<start>import\s*|(?:import|export)\b[^;'"]*\bfrom\s*)["'](?P<url>\.[^"']+)["'];)""",
                    """%(start)s"%(url)s";""",
                ),
            ),
        ),
    )
