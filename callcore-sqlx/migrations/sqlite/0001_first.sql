-- Everything callcore keeps.
--
-- Instants are microseconds since 1970 in UTC, given by the caller: nothing here asks the time.
-- Ids are the 16 bytes of a UUID, phone numbers the digits of E.164 as one integer, documents JSON.

create table facts (
    name text not null primary key,
    value text not null
) strict, without rowid;

-- The latest instant of the campaign clock at which anything changed; it never goes back.
create table campaign_clock (
    id integer primary key check (id = 1),
    latest integer not null
) strict;

-- Claims so far, of all calls together: a lease's epoch. A retry that is withdrawn and planned again
-- has the same id, and whoever claimed it in its first life must have lost it.
create table claims (
    id integer primary key check (id = 1),
    latest integer not null
) strict;
insert into claims (id, latest) values (1, 0);

create table campaigns (
    id blob not null primary key,
    state text not null,
    settings_version integer not null,
    created_at integer not null,
    created_by text not null,
    started_at integer,
    ended_at integer,
    -- The earliest instant of the next dial, by the campaign's pace.
    next_dial_at integer not null default 0
) strict;
create index campaigns_by_date on campaigns (created_at, id);

-- A version is never changed: calls refer to the one they ran under.
create table campaign_settings (
    campaign blob not null references campaigns (id),
    version integer not null,
    document text not null,
    primary key (campaign, version)
) strict, without rowid;

create table imports (
    id blob not null primary key,
    campaign blob not null references campaigns (id),
    file_name text not null,
    columns text not null,
    status text not null,
    report text not null
) strict;
create index imports_by_campaign on imports (campaign, id);
create index imports_running on imports (id) where status = 'running';

-- A number is in a campaign once. `place` is the order clients came in.
create table clients (
    place integer primary key,
    id blob not null unique,
    campaign blob not null references campaigns (id),
    import blob not null references imports (id),
    line integer not null,
    phone integer not null,
    name text not null,
    -- The name as searches compare it.
    name_key text not null,
    external_id text,
    email text,
    zones text not null,
    fields text not null,
    tags text not null,
    active integer not null,
    consent text,
    person_key text,
    debt_key text,
    -- Where the client stands; the call to come is its row in `due`.
    status text not null,
    attempts integer not null default 0,
    voicemails integer not null default 0,
    last_outcome text,
    last_call_at integer,
    unique (phone, campaign)
) strict;
create index clients_by_campaign on clients (campaign, place);
create index clients_by_name on clients (name_key);

-- Any three characters of a name or number. It has no positions: what it finds is checked against
-- the row.
create virtual table client_search using fts5 (
    name_key, phone, content = 'clients', content_rowid = 'place',
    tokenize = 'trigram', detail = none, columnsize = 0
);
create trigger client_search_insert after insert on clients begin
    insert into client_search (rowid, name_key, phone) values (new.place, new.name_key, new.phone);
end;
create trigger client_search_delete after delete on clients begin
    insert into client_search (client_search, rowid, name_key, phone)
    values ('delete', old.place, old.name_key, old.phone);
end;
create trigger client_search_update after update of name_key, phone on clients begin
    insert into client_search (client_search, rowid, name_key, phone)
    values ('delete', old.place, old.name_key, old.phone);
    insert into client_search (rowid, name_key, phone) values (new.place, new.name_key, new.phone);
end;

-- How many clients of a campaign have a status: equal to a recount of `clients` at every commit.
create table client_counts (
    campaign blob not null,
    status text not null,
    clients integer not null,
    primary key (campaign, status)
) strict, without rowid;

-- A call is in exactly one of the next three tables, under one id for life: waiting, begun, over.

-- Calls that wait. A worker holds one while `lease_until` (wall clock) is set; whoever comes with
-- an older epoch lost it.
create table due (
    id blob not null primary key,
    campaign blob not null,
    client blob not null,
    phone integer not null,
    attempt integer not null,
    retry_of blob,
    intent text not null,
    by text not null,
    due_at integer not null,
    zone text,
    -- 0 for a person's wish, which comes first.
    planned integer not null,
    -- 0 while the campaign is a draft.
    serving integer not null,
    epoch integer not null,
    lease_until integer
) strict, without rowid;
create index due_queue on due (campaign, planned, due_at, id);
create index due_by_date on due (due_at, id) where serving = 1;
create index due_by_client on due (client);
create index due_leased on due (campaign, lease_until) where lease_until is not null;

-- Calls begun and not ended, and inbound calls that ring. An outbound call here counts in every cap
-- and slot, whatever crashes.
create table in_flight (
    id blob not null primary key,
    campaign blob,
    client blob,
    phone integer,
    direction text not null,
    attempt integer not null,
    retry_of blob,
    intent text not null,
    by text not null,
    due_at integer not null,
    zone text,
    epoch integer not null,
    begun_at integer,
    settings_version integer not null,
    decision text not null,
    -- 1 if nothing was heard, or nobody knows whether the carrier dialled.
    doubtful integer not null,
    -- How often the carrier was asked about it, and when (wall clock) it is next.
    looks integer not null,
    look_at integer not null
) strict, without rowid;
create index in_flight_by_campaign on in_flight (campaign, begun_at);
create index in_flight_by_client on in_flight (client) where client is not null;
create index in_flight_by_number on in_flight (phone) where begun_at is not null;

-- Calls that are over. The columns after `decision` are what its events add up to, for filters and
-- for the client's other calls; late events change them.
create table history (
    id blob not null primary key,
    campaign blob,
    client blob,
    phone integer,
    direction text not null,
    attempt integer not null,
    retry_of blob,
    intent text not null,
    by text not null,
    due_at integer not null,
    zone text,
    begun_at integer,
    settings_version integer not null,
    decision text not null,
    ended_at integer not null,
    outcome text not null,
    end_reason text,
    permanent integer not null,
    retired text,
    review text not null default 'unreviewed',
    disposition text
) strict;
create index history_by_date on history (ended_at, id);
create index history_by_campaign on history (campaign, ended_at, id);
create index history_by_outcome on history (campaign, outcome, ended_at, id);
create index history_by_client on history (client) where client is not null;
create index history_of_strangers on history (ended_at, id) where client is null;

-- The three as one, for reading a call in whatever state it is.
create view calls as
select id, campaign, client, phone, 'outbound' as direction, attempt, retry_of, intent, by, due_at,
    zone, 'due' as stage, epoch, lease_until, null as begun_at, 0 as settings_version,
    null as decision, 0 as doubtful, 0 as looks, 0 as look_at, null as ended_at, null as outcome,
    null as end_reason, 0 as permanent, null as retired, 'unreviewed' as review,
    null as disposition
from due
union all
select id, campaign, client, phone, direction, attempt, retry_of, intent, by, due_at,
    zone, 'in_flight', epoch, null, begun_at, settings_version,
    decision, doubtful, looks, look_at, null, null,
    null, 0, null, 'unreviewed',
    null
from in_flight
union all
select id, campaign, client, phone, direction, attempt, retry_of, intent, by, due_at,
    zone, 'history', 0, null, begun_at, settings_version,
    decision, 0, 0, 0, ended_at, outcome,
    end_reason, permanent, retired, review,
    disposition
from history;

-- What happened to a call. The body is the whole event, so that a repeat is the same row: a set.
create table call_events (
    call blob not null,
    body text not null,
    primary key (call, body)
) strict, without rowid;

-- Inbound calls by the carrier's id.
create table inbound (
    carrier_call_id text not null primary key,
    call blob not null
) strict, without rowid;

-- Every dial to a number, over all campaigns: what caps count.
create table number_dials (
    phone integer not null,
    at integer not null,
    call blob not null,
    primary key (phone, at, call)
) strict, without rowid;

-- Numbers that are not dialled; a number has one entry in a scope. An empty campaign is everywhere.
create table dnc (
    phone integer not null,
    campaign blob not null,
    reason text not null,
    source text not null,
    added_by text not null,
    created_at integer not null,
    primary key (phone, campaign)
) strict, without rowid;
create index dnc_by_date on dnc (created_at, phone);

-- Ended outbound calls by the quarter of an hour in which they ended, and in all: equal to a recount
-- of `history` at every commit.
create table tallies (
    campaign blob not null,
    quarter integer not null,
    outcome text not null,
    calls integer not null,
    talk_seconds integer not null,
    primary key (campaign, quarter, outcome)
) strict, without rowid;
create index tallies_by_quarter on tallies (quarter);
create table totals (
    campaign blob not null,
    outcome text not null,
    calls integer not null,
    talk_seconds integer not null,
    primary key (campaign, outcome)
) strict, without rowid;

-- What people wrote down about a client or a call; entries are added, never changed.
create table notes (
    place integer primary key,
    client blob,
    call blob,
    text text not null,
    by text not null,
    at integer not null,
    check ((client is null) <> (call is null))
) strict;
create index notes_of_clients on notes (client, place) where client is not null;
create index notes_of_calls on notes (call, place) where call is not null;

-- Who did what. Rows are only added.
create table audit (
    id blob not null primary key,
    at integer not null,
    actor text not null,
    action text not null,
    object text not null,
    old text,
    new text
) strict;
create index audit_by_date on audit (at, id);
create trigger audit_is_not_changed before update on audit begin
    select raise(abort, 'audit rows are not changed');
end;
create trigger audit_is_not_deleted before delete on audit begin
    select raise(abort, 'audit rows are not deleted');
end;

-- What people should hear about, written by the transaction that caused it. Each once.
create table outbox (
    place integer primary key,
    id blob not null unique,
    at integer not null,
    kind text not null,
    object blob not null,
    unique (kind, object)
) strict;

-- Answers given under an idempotency key; `wall` is the wall clock.
create table idempotency (
    scope text not null,
    key text not null,
    wall integer not null,
    body_hash blob not null,
    status integer not null,
    body text not null,
    primary key (scope, key)
) strict, without rowid;
create index idempotency_by_age on idempotency (wall);

create table users (
    id blob not null primary key,
    name text not null unique,
    role text not null,
    password_hash text
) strict;

-- Secrets are kept as SHA-256; `expires` is on the wall clock.
create table sessions (
    secret blob not null primary key,
    user blob not null references users (id),
    expires integer not null
) strict, without rowid;
create table sign_in_links (
    secret blob not null primary key,
    user blob not null references users (id),
    expires integer not null
) strict, without rowid;
