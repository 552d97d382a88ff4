"""Prices with Polish VAT: Oscar's default charges none."""

from decimal import Decimal

from oscar.apps.partner import strategy

VAT = Decimal("0.23")
VAT_OF_BOOKS = Decimal("0.05")


class Default(strategy.UseFirstStockRecord, strategy.StockRequired, strategy.FixedRateTax, strategy.Structured):
    """Net prices, and a rate by the class of the product; the wholesaler's prices keep four decimals, as Oscar's do."""

    def get_rate(self, product, stockrecord):
        """Books have a rate of their own."""
        return VAT_OF_BOOKS if product.get_product_class().name == "Books" else VAT

    def get_exponent(self, stockrecord):
        """To the grosz, but for one supplier."""
        return self.exponent if stockrecord.partner.code == "wholesale" else Decimal("0.01")


class Selector(strategy.Selector):
    """One strategy for all."""

    def strategy(self, request=None, user=None, **kwargs):
        """The strategy of a request."""
        return Default(request)
