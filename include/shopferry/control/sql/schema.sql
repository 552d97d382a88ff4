-- The control tables, in schema ferry of the database that is written: the new shop's, and for the way back legacy's.
-- Idempotent; run under an advisory lock.

CREATE SCHEMA IF NOT EXISTS ferry;
CREATE SCHEMA IF NOT EXISTS mirror;   -- base tables of the mirror: mapped columns + _lsn, _gone, _generation

CREATE TABLE IF NOT EXISTS ferry.meta (
    singleton boolean PRIMARY KEY DEFAULT true CONSTRAINT meta_is_one_row CHECK (singleton),
    version   integer NOT NULL
);

-- Which store the application writes to. The version grows with every switch.
CREATE TABLE IF NOT EXISTS ferry.route (
    route      text PRIMARY KEY,
    installed  text,                         -- fingerprint of the mappings that the mirror was made for
    active     text NOT NULL DEFAULT 'legacy' CONSTRAINT route_active_is_a_store CHECK (active IN ('legacy', 'shop')),
    version    integer NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS ferry.phase (
    route      text NOT NULL,
    phase      text NOT NULL,
    position   integer NOT NULL,             -- order of the phases
    state      text NOT NULL DEFAULT 'new'
        CONSTRAINT phase_state_is_known CHECK (state IN (
            'new',        -- nothing done yet
            'copying',    -- chunks are being copied into the mirror
            'merging',    -- its entities are live: chunks and stream both merge them
            'in_sync',    -- everything merged, applied watermark past the copy
            'verified',   -- compared and found equal; the next phase may start
            'cut_over')), -- the store that it writes owns the data: the mirror is kept, nothing is merged
    holder     text,                         -- who runs it now; NULL when nobody does
    held_since timestamptz,
    held_until timestamptz,                  -- a holder that does not renew by then has died
    chunk_size integer NOT NULL DEFAULT 10000 CONSTRAINT phase_chunk_size_is_sane CHECK (chunk_size BETWEEN 100 AND 1000000),
    rows_per_second integer CONSTRAINT phase_throttle_is_positive CHECK (rows_per_second > 0),  -- NULL: unthrottled
    sample     integer CONSTRAINT phase_sample_is_positive CHECK (sample > 0),  -- NULL: everything
    generation integer NOT NULL DEFAULT 1,   -- of the mirror's rows; a resync begins the next one
    started    timestamptz,
    finished   timestamptz,
    seconds    double precision NOT NULL DEFAULT 0,
    updated    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (route, phase)
);
ALTER TABLE ferry.phase ADD COLUMN IF NOT EXISTS ran_by text;  -- the last that held it, for the report

-- Units of work of a phase: key ranges of a legacy table (copy) or of an entity's keys (merge).
CREATE TABLE IF NOT EXISTS ferry.chunk (
    route    text NOT NULL,
    phase    text NOT NULL,
    kind     text NOT NULL CONSTRAINT chunk_kind_is_known CHECK (kind IN (
                 'copy',      -- of a legacy table into the mirror
                 'resync',    -- the same again after changes were lost on the way
                 'merge')),   -- of an entity's keys into the shop
    target   text NOT NULL,                  -- copy: legacy table; merge: mapping name
    position integer NOT NULL,               -- of the target within its phase: merge order
    no       integer NOT NULL,
    low      jsonb,                          -- exclusive lower bound of the key, NULL: from the beginning
    high     jsonb,                          -- inclusive upper bound, NULL: to the end
    state    text NOT NULL DEFAULT 'planned'
        CONSTRAINT chunk_state_is_known CHECK (state IN (
            'planned',    -- waits for a worker
            'done')),     -- committed together with its rows
    rows     bigint NOT NULL DEFAULT 0,
    attempts integer NOT NULL DEFAULT 0,
    worker   text,
    finished timestamptz,
    seconds  double precision,
    watermark pg_lsn,                        -- legacy's log position after the read (copy)
    PRIMARY KEY (route, phase, kind, target, no)
);
-- A claim takes the first that waits: without this it would look at every chunk of a plan of thousands, once for each.
CREATE INDEX IF NOT EXISTS chunk_planned ON ferry.chunk (route, phase, kind, position, no) WHERE state = 'planned';

-- Units of live phases that were not loaded yet. Of the one that is being loaded the stream notes the keys it touches; the others
-- wait, and the stream passes them over.
CREATE TABLE IF NOT EXISTS ferry.unloaded (
    route    text NOT NULL,
    unit     text NOT NULL,                  -- mapping name
    loading  boolean NOT NULL DEFAULT false,
    PRIMARY KEY (route, unit)
);
-- Keys that the stream touched while their unit was being loaded, merged once more after it; and keys that a batch which ran
-- `ahead` has left to be merged behind it.
CREATE TABLE IF NOT EXISTS ferry.touched (
    route text NOT NULL,
    unit  text NOT NULL,
    key   text NOT NULL
);
ALTER TABLE ferry.touched
    ADD COLUMN IF NOT EXISTS no bigint GENERATED ALWAYS AS IDENTITY,  -- batches note one after the other, so theirs rise
    ADD COLUMN IF NOT EXISTS noted_by xid8 NOT NULL DEFAULT pg_current_xact_id(),  -- the transaction: keys of one are merged together
    ADD COLUMN IF NOT EXISTS ahead boolean NOT NULL DEFAULT false;
CREATE INDEX IF NOT EXISTS touched_unit ON ferry.touched (route, unit);

-- The next offset to apply, per partition: committed with the rows it stands for.
CREATE TABLE IF NOT EXISTS ferry.kafka_offset (
    route     text NOT NULL,
    topic     text NOT NULL,
    partition integer NOT NULL,
    next      bigint NOT NULL,
    updated   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (route, topic, partition)
);
-- The topic's id at the broker, what was applied of it since the position was first booked, and how far in legacy's log
-- that reaches.
ALTER TABLE ferry.kafka_offset
    ADD COLUMN IF NOT EXISTS topic_id  text,                       -- so that a topic made anew is not taken for this one
    ADD COLUMN IF NOT EXISTS events    bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS bytes     bigint NOT NULL DEFAULT 0,  -- of those events, as the broker delivered them
    ADD COLUMN IF NOT EXISTS lsn       pg_lsn,                     -- of the newest change applied
    ADD COLUMN IF NOT EXISTS committed timestamptz;                -- when legacy committed that change

-- Whether the stream is whole: what came through it, what the slot was when last looked at, what was lost.
CREATE TABLE IF NOT EXISTS ferry.stream (
    route          text PRIMARY KEY,
    beat           bigint,                   -- the last of legacy's beats that arrived; a hole before the next is a gap
    slot_txns      bigint,                   -- transactions the slot had decoded; fewer of them: it is another slot
    legacy_started timestamptz,              -- since when legacy's server ran then: a crash forgets the count as well
    lost           text                      -- what kept changes from us; only a resync clears it
);

-- One row per replayed batch: lag, throughput, and whether the consumer lives.
CREATE TABLE IF NOT EXISTS ferry.replay_batch (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    route    text NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    events   integer NOT NULL,
    lag_ms   integer[] NOT NULL,             -- commit in legacy → applied, a sample of at most 50 events
    apply_ms integer NOT NULL
);
CREATE INDEX IF NOT EXISTS replay_batch_at ON ferry.replay_batch (route, at);

-- The consumer's sign of life, and why it stopped if it did.
CREATE TABLE IF NOT EXISTS ferry.consumer (
    route    text NOT NULL,
    consumer text NOT NULL,
    seen     timestamptz NOT NULL DEFAULT now(),
    stopped  text,                           -- the clear error it stopped with; NULL while it runs
    PRIMARY KEY (route, consumer)
);
ALTER TABLE ferry.consumer ADD COLUMN IF NOT EXISTS stopped_at timestamptz;  -- when; kept for the first seconds of a new life

-- Which legacy rows are which shop row; many legacy rows may be one shop row. The only place where identity lives.
CREATE TABLE IF NOT EXISTS ferry.identity (
    entity     text NOT NULL,
    legacy_key bigint NOT NULL,
    shop_key   bigint NOT NULL,
    cluster    text NOT NULL,
    PRIMARY KEY (entity, legacy_key)
);
CREATE INDEX IF NOT EXISTS identity_shop_key ON ferry.identity (entity, shop_key);
CREATE INDEX IF NOT EXISTS identity_cluster ON ferry.identity USING hash (cluster);
ALTER TABLE ferry.identity ADD COLUMN IF NOT EXISTS shop_id text;  -- the key as the target writes it, where that is a text
CREATE INDEX IF NOT EXISTS identity_shop_id ON ferry.identity (entity, shop_id) WHERE shop_id IS NOT NULL;
CREATE OR REPLACE FUNCTION ferry.refuse_keys(entity text, one bigint, other bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'identity %: the keys % and % would be one key in the new shop', entity, one, other
        USING ERRCODE = 'SF002',
              HINT = 'A function that makes texts of keys must make another text of each. Without a sequence, each row '
                     'must be a cluster of its own.';
END $$;

-- What the libraries made of each distinct raw value: the audit trail of every correction.
CREATE TABLE IF NOT EXISTS ferry.standardized (
    kind    text NOT NULL,
    raw     text NOT NULL,
    value   text,                            -- NULL: it cannot be used
    problem text,                            -- reason code: why it cannot be used, or what was corrected
    CONSTRAINT standardized_says_why CHECK (value IS NOT NULL OR problem IS NOT NULL)
);
-- Raw values may be longer than a B-tree entry can be.
ALTER TABLE ferry.standardized
    ADD COLUMN IF NOT EXISTS judged_by integer NOT NULL DEFAULT 1;  -- the version of the standardizers
CREATE UNIQUE INDEX IF NOT EXISTS standardized_once ON ferry.standardized (kind, md5(raw));
CREATE INDEX IF NOT EXISTS standardized_raw ON ferry.standardized USING hash (raw);
-- By value only what tells who somebody is: lineage goes from an identity's cluster to the raw values that lead to it. Of other
-- kinds thousands of raw values share one, and each insert would look through all pages of that bucket for room.
DROP INDEX IF EXISTS ferry.standardized_value;  -- until version 6, of all kinds
DROP INDEX IF EXISTS ferry.standardized_who;    -- until version 7, without marks
CREATE INDEX IF NOT EXISTS standardized_person ON ferry.standardized USING hash (value)
    WHERE kind IN ('email', 'phone', 'email_mark', 'phone_mark');

-- The key that marks are made with, by its fingerprint; the key itself is in no database.
CREATE TABLE IF NOT EXISTS ferry.mark_key (
    singleton   boolean PRIMARY KEY DEFAULT true CONSTRAINT mark_key_is_one_row CHECK (singleton),
    fingerprint text NOT NULL
);

-- Whether our own flow writes: a route's triggers that give keys at birth leave its rows as they are.
CREATE OR REPLACE FUNCTION ferry.is_ours() RETURNS boolean LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN coalesce(current_setting('shopferry.writer', true) = 'ferry', false);

-- What the installation is like, by [settings] in route.toml: mappings and the route's functions read it.
CREATE TABLE IF NOT EXISTS ferry.setting (
    name   text PRIMARY KEY,
    value  text NOT NULL,
    secret boolean NOT NULL,
    merged boolean NOT NULL DEFAULT true     -- false: changed, and what reads it was not merged again yet
);

-- The columns of the tables that a route fills, as they were when it was installed.
CREATE TABLE IF NOT EXISTS ferry.target_column (
    route  text NOT NULL,
    entity text NOT NULL,
    name   text NOT NULL,
    PRIMARY KEY (route, entity, name)
);

-- Imports of opt-outs that are kept elsewhere.
CREATE TABLE IF NOT EXISTS ferry.optout_import (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    route       text NOT NULL,
    source      text NOT NULL,               -- whose list it is, as route.toml names it
    format      text NOT NULL,
    file_sha256 text NOT NULL CONSTRAINT optout_import_has_a_checksum CHECK (file_sha256 ~ '^[0-9a-f]{64}$'),
    imported_at timestamptz,                 -- NULL: not through yet, or broken off
    imported_by text NOT NULL,
    rows_taken  bigint NOT NULL DEFAULT 0,   -- new, or of a later time than was known
    rows_known  bigint NOT NULL DEFAULT 0    -- known already
);

-- Who refuses a channel by what other tools and registers say; an address stands here only as its mark.
CREATE TABLE IF NOT EXISTS ferry.optout (
    route    text NOT NULL,
    source   text NOT NULL,
    mark     text NOT NULL CONSTRAINT optout_mark_is_a_mark CHECK (mark ~ '^[0-9a-f]{32}$'),
    kind     text NOT NULL CONSTRAINT optout_kind_is_known CHECK (kind IN ('email', 'phone')),  -- of what the mark is
    channel  text NOT NULL CONSTRAINT optout_channel_is_known CHECK (channel IN ('email', 'sms', 'phone', 'post')),
    reason   text NOT NULL CONSTRAINT optout_reason_is_known CHECK (reason IN (
        'unsubscribed',
        'bounced',       -- mail to it came back for good
        'complained',    -- reported as spam
        'register')),    -- stands in a register of those who want no calls or mail
    at       timestamptz,                    -- NULL: nobody knows when
    imported bigint NOT NULL REFERENCES ferry.optout_import,
    PRIMARY KEY (mark, channel, source, reason, route)
);

-- The day that it is for mappings that depend on it: one row, which a tick moves on.
CREATE TABLE IF NOT EXISTS ferry.clock (
    one   boolean PRIMARY KEY DEFAULT true CONSTRAINT clock_is_one_row CHECK (one),
    as_of date NOT NULL
);
INSERT INTO ferry.clock (as_of) VALUES (current_date) ON CONFLICT DO NOTHING;

-- How many customers each segment had, day by day, and what their orders of a year were worth.
CREATE TABLE IF NOT EXISTS ferry.segment_count (
    route     text NOT NULL,
    day       date NOT NULL,
    scheme    text NOT NULL,
    segment   text NOT NULL,
    customers bigint NOT NULL,
    value     jsonb NOT NULL,                -- by currency
    PRIMARY KEY (route, day, scheme, segment)
);

-- Pairs of rows that may be one, by their keys in the store that is read, and what people have decided of them.
CREATE TABLE IF NOT EXISTS ferry.pair (
    route    text NOT NULL,
    entity   text NOT NULL,                  -- the identity
    a        bigint NOT NULL,
    b        bigint NOT NULL CONSTRAINT pair_is_in_order CHECK (a < b),
    score    double precision NOT NULL CONSTRAINT pair_score_is_a_share CHECK (score BETWEEN 0 AND 1),
    features jsonb NOT NULL,                 -- how alike each thing is; no value of anybody
    rule     text NOT NULL,                  -- that has found it: its file's name without the ending
    state    text NOT NULL DEFAULT 'new' CONSTRAINT pair_state_is_known CHECK (state IN (
        'new',
        'same',          -- an edge of identity
        'different',     -- a wall of identity
        'later')),       -- looked at, and left for later by name
    who      text,
    at       timestamptz,                    -- of the decision
    why      text,
    CONSTRAINT pair_is_decided_by_somebody CHECK (state = 'new' OR (who <> '' AND at IS NOT NULL AND why <> '')),
    PRIMARY KEY (a, b, entity, route)
);
CREATE INDEX IF NOT EXISTS pair_other ON ferry.pair (b);
-- When pairs were looked for last, and what that did not look at: blocks with more rows than their rule allows, by rule.
CREATE TABLE IF NOT EXISTS ferry.pair_search (
    route    text PRIMARY KEY,
    at       timestamptz NOT NULL,
    who      text NOT NULL,
    seconds  double precision NOT NULL,
    compared bigint NOT NULL,
    kept     bigint NOT NULL,
    passed   jsonb NOT NULL
);

-- Rows that may not enter the shop yet. Replaced whenever their key is merged again.
CREATE TABLE IF NOT EXISTS ferry.quarantine (
    entity          text NOT NULL,
    row_key         text NOT NULL,
    key             text NOT NULL,           -- the aggregate key to merge again
    reasons         text[] NOT NULL CONSTRAINT quarantine_has_a_reason CHECK (cardinality(reasons) > 0),
    sqlstate        text,
    constraint_name text,
    since           timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (entity, row_key)
);
-- The aggregate key of the row that has the unique value for which this one is refused; empty once that row was merged, so
-- that this one is tried again.
ALTER TABLE ferry.quarantine ADD COLUMN IF NOT EXISTS held_by text;
CREATE INDEX IF NOT EXISTS quarantine_key ON ferry.quarantine (entity, key);
CREATE INDEX IF NOT EXISTS quarantine_held_by ON ferry.quarantine (held_by, entity) WHERE held_by IS NOT NULL;
CREATE INDEX IF NOT EXISTS quarantine_still_referenced ON ferry.quarantine (entity, key)
    WHERE reasons @> '{still_referenced}';  -- each batch looks whether one of these may go now

-- Rows that a named rule leaves out.
CREATE TABLE IF NOT EXISTS ferry.left_out (
    entity  text NOT NULL,
    row_key text NOT NULL,
    key     text NOT NULL,
    reason  text NOT NULL,
    PRIMARY KEY (entity, row_key)
);
-- Rows that waited after the cutover and were given up; they count as left out.
CREATE TABLE IF NOT EXISTS ferry.decision (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    route   text NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    entity  text NOT NULL,
    row_key text NOT NULL,
    reasons text[] NOT NULL,                 -- why it waited
    why     text NOT NULL,
    who     text NOT NULL
);
-- What the people who answer for an area have accepted; each verification after it asks them again.
CREATE TABLE IF NOT EXISTS ferry.acceptance (
    id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    route text NOT NULL,
    at    timestamptz NOT NULL DEFAULT now(),
    area  text NOT NULL,
    note  text NOT NULL CONSTRAINT acceptance_says_what_was_looked_at CHECK (btrim(note) <> ''),
    who   text NOT NULL CONSTRAINT acceptance_is_by_somebody CHECK (btrim(who) <> '')
);
CREATE INDEX IF NOT EXISTS left_out_key ON ferry.left_out (entity, key);

-- Until version 2 differences had neither column nor state and were made anew by each verification.
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('ferry.difference') AND attname = 'seen') THEN
        DROP TABLE ferry.difference;
    END IF;
END $$;

-- What verification found: a row for each column that differs. Values only as shapes: letters as x, digits as 9.
CREATE TABLE IF NOT EXISTS ferry.difference (
    route       text NOT NULL,
    phase       text NOT NULL,
    layer       text NOT NULL CONSTRAINT difference_layer_is_known CHECK (layer IN (
        'mirror',        -- mirror ≠ legacy
        'shop',          -- shop ≠ mapping(mirror)
        'identity',      -- who is the same customer ≠ what the identity's SELECT says
        'quarantine',    -- what is held back ≠ what the mapping has problems with
        'accounting',    -- the three counts do not add up to the source
        'check')),       -- a business check is broken
    target      text NOT NULL,               -- legacy table, entity or identity
    key         text NOT NULL,
    column_name text NOT NULL DEFAULT '',    -- empty: the row; of a check: the check's name
    kind        text NOT NULL CONSTRAINT difference_kind_is_known CHECK (kind IN (
        'missing',       -- it should be there
        'extra',         -- it should not be there
        'differs',       -- it is there, and another
        'unaccounted',   -- so many rows are neither migrated nor quarantined nor left out
        'breach')),      -- it breaks a business check
    aggregate   text,                        -- the key to be merged again; NULL where merging cannot help
    expected    text,
    found       text,
    state       text NOT NULL DEFAULT 'open' CONSTRAINT difference_state_is_known CHECK (state IN (
        'open',
        'explained',     -- somebody has said by name why it may be so
        'repaired',      -- by `repair`, which has looked at it again
        'gone')),        -- the next verification did not meet it any more
    first_seen  timestamptz NOT NULL,
    last_seen   timestamptz NOT NULL,        -- the verification that met it last
    settled     timestamptz,
    explanation text,
    who         text,                        -- explained or repaired it
    CONSTRAINT difference_is_explained_by_somebody CHECK (state <> 'explained' OR (explanation <> '' AND who <> '')),
    PRIMARY KEY (route, phase, layer, target, key, column_name)
);

CREATE TABLE IF NOT EXISTS ferry.verification (
    route         text NOT NULL,
    phase         text NOT NULL,
    at            timestamptz NOT NULL DEFAULT now(),
    rows_compared bigint NOT NULL,
    differences   bigint NOT NULL,           -- open ones
    seconds       double precision NOT NULL,
    accounting    jsonb NOT NULL,
    PRIMARY KEY (route, phase, at)
);
-- NULL while it is under way, or when it was broken off.
ALTER TABLE ferry.verification ADD COLUMN IF NOT EXISTS finished timestamptz DEFAULT now();
-- The files that held the source's tables and partitions when it began: {"public.orders_2019": 16412}.
ALTER TABLE ferry.verification ADD COLUMN IF NOT EXISTS files jsonb;

-- How far a verification under way has come: what is up to `high` is compared, all of it where that is NULL.
CREATE TABLE IF NOT EXISTS ferry.verification_step (
    route  text NOT NULL,
    phase  text NOT NULL,
    at     timestamptz NOT NULL,
    layer  text NOT NULL,
    target text NOT NULL,
    high   jsonb,
    PRIMARY KEY (route, phase, at, layer, target)
);

-- Each repair: who had how many differences mended, and what is left of them.
CREATE TABLE IF NOT EXISTS ferry.repair (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    route       text NOT NULL,
    phase       text NOT NULL,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    who         text NOT NULL,
    differences bigint NOT NULL,
    repaired    bigint NOT NULL,
    remaining   bigint NOT NULL,
    seconds     double precision NOT NULL,
    CONSTRAINT repair_adds_up CHECK (repaired + remaining = differences)
);

-- The conditions of the cutover as last judged, with their evidence.
CREATE TABLE IF NOT EXISTS ferry.gate (
    route    text NOT NULL,
    gate     text NOT NULL,
    met      boolean NOT NULL,
    evidence text NOT NULL,
    remedy   text NOT NULL,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (route, gate)
);

-- Each step of a cutover or rollback, as it was done.
CREATE TABLE IF NOT EXISTS ferry.cutover_step (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    route   text NOT NULL,
    version integer NOT NULL,                -- the route's version that this cutover makes
    step    text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ms      double precision NOT NULL,
    who     text NOT NULL,
    detail  text NOT NULL DEFAULT ''
);

-- Backups of either store and whether one was ever restored. The files lie with whoever took them; this proves them.
CREATE TABLE IF NOT EXISTS ferry.backup (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    route        text NOT NULL,
    store        text NOT NULL CONSTRAINT backup_store_is_known CHECK (store IN (
        'legacy',             -- the old shop's database
        'shop')),             -- the new shop's, with mirror and control tables
    reason       text NOT NULL CONSTRAINT backup_reason_is_known CHECK (reason IN (
        'by_hand',            -- somebody asked for it
        'before_merge',       -- the new shop held rows that no merge of ours had made
        'before_cutover')),   -- the gate asks for one
    method       text NOT NULL CONSTRAINT backup_method_is_known CHECK (method IN (
        'pg_dump',            -- ours, at a snapshot in which `tables` was counted
        'command')),          -- the team's own; `tables` was counted just before it
    file         text NOT NULL,
    bytes        bigint NOT NULL CONSTRAINT backup_is_not_empty CHECK (bytes > 0),
    sha256       text NOT NULL CONSTRAINT backup_has_a_checksum CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    taken        timestamptz NOT NULL,        -- the state it holds, not when it was done
    seconds      double precision NOT NULL,
    who          text NOT NULL,
    tables       jsonb NOT NULL,              -- rows of each table
    tested       timestamptz,                 -- when it was last restored into a scratch database; NULL: never
    test_seconds double precision,
    problem      text,                        -- what that restore failed with; NULL: nothing
    CONSTRAINT backup_problem_is_of_a_test CHECK (problem IS NULL OR tested IS NOT NULL)
);
-- When its file is to go, known from its birth; those of versions before this get the period that routes have by default.
ALTER TABLE ferry.backup
    ADD COLUMN IF NOT EXISTS keep_until timestamptz,
    ADD COLUMN IF NOT EXISTS encrypted  boolean NOT NULL DEFAULT false,  -- by SHOPFERRY_BACKUP_ENCRYPT
    ADD COLUMN IF NOT EXISTS removed    timestamptz;                     -- when its file went, for its end had come
UPDATE ferry.backup SET keep_until = taken + interval '30 days' WHERE keep_until IS NULL;
ALTER TABLE ferry.backup ALTER COLUMN keep_until SET NOT NULL;
CREATE INDEX IF NOT EXISTS backup_taken ON ferry.backup (route, store, taken);

-- What stood in the new shop's tables when our fence closed them. Verification looks past these rows, repair leaves them.
CREATE TABLE IF NOT EXISTS ferry.prior_row (
    entity text NOT NULL,
    key    text NOT NULL,
    PRIMARY KEY (entity, key)
);

-- Texts of the new shop that legacy is too short for, while legacy is open; the next cutover puts them back.
CREATE TABLE IF NOT EXISTS ferry.kept (
    entity   text NOT NULL,
    "column" text NOT NULL,
    key      text[] NOT NULL,
    value    text NOT NULL,
    PRIMARY KEY (entity, "column", key)
);

-- Rehearsals: a sample of legacy that went through all phases into scratch databases, and how that ended.
CREATE TABLE IF NOT EXISTS ferry.rehearsal (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    route         text NOT NULL,
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    who           text NOT NULL,
    fingerprint   text NOT NULL,              -- of the mappings that were rehearsed
    customers     integer NOT NULL CONSTRAINT rehearsal_is_of_somebody CHECK (customers > 0),  -- asked for, at random
    pseudonymised boolean NOT NULL,
    seconds       double precision NOT NULL,
    phases        jsonb NOT NULL CONSTRAINT rehearsal_phases_are_a_list CHECK (jsonb_typeof(phases) = 'array'),
    problem       text,                       -- what ended it before its time; NULL: it came to its end
    green         boolean NOT NULL,           -- nothing differs, no rule is broken, every row is accounted for
    CONSTRAINT rehearsal_green_has_no_problem CHECK (problem IS NULL OR NOT green)
);
-- Who decided to rehearse with real data; NULL: it got pseudonyms, or is older than this column.
ALTER TABLE ferry.rehearsal ADD COLUMN IF NOT EXISTS real_data_by text
    CONSTRAINT rehearsal_real_data_has_a_name CHECK (real_data_by <> '');
CREATE INDEX IF NOT EXISTS rehearsal_at ON ferry.rehearsal (route, at);
-- Who decided to start the first phase without a green rehearsal of its mappings; NULL: there was one.
ALTER TABLE ferry.phase ADD COLUMN IF NOT EXISTS without_rehearsal text;

-- What people ask of the data held on them. It names them by keys alone.
CREATE TABLE IF NOT EXISTS ferry.request (
    id           bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    route        text NOT NULL,
    kind         text NOT NULL CONSTRAINT request_kind_is_known
                 CHECK (kind IN ('access', 'erasure', 'rectification', 'restriction', 'objection')),
    received     date NOT NULL,
    due          date NOT NULL,                  -- a month later, as the law wants it
    verified_by  text NOT NULL,                  -- who made sure that it is they who ask
    verified_how text NOT NULL,
    state        text NOT NULL DEFAULT 'open' CONSTRAINT request_state_is_known
                 CHECK (state IN ('open', 'granted', 'running', 'done', 'refused')),
    decided_by   text,
    decided_at   timestamptz,
    despite      text,                           -- why it is granted although something stands in its way
    refusal      text,
    closed       timestamptz,
    certificate  jsonb                           -- what was done, without a value of the person's
);
CREATE TABLE IF NOT EXISTS ferry.request_person (
    request bigint NOT NULL REFERENCES ferry.request (id) ON DELETE CASCADE,
    store   text NOT NULL CONSTRAINT request_person_store_is_known CHECK (store IN ('legacy', 'shop')),
    key     text NOT NULL,
    PRIMARY KEY (request, store, key)
);
-- What is searched for and swept when a request runs; gone when it is done.
CREATE TABLE IF NOT EXISTS ferry.request_value (
    request bigint NOT NULL REFERENCES ferry.request (id) ON DELETE CASCADE,
    kind    text NOT NULL,                       -- of the verdict on it, or `contact`
    value   text NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS request_value_is_once ON ferry.request_value (request, kind, md5(value));
CREATE TABLE IF NOT EXISTS ferry.request_step (
    request bigint NOT NULL REFERENCES ferry.request (id) ON DELETE CASCADE,
    step    text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    done    jsonb NOT NULL DEFAULT '{}',         -- counts by place
    PRIMARY KEY (request, step)
);

-- Runs of the route's audits, and what each audit has counted: bad rows of how many, by segment.
CREATE TABLE IF NOT EXISTS ferry.audit_run (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    route   text NOT NULL,
    at      timestamptz NOT NULL,
    who     text NOT NULL,
    seconds double precision NOT NULL,
    told    timestamptz                          -- when on-call was told what has become worse; NULL: not by this run
);
CREATE INDEX IF NOT EXISTS audit_run_at ON ferry.audit_run (route, at);
CREATE TABLE IF NOT EXISTS ferry.audit_value (
    run     bigint NOT NULL REFERENCES ferry.audit_run (id) ON DELETE CASCADE,
    audit   text NOT NULL,                       -- its file's name without the ending
    segment text NOT NULL,
    bad     bigint NOT NULL,
    "of"    bigint NOT NULL,
    state   text NOT NULL CONSTRAINT audit_value_state_is_known CHECK (state IN (
        'good',
        'warn',
        'error',
        'empty')),                               -- there was nothing to count
    CONSTRAINT audit_value_is_a_part CHECK (bad BETWEEN 0 AND "of"),
    CONSTRAINT audit_value_of_nothing_is_empty CHECK ((state = 'empty') = ("of" = 0)),
    PRIMARY KEY (run, audit, segment)
);
-- What was handed over to recipients outside the shop, by the route's activations: by keys and keyed marks alone.
CREATE TABLE IF NOT EXISTS ferry.activation_run (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    route       text NOT NULL,
    activation  text NOT NULL,                   -- its file's name without the ending
    destination text NOT NULL,                   -- the tool: mailchimp, csv, …
    recipient   text NOT NULL,
    fields      text[] NOT NULL,                 -- what each person's row holds, as the destination calls it
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),  -- when it was frozen
    who         text NOT NULL,
    approved_by text,                            -- of an activation's first run
    gained      bigint NOT NULL,
    changed     bigint NOT NULL,
    lost        bigint NOT NULL,
    suppressed  bigint NOT NULL,
    withheld    bigint NOT NULL,                 -- allowed when it was built, and no more when it was handed over
    handed_over timestamptz                      -- NULL: it was broken off, and the next run does it again
);
CREATE INDEX IF NOT EXISTS activation_run_of ON ferry.activation_run (route, activation, id);
CREATE TABLE IF NOT EXISTS ferry.activation_member (
    route       text NOT NULL,
    activation  text NOT NULL,
    customer_id text NOT NULL,                   -- the new shop's key
    mark        text NOT NULL CONSTRAINT activation_member_mark_is_a_mark CHECK (mark ~ '^([0-9a-f]{32})?$'),  -- empty by post
    row_hash    text NOT NULL CONSTRAINT activation_member_hash_is_a_mark CHECK (row_hash ~ '^[0-9a-f]{32}$'),  -- keyed, too
    state       text NOT NULL CONSTRAINT activation_member_state_is_known CHECK (state IN (
        'in',                                    -- the recipient has them
        'out',                                   -- the recipient was told to let them go
        'refused',                               -- the recipient was handed them, and does not take them as they are
        'failed')),                              -- a run was broken off: nobody knows, so they are handed over again, or let go
    first_sent  timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at     timestamptz NOT NULL DEFAULT clock_timestamp(),  -- when the recipient was last told of them
    run         bigint NOT NULL REFERENCES ferry.activation_run (id),
    PRIMARY KEY (route, activation, customer_id, mark)
);
CREATE INDEX IF NOT EXISTS activation_member_customer ON ferry.activation_member (customer_id);
