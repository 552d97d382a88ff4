"""Oscar's app of the same label, but for the classes beside this file."""

from oscar.apps.shipping import apps


class ShippingConfig(apps.ShippingConfig):
    """The app under its old label."""

    name = "forks.shipping"
