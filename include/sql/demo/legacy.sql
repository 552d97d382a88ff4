-- The legacy store of the demo route: a shop's database twenty years old, and it shows.
-- No foreign keys, no checks, flags as letters, a date kept as text, local time (Europe/Warsaw) without zone,
-- 0 where "nobody" is meant, addresses repeated inside orders. Columns that no mapping reads are left as they were found.

CREATE TABLE customers (
    id              serial PRIMARY KEY,
    login           varchar(96),
    email           varchar(255),
    full_name       varchar(255),
    phone           varchar(64),
    pass_hash       varchar(255),          -- of every generation the shop has had
    salt            varchar(40),
    bill_company    varchar(255),
    bill_street     varchar(255),
    bill_postcode   varchar(20),
    bill_city       varchar(128),
    bill_country    varchar(64),
    newsletter      char(1) DEFAULT 'N',   -- T/N
    newsletter_date varchar(32),           -- "2011-03-05", "05.03.2011", "0000-00-00", …
    news_frequency  varchar(16),           -- how often news may come: "W", "weekly", "tyg.", "mies.", "never", "0", …
    news_topics     varchar(255),          -- "Książki; zabawki", "books|sale", "home,,HOME", …
    active          char(1) DEFAULT 'T',
    deleted         char(1) DEFAULT 'N',
    last_ip         varchar(64),
    last_login      timestamp,
    created_at      timestamp
);
CREATE INDEX customers_email ON customers (email);
CREATE INDEX customers_email_folded ON customers (lower(btrim(email)));

CREATE TABLE addresses (
    id           serial PRIMARY KEY,
    customer_id  integer NOT NULL DEFAULT 0,
    full_name    varchar(255),
    company      varchar(255),
    street       varchar(255),
    postcode     varchar(20),
    city         varchar(128),
    country      varchar(64),
    phone        varchar(64),
    is_default   char(1) DEFAULT 'N',
    deleted      char(1) DEFAULT 'N',
    created_at   timestamp
);
CREATE INDEX addresses_customer ON addresses (customer_id);

CREATE TABLE consents (
    id           serial PRIMARY KEY,
    customer_id  integer NOT NULL DEFAULT 0, -- 0: of a guest
    email        varchar(255),             -- of a guest, whose it is
    channel      varchar(16),              -- email, sms, phone, post; E, S, T, P in the oldest rows
    granted      char(1),
    granted_at   timestamp,
    ip           varchar(64),
    wording      varchar(32),              -- version of the text that was agreed to
    withdrawn_at timestamp,
    confirmed_at timestamp                 -- of a link in an e-mail, where the text asks for it
);
CREATE INDEX consents_customer ON consents (customer_id);

CREATE TABLE consent_texts (
    id            serial PRIMARY KEY,
    version       varchar(32),
    language      char(2),
    valid_from    date,
    valid_to      date,
    body          text,
    controller    varchar(255),            -- who asked
    purposes      varchar(255),            -- "marketing, newsletter"
    channels      varchar(255),            -- "email, sms"
    double_opt_in char(1) DEFAULT 'N',     -- whether it asks for a confirmation
    usable        char(1) DEFAULT 'T',     -- what counsel has decided
    why_not       varchar(255),
    keep_months   integer                  -- how long a consent to it counts; NULL: until it is taken back
);

INSERT INTO consent_texts (version, language, valid_from, valid_to, body, controller, purposes, channels, double_opt_in, usable, why_not,
                           keep_months)
VALUES ('v0', 'pl', '1999-01-01', '2011-12-31', 'Chcę otrzymywać informacje handlowe.', NULL, 'marketing',
        'email, sms, phone, post', 'N', 'N', 'names nobody who asks, and no right to withdraw', NULL),
       ('v1', 'pl', '1995-01-01', NULL, 'Zgadzam się na otrzymywanie od Sklepu Demo ofert marketingowych. Zgodę mogę cofnąć.',
        'Sklep Demo sp. z o.o.', 'marketing', 'email, sms, phone, post', 'N', 'T', NULL, NULL),
       ('v2', 'pl', '1995-01-01', NULL, 'Zgadzam się na oferty marketingowe Sklepu Demo wybranym kanałem przez pięć lat.',
        'Sklep Demo sp. z o.o.', 'marketing', 'email, sms, phone, post', 'N', 'T', NULL, 60),
       ('v3', 'pl', '1995-01-01', NULL, 'Zgadzam się na oferty Sklepu Demo. Zgodę mogę cofnąć w każdej chwili, bez podania przyczyny.',
        'Sklep Demo sp. z o.o.', 'marketing', 'email, sms, phone, post', 'N', 'T', NULL, NULL),
       ('v4', 'pl', '1995-01-01', NULL, 'Zgadzam się na oferty i newsletter Sklepu Demo. Zgodę mogę cofnąć w każdej chwili.',
        'Sklep Demo sp. z o.o.', 'marketing, newsletter', 'email, sms, phone, post', 'N', 'T', NULL, NULL),
       ('v5', 'pl', '1995-01-01', NULL, 'Zgadzam się na oferty Sklepu Demo. Administratorem danych jest Sklep Demo sp. z o.o.',
        'Sklep Demo sp. z o.o.', 'marketing', 'email, sms, phone, post', 'N', 'T', NULL, NULL),
       ('v6', 'pl', '1995-01-01', NULL, 'Zgadzam się na oferty Sklepu Demo. Administratorem jest Sklep Demo sp. z o.o., który wyznaczył inspektora ochrony danych.',
        'Sklep Demo sp. z o.o.', 'marketing', 'email, sms, phone, post', 'N', 'T', NULL, NULL),
       ('v7', 'pl', '2024-11-10', NULL, 'Zgadzam się na oferty Sklepu Demo. Zgoda działa po kliknięciu linku potwierdzającego.',
        'Sklep Demo sp. z o.o.', 'marketing', 'email', 'T', 'T', NULL, NULL);

CREATE TABLE orders (
    id            bigserial PRIMARY KEY,
    number        varchar(32),
    customer_id   integer DEFAULT 0,       -- 0 or NULL: a guest
    email         varchar(255),
    status_code   varchar(16),
    total         numeric(14,4),
    currency      varchar(8),
    payment_code  varchar(32),
    delivery_code varchar(32),
    delivery_cost numeric(14,4) DEFAULT 0,
    ship_name     varchar(255),
    ship_street   varchar(255),
    ship_postcode varchar(20),
    ship_city     varchar(128),
    ship_country  varchar(64),
    ship_phone    varchar(64),
    note          text,
    created_at    timestamp
);
CREATE INDEX orders_customer ON orders (customer_id);
CREATE INDEX orders_email ON orders (email);
CREATE INDEX orders_created ON orders (created_at);

CREATE TABLE order_items (
    id         bigserial PRIMARY KEY,
    order_id   bigint NOT NULL DEFAULT 0,
    sku        varchar(64),
    name       varchar(255),
    quantity   integer,
    unit_price numeric(14,4),
    vat_rate   numeric(5,2),
    line_total numeric(14,4)
);
CREATE INDEX order_items_order ON order_items (order_id);

CREATE TABLE order_status_log (
    id          bigserial PRIMARY KEY,
    order_id    bigint NOT NULL DEFAULT 0,
    status_code varchar(16),
    changed_by  varchar(64),
    note        varchar(255),
    changed_at  timestamp
);
CREATE INDEX order_status_log_order ON order_status_log (order_id);

CREATE TABLE order_invoices (
    id             bigserial PRIMARY KEY,
    order_id       bigint NOT NULL DEFAULT 0,
    number         varchar(32),
    buyer_name     varchar(255),           -- the buyer as printed, whatever the account says today
    buyer_street   varchar(255),
    buyer_postcode varchar(20),
    buyer_city     varchar(128),
    buyer_country  varchar(64),
    tax_number     varchar(32),            -- of a company: "526-000-12-46", "PL5260001246", "NIP: 526 000 12 46", …
    total          numeric(14,4),
    currency       varchar(8),
    issued_at      timestamp
);
CREATE INDEX order_invoices_order ON order_invoices (order_id);

CREATE TABLE loyalty_accounts (
    id          serial PRIMARY KEY,
    customer_id integer NOT NULL DEFAULT 0,
    card_number varchar(32),
    points      integer DEFAULT 0,
    tier        varchar(16),
    created_at  timestamp
);
CREATE INDEX loyalty_accounts_customer ON loyalty_accounts (customer_id);

CREATE TABLE loyalty_log (
    id         bigserial PRIMARY KEY,
    account_id integer NOT NULL DEFAULT 0,
    kind       char(1),                    -- E earned, S spent, X expired; the sign of points depends on the year
    points     integer,
    order_id   bigint DEFAULT 0,
    note       varchar(255),
    created_at timestamp
);
CREATE INDEX loyalty_log_account ON loyalty_log (account_id);

CREATE TABLE loyalty_redemptions (
    id         bigserial PRIMARY KEY,
    account_id integer NOT NULL DEFAULT 0,
    order_id   bigint DEFAULT 0,
    reward     varchar(128),
    points     integer,
    status     varchar(16),                -- done, cancelled
    created_at timestamp
);
CREATE INDEX loyalty_redemptions_account ON loyalty_redemptions (account_id);

CREATE TABLE loyalty_rewards (
    id          bigserial PRIMARY KEY,
    customer_id integer NOT NULL DEFAULT 0,
    code        varchar(32),               -- by which it is taken
    reward      varchar(128),
    points      integer,                   -- what it took of the card
    earned_at   timestamp,
    valid_until varchar(32),               -- "2026-12-31", "31.12.2026", "0000-00-00", …
    taken_at    timestamp,
    state       char(1),                   -- O open, W handed out, X expired, A cancelled; none in the oldest rows
    order_id    bigint DEFAULT 0           -- that it was used with
);
CREATE INDEX loyalty_rewards_customer ON loyalty_rewards (customer_id);

CREATE TABLE promotions (
    id         serial PRIMARY KEY,
    code       varchar(32),                -- typed at the checkout in any case; some were given out again years later
    kind       varchar(16),                -- percent or amount: "P", "%", "proc", "K", "kwota", …
    value      numeric(14,4),
    currency   varchar(8),
    min_order  numeric(14,4) DEFAULT 0,
    valid_from varchar(32),
    valid_to   varchar(32),
    once       char(1) DEFAULT 'N',        -- T/N: once for each customer
    active     char(1) DEFAULT 'T',
    max_uses   integer DEFAULT 0,          -- 0: as many as come
    used       integer DEFAULT 0
);
