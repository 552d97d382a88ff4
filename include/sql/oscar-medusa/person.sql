-- identity: customer
-- What belongs to one person, in Oscar and in Medusa: docs/howto/requests.md. Runs in psql, query by query, in the store that its name
-- begins with. `… person` and `… guests` are given CREATE TEMP TABLE asked (value text, email text, phone text), what somebody
-- typed and what the libraries made of it; the others are given CREATE TEMP TABLE person (id …) with that store's keys of the person, and
-- their_<table> of each query above them. Each yields the primary key of its table.
-- Tables of plugins and of the shop's own code are yours to add: an erasure ends with a search that names each table in which an e-mail
-- or a number still stands. What your Oscar does not have, such as reviews, is to be taken out, here and in personal.txt.

-- name: legacy.person
-- An account of Oscar has no phone; one of its addresses may.
SELECT u.id, btrim(concat_ws(' ', u.first_name, u.last_name)) AS called
FROM auth_user u
JOIN asked a ON lower(btrim(u.email)) = a.email
             OR EXISTS (SELECT FROM address_useraddress d
                        WHERE d.user_id = u.id AND regexp_replace(d.phone_number, '\D', '', 'g') LIKE '%' || right(a.phone, 9));

-- name: legacy.guests
-- Orders of who has no account, by the e-mail or number that they gave.
SELECT 'order_order' AS "table", o.id, btrim(concat_ws(' ', d.first_name, d.last_name)) AS called
FROM order_order o
LEFT JOIN order_shippingaddress d ON d.id = o.shipping_address_id
JOIN asked a ON lower(btrim(o.guest_email)) = a.email OR regexp_replace(d.phone_number, '\D', '', 'g') LIKE '%' || right(a.phone, 9)
WHERE o.user_id IS NULL;

-- name: legacy.obstacles
-- States are the shop's own words: those of orders that are still to be sent.
SELECT 'order ' || o.number || ' is under way' AS what
FROM order_order o JOIN their_order_order t ON t.id = o.id
WHERE o.status IN ('Pending', 'Being processed');

-- name: legacy.auth_user
SELECT id FROM person;

-- name: legacy.address_useraddress
SELECT d.id FROM address_useraddress d JOIN person p ON p.id = d.user_id;

-- name: legacy.order_order
-- Those of the account, and those that were placed with its e-mail and without signing in.
SELECT o.id FROM order_order o JOIN person p ON p.id = o.user_id
UNION
SELECT o.id FROM order_order o
WHERE o.user_id IS NULL
  AND lower(btrim(o.guest_email)) IN (SELECT lower(btrim(u.email)) FROM auth_user u JOIN person USING (id) WHERE u.email LIKE '%@%');

-- name: legacy.order_shippingaddress
SELECT DISTINCT o.shipping_address_id AS id FROM order_order o JOIN their_order_order t ON t.id = o.id
WHERE o.shipping_address_id IS NOT NULL;

-- name: legacy.order_billingaddress
SELECT DISTINCT o.billing_address_id AS id FROM order_order o JOIN their_order_order t ON t.id = o.id
WHERE o.billing_address_id IS NOT NULL;

-- name: legacy.order_line
SELECT l.id FROM order_line l JOIN their_order_order o ON o.id = l.order_id;

-- name: legacy.order_surcharge
SELECT s.id FROM order_surcharge s JOIN their_order_order o ON o.id = s.order_id;

-- name: legacy.order_orderdiscount
SELECT d.id FROM order_orderdiscount d JOIN their_order_order o ON o.id = d.order_id;

-- name: legacy.order_orderlinediscount
SELECT d.id FROM order_orderlinediscount d JOIN their_order_line l ON l.id = d.line_id;

-- name: legacy.order_ordernote
SELECT n.id FROM order_ordernote n JOIN their_order_order o ON o.id = n.order_id;

-- name: legacy.order_orderstatuschange
SELECT c.id FROM order_orderstatuschange c JOIN their_order_order o ON o.id = c.order_id;

-- name: legacy.order_shippingevent
SELECT e.id FROM order_shippingevent e JOIN their_order_order o ON o.id = e.order_id;

-- name: legacy.order_shippingeventquantity
SELECT q.id FROM order_shippingeventquantity q JOIN their_order_shippingevent e ON e.id = q.event_id;

-- name: legacy.payment_source
SELECT s.id FROM payment_source s JOIN their_order_order o ON o.id = s.order_id;

-- name: legacy.payment_transaction
SELECT t.id FROM payment_transaction t JOIN their_payment_source s ON s.id = t.source_id;

-- name: legacy.communication_email
-- This and the tables below are read by no mapping.
SELECT e.id FROM communication_email e JOIN person p ON p.id = e.user_id
UNION
SELECT e.id FROM communication_email e
WHERE lower(btrim(e.email)) IN (SELECT lower(btrim(u.email)) FROM auth_user u JOIN person USING (id) WHERE u.email LIKE '%@%'
                                 UNION SELECT lower(btrim(o.guest_email)) FROM order_order o JOIN their_order_order USING (id)
                                 WHERE o.guest_email LIKE '%@%');

-- name: legacy.communication_notification
SELECT n.id FROM communication_notification n JOIN person p ON p.id = n.recipient_id;

-- name: legacy.customer_productalert
SELECT w.id FROM customer_productalert w JOIN person p ON p.id = w.user_id
UNION
SELECT w.id FROM customer_productalert w
WHERE lower(btrim(w.email)) IN (SELECT lower(btrim(u.email)) FROM auth_user u JOIN person USING (id) WHERE u.email LIKE '%@%'
                                 UNION SELECT lower(btrim(o.guest_email)) FROM order_order o JOIN their_order_order USING (id)
                                 WHERE o.guest_email LIKE '%@%');

-- name: legacy.reviews_productreview
SELECT r.id FROM reviews_productreview r JOIN person p ON p.id = r.user_id
UNION
SELECT r.id FROM reviews_productreview r
WHERE lower(btrim(r.email)) IN (SELECT lower(btrim(u.email)) FROM auth_user u JOIN person USING (id) WHERE u.email LIKE '%@%'
                                 UNION SELECT lower(btrim(o.guest_email)) FROM order_order o JOIN their_order_order USING (id)
                                 WHERE o.guest_email LIKE '%@%');

-- name: legacy.payment_bankcard
SELECT b.id FROM payment_bankcard b JOIN person p ON p.id = b.user_id;

-- name: shop.person
-- Medusa keeps the row of a customer who was deleted.
SELECT c.id, btrim(concat_ws(' ', c.first_name, c.last_name)) AS called
FROM public.customer c
JOIN asked a ON lower(btrim(c.email)) = a.email
             OR regexp_replace(c.phone, '\D', '', 'g') LIKE '%' || right(a.phone, 9)
             OR EXISTS (SELECT FROM public.customer_address d
                        WHERE d.customer_id = c.id AND regexp_replace(d.phone, '\D', '', 'g') LIKE '%' || right(a.phone, 9))
WHERE c.has_account;

-- name: shop.guests
-- A guest is a customer without an account, and the orders that name one or nobody.
SELECT 'customer' AS "table", c.id, btrim(concat_ws(' ', c.first_name, c.last_name)) AS called
FROM public.customer c
JOIN asked a ON lower(btrim(c.email)) = a.email OR regexp_replace(c.phone, '\D', '', 'g') LIKE '%' || right(a.phone, 9)
WHERE NOT c.has_account
UNION ALL
SELECT 'order', o.id, btrim(concat_ws(' ', d.first_name, d.last_name))
FROM public."order" o
LEFT JOIN public.customer c ON c.id = o.customer_id
LEFT JOIN public.order_address d ON d.id = o.shipping_address_id
JOIN asked a ON lower(btrim(o.email)) = a.email OR regexp_replace(d.phone, '\D', '', 'g') LIKE '%' || right(a.phone, 9)
WHERE c.has_account IS NOT TRUE;

-- name: shop.obstacles
-- Medusa's state of an order says nothing of parcels: what is pending may have been sent.
SELECT 'order ' || coalesce(o.custom_display_id, o.display_id::text, o.id) || ' is under way' AS what
FROM public."order" o JOIN their_order t ON t.id = o.id
WHERE o.status IN ('pending', 'requires_action') AND o.deleted_at IS NULL
  AND EXISTS (SELECT FROM public.order_item i
              WHERE i.order_id = o.id AND i.version = o.version AND i.deleted_at IS NULL AND i.shipped_quantity < i.quantity);

-- name: shop.customer
-- The account, and what stands under its e-mail beside it: a guest, or an account that was deleted before.
SELECT id FROM person
UNION
SELECT g.id FROM public.customer g JOIN public.customer c ON g.email = c.email JOIN person p ON p.id = c.id
WHERE NOT g.has_account OR g.deleted_at IS NOT NULL;

-- name: shop.customer_address
SELECT d.id FROM public.customer_address d JOIN their_customer c ON c.id = d.customer_id;

-- name: shop.auth_identity
SELECT t.id FROM public.auth_identity t JOIN their_customer c ON c.id = t.app_metadata->>'customer_id';

-- name: shop.provider_identity
SELECT i.id FROM public.provider_identity i JOIN their_auth_identity t ON t.id = i.auth_identity_id;

-- name: shop.order
-- Those of the customer, and those that were placed with the same e-mail by a guest.
SELECT o.id FROM public."order" o JOIN their_customer c ON c.id = o.customer_id
UNION
SELECT o.id FROM public."order" o JOIN public.customer c ON o.email = c.email JOIN person p ON p.id = c.id
WHERE o.customer_id IS NULL;

-- name: shop.order_address
SELECT o.shipping_address_id AS id FROM public."order" o JOIN their_order t ON t.id = o.id WHERE o.shipping_address_id IS NOT NULL
UNION
SELECT o.billing_address_id FROM public."order" o JOIN their_order t ON t.id = o.id WHERE o.billing_address_id IS NOT NULL;

-- name: shop.order_summary
SELECT s.id FROM public.order_summary s JOIN their_order o ON o.id = s.order_id;

-- name: shop.order_item
SELECT i.id FROM public.order_item i JOIN their_order o ON o.id = i.order_id;

-- name: shop.order_line_item
SELECT DISTINCT i.item_id AS id FROM public.order_item i JOIN their_order o ON o.id = i.order_id;

-- name: shop.order_line_item_adjustment
SELECT a.id FROM public.order_line_item_adjustment a JOIN their_order_line_item l ON l.id = a.item_id;

-- name: shop.order_line_item_tax_line
SELECT x.id FROM public.order_line_item_tax_line x JOIN their_order_line_item l ON l.id = x.item_id;

-- name: shop.order_shipping
SELECT s.id FROM public.order_shipping s JOIN their_order o ON o.id = s.order_id;

-- name: shop.order_shipping_method
SELECT DISTINCT s.shipping_method_id AS id FROM public.order_shipping s JOIN their_order o ON o.id = s.order_id;

-- name: shop.order_shipping_method_adjustment
SELECT a.id FROM public.order_shipping_method_adjustment a JOIN their_order_shipping_method m ON m.id = a.shipping_method_id;

-- name: shop.order_shipping_method_tax_line
SELECT x.id FROM public.order_shipping_method_tax_line x JOIN their_order_shipping_method m ON m.id = x.shipping_method_id;

-- name: shop.order_transaction
SELECT x.id FROM public.order_transaction x JOIN their_order o ON o.id = x.order_id;

-- name: shop.order_fulfillment
SELECT f.order_id, f.fulfillment_id FROM public.order_fulfillment f JOIN their_order o ON o.id = f.order_id;

-- name: shop.fulfillment
SELECT DISTINCT f.fulfillment_id AS id FROM their_order_fulfillment f;

-- name: shop.fulfillment_address
SELECT DISTINCT f.delivery_address_id AS id FROM public.fulfillment f JOIN their_fulfillment t ON t.id = f.id
WHERE f.delivery_address_id IS NOT NULL;

-- name: shop.fulfillment_item
SELECT i.id FROM public.fulfillment_item i JOIN their_fulfillment f ON f.id = i.fulfillment_id;

-- name: shop.fulfillment_label
SELECT l.id FROM public.fulfillment_label l JOIN their_fulfillment f ON f.id = l.fulfillment_id;

-- name: shop.order_payment_collection
SELECT k.order_id, k.payment_collection_id FROM public.order_payment_collection k JOIN their_order o ON o.id = k.order_id;

-- name: shop.payment_collection
SELECT DISTINCT k.payment_collection_id AS id FROM their_order_payment_collection k;

-- name: shop.payment_session
SELECT s.id FROM public.payment_session s JOIN their_payment_collection k ON k.id = s.payment_collection_id;

-- name: shop.payment
SELECT y.id FROM public.payment y JOIN their_payment_collection k ON k.id = y.payment_collection_id;

-- name: shop.capture
SELECT x.id FROM public.capture x JOIN their_payment y ON y.id = x.payment_id;

-- name: shop.refund
SELECT x.id FROM public.refund x JOIN their_payment y ON y.id = x.payment_id;

-- name: shop.cart
-- This and the tables below are filled by no mapping.
SELECT k.id FROM public.cart k JOIN their_customer c ON c.id = k.customer_id
UNION
SELECT k.id FROM public.cart k
WHERE lower(k.email) IN (SELECT lower(c.email) FROM public.customer c JOIN their_customer USING (id)
                         UNION SELECT lower(o.email) FROM public."order" o JOIN their_order USING (id));

-- name: shop.cart_address
SELECT k.shipping_address_id AS id FROM public.cart k JOIN their_cart t ON t.id = k.id WHERE k.shipping_address_id IS NOT NULL
UNION
SELECT k.billing_address_id FROM public.cart k JOIN their_cart t ON t.id = k.id WHERE k.billing_address_id IS NOT NULL;

-- name: shop.notification
SELECT n.id FROM public.notification n JOIN their_customer c ON c.id = n.receiver_id
UNION
SELECT n.id FROM public.notification n
WHERE lower(n."to") IN (SELECT lower(c.email) FROM public.customer c JOIN their_customer USING (id)
                         UNION SELECT lower(o.email) FROM public."order" o JOIN their_order USING (id));

-- name: shop.account_holder
-- What the payment provider calls the customer.
SELECT h.id FROM public.account_holder h
WHERE lower(h.email) IN (SELECT lower(c.email) FROM public.customer c JOIN their_customer USING (id)
                         UNION SELECT lower(o.email) FROM public."order" o JOIN their_order USING (id));
