-- entity: shop.payment
-- key:    order_id
-- scope:  order_id
-- source: legacy.orders(id), shop.customer_order(id)
-- The payment of each order that is in the shop, from its payment code and its status.
WITH method(code, method) AS (VALUES
    ('CARD', 'card'), ('KARTA', 'card'), ('CC', 'card'), ('CREDIT_CARD', 'card'), ('DEBIT_CARD', 'card'), ('P24', 'transfer'),
    ('PRZELEW', 'transfer'), ('TRANSFER', 'transfer'), ('BANK', 'transfer'), ('BOLETO', 'transfer'),
    ('COD', 'cash_on_delivery'), ('CASH ON DELIVERY', 'cash_on_delivery'), ('POBRANIE', 'cash_on_delivery'), ('BLIK', 'blik'), ('PAYPAL', 'wallet'),
    ('GPAY', 'wallet'), ('VOUCHER', 'voucher'), ('BON', 'voucher'), ('RATY', 'instalments')
)
SELECT co.id AS order_id,
       m.method::shop.payment_method AS method,
       CASE WHEN co.status IN ('paid', 'processing', 'shipped', 'delivered', 'returned') THEN 'paid'
            WHEN co.status = 'refunded' THEN 'refunded'
            WHEN co.status = 'cancelled' THEN 'cancelled' ELSE 'pending' END::shop.payment_state AS state,
       co.total AS amount,
       co.currency,
       CASE WHEN m.method IS NULL THEN ARRAY['payment_method_unknown'] ELSE '{}' END AS problems
FROM affected a
JOIN legacy.orders o ON o.id = a.key
JOIN shop.customer_order co ON co.id = o.id
LEFT JOIN method m ON m.code = upper(btrim(o.payment_code));
