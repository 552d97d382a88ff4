"""Oscar's app of the same label, but for the classes beside this file."""

from oscar.apps.checkout import apps


class CheckoutConfig(apps.CheckoutConfig):
    """The app under its old label."""

    name = "forks.checkout"
