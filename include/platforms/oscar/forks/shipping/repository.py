"""How parcels are sent."""

from decimal import Decimal

from oscar.apps.shipping import methods, repository


class Courier(methods.FixedPrice):
    """A courier at one price, VAT included."""

    code = "courier"
    name = "Kurier"
    charge_excl_tax = Decimal("12.19")
    charge_incl_tax = Decimal("14.99")


class Shop(methods.Free):
    """Fetched by the customer, free of charge."""

    code = "pick-up"
    name = "Odbiór osobisty"


class Repository(repository.Repository):
    """The courier by default."""

    methods = (Courier(), Shop())
