-- Oscar's numbers for what is born in Medusa, given in the very transaction that makes it: so both flows know at once which rows are
-- the same. Run in Medusa's database when the way back is armed; idempotent.
-- numbers: public.auth_user(id) as ferry.legacy_auth_user_id
-- numbers: public.address_useraddress(id) as ferry.legacy_address_useraddress_id
-- numbers: public.order_order(id) as ferry.legacy_order_order_id
-- numbers: public.order_line(id) as ferry.legacy_order_line_id
-- numbers: public.order_shippingaddress(id) as ferry.legacy_order_shippingaddress_id
-- numbers: public.order_billingaddress(id) as ferry.legacy_order_billingaddress_id
-- numbers: public.payment_source(id) as ferry.legacy_payment_source_id
-- They stand in metadata, which Medusa has in each of these tables, below `legacy`: that part is ours alone. What the application
-- writes there is put aside, for customers may write metadata of their own through the Store API, and a number that was made up
-- would lead to somebody else's row.
-- The functions run with the rights of who installed them: the application needs none on schema ferry.

CREATE SEQUENCE IF NOT EXISTS ferry.legacy_auth_user_id;
CREATE SEQUENCE IF NOT EXISTS ferry.legacy_address_useraddress_id;
CREATE SEQUENCE IF NOT EXISTS ferry.legacy_order_order_id;
CREATE SEQUENCE IF NOT EXISTS ferry.legacy_order_line_id;
CREATE SEQUENCE IF NOT EXISTS ferry.legacy_order_shippingaddress_id;
CREATE SEQUENCE IF NOT EXISTS ferry.legacy_order_billingaddress_id;
CREATE SEQUENCE IF NOT EXISTS ferry.legacy_payment_source_id;

-- The arguments are pairs of a name below `legacy` and the sequence of its numbers. A guest is no account in Oscar, and has none.
CREATE OR REPLACE FUNCTION ferry.number_for_legacy() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known jsonb := '{}';
BEGIN
    IF ferry.is_ours() THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        known := coalesce(OLD.metadata->'legacy', '{}');
        -- Words of people may be taken away by who leaves the number: so an erasure does.
        IF NEW.metadata->'legacy'->'id' = known->'id' THEN
            known := known - ARRAY(SELECT word FROM unnest(ARRAY['staff_notes', 'title', 'notes']) word
                                   WHERE NOT NEW.metadata->'legacy' ? word);
        END IF;
    END IF;
    IF TG_TABLE_NAME <> 'customer' OR (to_jsonb(NEW)->>'has_account')::boolean THEN
        FOR n IN 0 .. TG_NARGS / 2 - 1 LOOP
            IF NOT known ? TG_ARGV[2 * n] AND (TG_OP = 'INSERT' OR NOT known ? 'id') THEN
                known := known || jsonb_build_object(TG_ARGV[2 * n], nextval(TG_ARGV[2 * n + 1]::regclass));
            END IF;
        END LOOP;
    END IF;
    IF known <> '{}' THEN
        NEW.metadata := coalesce(nullif(NEW.metadata, 'null'), '{}') || jsonb_build_object('legacy', known);
    ELSE
        NEW.metadata := NEW.metadata - 'legacy';
    END IF;
    RETURN NEW;
END $$;

-- Identity follows the person, so that after a way back nobody is taken for the next owner of an e-mail. Of who was erased it keeps
-- no e-mail.
CREATE OR REPLACE FUNCTION ferry.customer_is_known() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF ferry.is_ours() THEN
        RETURN NULL;
    END IF;
    IF NEW.email IS NULL THEN
        UPDATE ferry.identity SET cluster = '#' || legacy_key || ' deleted'
        WHERE (entity, legacy_key) IN (SELECT e.entity, k.legacy_key FROM ferry.identity k
                                       CROSS JOIN (VALUES ('customer'), ('login')) e (entity)
                                       WHERE k.entity = 'customer' AND k.shop_id = NEW.id)
           OR entity = 'guest' AND shop_id = NEW.id;
    END IF;
    IF NEW.email IS NULL OR NOT NEW.has_account THEN
        RETURN NULL;
    END IF;
    INSERT INTO ferry.identity AS i (entity, legacy_key, shop_key, cluster, shop_id)
    SELECT 'customer', (NEW.metadata->'legacy'->>'id')::bigint, nextval('clean.person_number'), lower(NEW.email), NEW.id
    WHERE NOT EXISTS (SELECT FROM ferry.identity k WHERE k.entity = 'customer' AND k.shop_id = NEW.id)
    ON CONFLICT DO NOTHING;
    UPDATE ferry.identity SET cluster = lower(NEW.email)
    WHERE entity = 'customer' AND shop_id = NEW.id AND cluster NOT LIKE '#%' AND cluster <> lower(NEW.email);
    UPDATE ferry.identity l SET cluster = i.cluster
    FROM ferry.identity i
    WHERE i.entity = 'customer' AND i.shop_id = NEW.id AND l.entity = 'login' AND l.legacy_key = i.legacy_key AND l.cluster <> i.cluster;
    RETURN NULL;
END $$;

-- What a customer logs in with names the customer once it is made; then it is known by the account's number.
CREATE OR REPLACE FUNCTION ferry.login_is_known() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT ferry.is_ours() THEN
        INSERT INTO ferry.identity (entity, legacy_key, shop_key, cluster, shop_id)
        SELECT 'login', i.legacy_key, nextval('clean.person_number'), i.cluster, NEW.id
        FROM ferry.identity i
        WHERE i.entity = 'customer' AND i.shop_id = NEW.app_metadata->>'customer_id'
          AND NOT EXISTS (SELECT FROM ferry.identity k WHERE k.entity = 'login' AND (k.shop_id = NEW.id OR k.legacy_key = i.legacy_key));
    END IF;
    RETURN NULL;
END $$;

-- An order keeps its id, and a guest the row of its e-mail.
CREATE OR REPLACE FUNCTION ferry.order_is_known() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    number bigint := (NEW.metadata->'legacy'->>'id')::bigint;
BEGIN
    IF ferry.is_ours() THEN
        RETURN NULL;
    END IF;
    INSERT INTO ferry.identity (entity, legacy_key, shop_key, cluster, shop_id)
    VALUES ('order', number, number, number::text, NEW.id) ON CONFLICT DO NOTHING;
    INSERT INTO ferry.identity (entity, legacy_key, shop_key, cluster, shop_id)
    SELECT 'guest', number, coalesce(g.shop_key, nextval('clean.person_number')), lower(c.email), c.id
    FROM public.customer c
    LEFT JOIN LATERAL (SELECT min(i.shop_key) AS shop_key FROM ferry.identity i WHERE i.entity = 'guest' AND i.shop_id = c.id) g ON true
    WHERE c.id = NEW.customer_id AND NOT c.has_account
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER shopferry_number BEFORE INSERT OR UPDATE ON public.customer
FOR EACH ROW EXECUTE FUNCTION ferry.number_for_legacy('id', 'ferry.legacy_auth_user_id');
CREATE OR REPLACE TRIGGER shopferry_number BEFORE INSERT OR UPDATE ON public.customer_address
FOR EACH ROW EXECUTE FUNCTION ferry.number_for_legacy('id', 'ferry.legacy_address_useraddress_id');
CREATE OR REPLACE TRIGGER shopferry_number BEFORE INSERT OR UPDATE ON public.order_address
FOR EACH ROW EXECUTE FUNCTION ferry.number_for_legacy('id', 'ferry.legacy_order_shippingaddress_id',
                                                      'billing_id', 'ferry.legacy_order_billingaddress_id');
CREATE OR REPLACE TRIGGER shopferry_number BEFORE INSERT OR UPDATE ON public."order"
FOR EACH ROW EXECUTE FUNCTION ferry.number_for_legacy('id', 'ferry.legacy_order_order_id');
CREATE OR REPLACE TRIGGER shopferry_number BEFORE INSERT OR UPDATE ON public.order_line_item
FOR EACH ROW EXECUTE FUNCTION ferry.number_for_legacy('id', 'ferry.legacy_order_line_id');
CREATE OR REPLACE TRIGGER shopferry_number BEFORE INSERT OR UPDATE ON public.payment
FOR EACH ROW EXECUTE FUNCTION ferry.number_for_legacy('id', 'ferry.legacy_payment_source_id');
CREATE OR REPLACE TRIGGER shopferry_known AFTER INSERT OR UPDATE OF email, has_account ON public.customer
FOR EACH ROW EXECUTE FUNCTION ferry.customer_is_known();
CREATE OR REPLACE TRIGGER shopferry_known AFTER INSERT OR UPDATE OF app_metadata ON public.auth_identity
FOR EACH ROW EXECUTE FUNCTION ferry.login_is_known();
CREATE OR REPLACE TRIGGER shopferry_known AFTER INSERT ON public."order"
FOR EACH ROW EXECUTE FUNCTION ferry.order_is_known();
