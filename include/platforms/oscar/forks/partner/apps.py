"""Oscar's app of the same label, but for the classes beside this file."""

from oscar.apps.partner import apps


class PartnerConfig(apps.PartnerConfig):
    """The app under its old label."""

    name = "forks.partner"
