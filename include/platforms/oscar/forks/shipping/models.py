"""Oscar's own models."""

from oscar.apps.shipping.models import *  # noqa: F403, as Oscar forks an app
