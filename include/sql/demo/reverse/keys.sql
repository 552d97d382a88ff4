-- Legacy's keys for what is born in the new shop, given in the very transaction that makes it: so both flows know at once
-- which rows are the same. Run in the new shop's database when the way back is armed; idempotent.
-- numbers: public.customers(id) as ferry.legacy_customers_id
-- numbers: public.addresses(id) as ferry.legacy_addresses_id
-- numbers: public.consents(id) as ferry.legacy_consents_id
-- numbers: public.loyalty_log(id) as ferry.legacy_loyalty_log_id
-- Texts of consents, orders, lines, events, invoices, loyalty accounts, redemptions, rewards and promotions have the same keys in both
-- stores. Their numbers go on where legacy's stand as well: the newest may be in quarantine, and must not be given out again.
-- numbers: public.consent_texts(id) as shop.consent_text_id_seq
-- numbers: public.orders(id) as shop.customer_order_id_seq
-- numbers: public.order_items(id) as shop.order_line_id_seq
-- numbers: public.order_status_log(id) as shop.order_event_id_seq
-- numbers: public.order_invoices(id) as shop.order_invoice_id_seq
-- numbers: public.loyalty_accounts(id) as shop.loyalty_account_id_seq
-- numbers: public.loyalty_redemptions(id) as shop.loyalty_redemption_id_seq
-- numbers: public.loyalty_rewards(id) as shop.loyalty_reward_id_seq
-- numbers: public.promotions(id) as shop.promotion_id_seq
-- Where a trigger finds that our own flow writes, it leaves the row as it is. The functions run with the rights of who
-- installed them: the application needs none on schema ferry.

CREATE SEQUENCE IF NOT EXISTS ferry.legacy_customers_id;
CREATE SEQUENCE IF NOT EXISTS ferry.legacy_addresses_id;
CREATE SEQUENCE IF NOT EXISTS ferry.legacy_consents_id;
CREATE SEQUENCE IF NOT EXISTS ferry.legacy_loyalty_log_id;

-- A new customer is an account of its own in legacy.
CREATE OR REPLACE FUNCTION ferry.customer_is_born() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT ferry.is_ours() THEN
        NEW.legacy_customer_id := coalesce(NEW.legacy_customer_id, nextval('ferry.legacy_customers_id'));
    END IF;
    RETURN NEW;
END $$;

-- Identity follows the person, so that after a way back nobody is taken for the next owner of an address.
CREATE OR REPLACE FUNCTION ferry.customer_is_known() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF ferry.is_ours() THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO shop.customer_account (legacy_customer_id, customer_id) VALUES (NEW.legacy_customer_id, NEW.id);
        INSERT INTO ferry.identity (entity, legacy_key, shop_key, cluster)
        SELECT e, NEW.legacy_customer_id, NEW.id, NEW.email FROM unnest(ARRAY['account', 'customer']) e;
    ELSIF TG_OP = 'UPDATE' THEN
        -- An account that a decision has joined keeps its own address, and what it would be alone.
        UPDATE ferry.identity i SET cluster = NEW.email
        WHERE i.entity = 'customer' AND i.shop_key = NEW.id AND i.cluster NOT LIKE '#%' AND i.cluster = OLD.email;
        UPDATE ferry.identity i SET cluster = NEW.email
        WHERE i.entity = 'account' AND i.cluster = OLD.email AND i.legacy_key IN (
            SELECT a.legacy_customer_id FROM shop.customer_account a WHERE a.customer_id = NEW.id AND a.email IS NULL);
        UPDATE ferry.identity i SET shop_key = k.shop_key
        FROM (SELECT shop_key FROM ferry.identity WHERE entity = 'account' AND cluster = NEW.email ORDER BY legacy_key LIMIT 1) k
        WHERE i.entity = 'account' AND i.cluster = NEW.email AND i.shop_key <> k.shop_key;
    ELSE
        DELETE FROM ferry.identity i
        WHERE i.entity = 'account' AND i.legacy_key IN (
            SELECT c.legacy_key FROM ferry.identity c WHERE c.entity = 'customer' AND c.shop_key = OLD.id);
        DELETE FROM ferry.identity WHERE entity = 'customer' AND shop_key = OLD.id;
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION ferry.address_is_born() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF ferry.is_ours() OR NEW.source_key IS NOT NULL THEN
        RETURN NEW;
    END IF;
    SELECT legacy_customer_id INTO NEW.legacy_customer_id FROM shop.customer WHERE id = NEW.customer_id;
    -- An old account has one billing address, within its own record.
    IF NEW.is_billing AND NOT EXISTS (
        SELECT FROM shop.customer_address WHERE source_key = 'billing:' || NEW.legacy_customer_id
    ) THEN
        NEW.source_key := 'billing:' || NEW.legacy_customer_id;
    ELSE
        NEW.legacy_address_id := nextval('ferry.legacy_addresses_id');
        NEW.source_key := 'address:' || NEW.legacy_address_id;
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION ferry.credential_is_born() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT ferry.is_ours() THEN
        SELECT legacy_customer_id INTO NEW.legacy_customer_id FROM shop.customer WHERE id = NEW.customer_id;
    END IF;
    RETURN NEW;
END $$;

-- The evidence of a consent to marketing is the list of its declarations, and legacy's table of them is made of it. A grant is
-- declared for each of the person's accounts, since in legacy no account overrules the withdrawal of another; a withdrawal is
-- noted in all that it ends, whichever account declared it: else a grant would come to life again when the deciding account
-- leaves.
CREATE OR REPLACE FUNCTION ferry.consent_is_declared() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    account bigint;
    given timestamp := NEW.granted_at AT TIME ZONE 'Europe/Warsaw';
    taken timestamp := NEW.withdrawn_at AT TIME ZONE 'Europe/Warsaw';
BEGIN
    IF ferry.is_ours() THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        NEW.evidence := OLD.evidence;
        NEW.legacy_consent_id := OLD.legacy_consent_id;
        NEW.legacy_customer_id := OLD.legacy_customer_id;
        IF ROW(NEW.state, NEW.granted_at, NEW.granted_ip, NEW.wording_version, NEW.withdrawn_at, NEW.confirmed_at)
            IS NOT DISTINCT FROM
            ROW(OLD.state, OLD.granted_at, OLD.granted_ip, OLD.wording_version, OLD.withdrawn_at, OLD.confirmed_at) THEN
            RETURN NEW;
        END IF;
    END IF;
    -- As it will be read out of legacy again, where nobody saw for which address it was.
    NEW.address_mark := NULL;
    NEW.why := CASE WHEN NEW.state = 'granted' THEN 'proven' WHEN NEW.state = 'withdrawn' THEN 'withdrawn'
                    WHEN given IS NULL THEN 'consent_time_missing' ELSE 'wording_missing' END;
    IF TG_OP = 'UPDATE' THEN
        IF NEW.state = 'withdrawn' AND EXISTS (
            SELECT FROM jsonb_array_elements(OLD.evidence) e WHERE (e->>'consent')::bigint = OLD.legacy_consent_id
        ) THEN
            SELECT jsonb_agg(CASE
                       WHEN (e->>'consent')::bigint IS DISTINCT FROM OLD.legacy_consent_id
                           AND (e->>'withdrawn' IS NOT NULL OR e->>'said' IN ('N', '0', 'F')) THEN e
                       WHEN taken IS NULL THEN e || jsonb_build_object('said', 'N')
                       ELSE e || jsonb_build_object('withdrawn', taken) END ORDER BY n)
            INTO NEW.evidence FROM jsonb_array_elements(OLD.evidence) WITH ORDINALITY AS x (e, n);
            RETURN NEW;
        END IF;
    END IF;
    FOR account IN
        SELECT legacy_customer_id FROM shop.customer_account WHERE customer_id = NEW.customer_id
        UNION SELECT legacy_customer_id FROM shop.customer WHERE id = NEW.customer_id
        ORDER BY 1
    LOOP
        NEW.legacy_customer_id := account;
        NEW.legacy_consent_id := nextval('ferry.legacy_consents_id');
        NEW.evidence := NEW.evidence || jsonb_build_object(
            'consent', NEW.legacy_consent_id, 'account', account,
            'said', CASE WHEN NEW.state = 'withdrawn' AND given IS NULL THEN 'N' ELSE 'T' END,
            'at', given, 'ip', host(NEW.granted_ip),
            'wording', CASE WHEN NEW.state <> 'unproven' THEN NEW.wording_version END, 'withdrawn', taken
        ) || CASE WHEN NEW.confirmed_at IS NULL THEN '{}'
                  ELSE jsonb_build_object('confirmed', NEW.confirmed_at AT TIME ZONE 'Europe/Warsaw') END;
    END LOOP;
    -- The newest declaration decides, and that is the last account's.
    RETURN NEW;
END $$;

-- Of the newsletter, the evidence is what the flag of each account says, and legacy's flags are made of it. A withdrawal turns
-- them all, for legacy writes to whoever has one, and accounts may part; a grant turns those that refuse.
CREATE OR REPLACE FUNCTION ferry.newsletter_is_flagged() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    withdrawn boolean := NEW.state = 'withdrawn';
    -- Legacy takes no refusal without a date for one: without a time, it is the day when it was noted.
    at timestamptz := CASE WHEN withdrawn THEN coalesce(NEW.withdrawn_at, now()) ELSE NEW.granted_at END;
    flag jsonb := jsonb_build_object('newsletter', CASE WHEN withdrawn THEN 'N' ELSE 'T' END,
                                     'date', to_char(at AT TIME ZONE 'Europe/Warsaw', 'YYYY-MM-DD'));
    lead bigint;
BEGIN
    IF ferry.is_ours() THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        NEW.evidence := OLD.evidence;
        NEW.legacy_customer_id := OLD.legacy_customer_id;
        IF ROW(NEW.state, NEW.granted_at, NEW.withdrawn_at)
            IS NOT DISTINCT FROM ROW(OLD.state, OLD.granted_at, OLD.withdrawn_at) THEN
            RETURN NEW;
        END IF;
    END IF;
    NEW.why := CASE WHEN withdrawn THEN 'withdrawn' ELSE 'flag_only' END;
    SELECT legacy_customer_id INTO lead FROM shop.customer WHERE id = NEW.customer_id;
    NEW.legacy_customer_id := coalesce(NEW.legacy_customer_id, lead);
    IF NOT jsonb_path_exists(NEW.evidence, '$[*].account') THEN
        NEW.evidence := NEW.evidence || jsonb_build_object('account', lead);
    END IF;
    SELECT jsonb_agg(CASE WHEN e ? 'account' AND (withdrawn OR e->>'newsletter' IN ('T', 'Y', '1') IS NOT TRUE) THEN e || flag
                          ELSE e END ORDER BY n)
    INTO NEW.evidence FROM jsonb_array_elements(NEW.evidence) WITH ORDINALITY AS x (e, n);
    RETURN NEW;
END $$;

-- A wish that is said here is no more what was made of the old shop, and takes the place of what stands there.
CREATE OR REPLACE FUNCTION ferry.wish_is_said() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT ferry.is_ours() THEN
        NEW.source := NULL;
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION ferry.entry_is_born() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT ferry.is_ours() AND NEW.source_key IS NULL AND NEW.kind <> 'adjustment' THEN
        NEW.legacy_log_id := nextval('ferry.legacy_loyalty_log_id');
        NEW.source_key := 'log:' || NEW.legacy_log_id;
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE TRIGGER shopferry_born BEFORE INSERT ON shop.customer
    FOR EACH ROW EXECUTE FUNCTION ferry.customer_is_born();
CREATE OR REPLACE TRIGGER shopferry_known AFTER INSERT OR DELETE OR UPDATE OF email ON shop.customer
    FOR EACH ROW EXECUTE FUNCTION ferry.customer_is_known();
CREATE OR REPLACE TRIGGER shopferry_born BEFORE INSERT ON shop.customer_address
    FOR EACH ROW EXECUTE FUNCTION ferry.address_is_born();
CREATE OR REPLACE TRIGGER shopferry_born BEFORE INSERT ON shop.customer_credential
    FOR EACH ROW EXECUTE FUNCTION ferry.credential_is_born();
CREATE OR REPLACE TRIGGER shopferry_declared BEFORE INSERT OR UPDATE ON shop.consent
    FOR EACH ROW WHEN (NEW.purpose = 'marketing') EXECUTE FUNCTION ferry.consent_is_declared();
CREATE OR REPLACE TRIGGER shopferry_flagged BEFORE INSERT OR UPDATE ON shop.consent
    FOR EACH ROW WHEN (NEW.purpose = 'newsletter') EXECUTE FUNCTION ferry.newsletter_is_flagged();
CREATE OR REPLACE TRIGGER shopferry_said BEFORE INSERT ON shop.communication_preference
    FOR EACH ROW EXECUTE FUNCTION ferry.wish_is_said();
CREATE OR REPLACE TRIGGER shopferry_said_again BEFORE UPDATE ON shop.communication_preference
    FOR EACH ROW WHEN (ROW(NEW.frequency, NEW.topics) IS DISTINCT FROM ROW(OLD.frequency, OLD.topics))
    EXECUTE FUNCTION ferry.wish_is_said();
CREATE OR REPLACE TRIGGER shopferry_born BEFORE INSERT ON shop.loyalty_entry
    FOR EACH ROW EXECUTE FUNCTION ferry.entry_is_born();
