"""The steps of hack/quickstart after the build."""


class QuickstartError(Exception):
    """A step did not do what it should; the text says what and what to do."""
