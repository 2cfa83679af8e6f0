-- Audio that scripts play, and calls that no client is for: test calls.

create table audio (
    id blob not null primary key,
    name text not null,
    format text not null,
    size integer not null,
    created_at integer not null,
    created_by text not null,
    -- Last, so that whoever lists the others does not read past them.
    bytes blob not null
) strict;
create index audio_by_date on audio (created_at, id);

drop view calls;

-- A test call waits like every other and has no client; the sample's fields fill its script.
create table due_with_tests (
    id blob not null primary key,
    campaign blob not null,
    client blob,
    sample blob,
    phone integer not null,
    attempt integer not null,
    retry_of blob,
    intent text not null,
    by text not null,
    due_at integer not null,
    zone text,
    -- 0 for a person's wish, which comes first.
    planned integer not null,
    -- 0 while the campaign is a draft, and for a test call: what is shown as to come has a 1.
    serving integer not null,
    epoch integer not null,
    lease_until integer,
    check (client is not null or intent = 'test')
) strict, without rowid;
insert into due_with_tests
select id, campaign, client, null, phone, attempt, retry_of, intent, by, due_at, zone, planned,
    serving, epoch, lease_until
from due;
drop table due;
alter table due_with_tests rename to due;
create index due_queue on due (campaign, planned, due_at, id);
create index due_by_date on due (due_at, id) where serving = 1;
create index due_by_client on due (client) where client is not null;
create index due_leased on due (campaign, lease_until) where lease_until is not null;
create index due_tests on due (phone) where client is null;

alter table in_flight add column sample blob;
alter table history add column sample blob;

create view calls as
select id, campaign, client, sample, phone, 'outbound' as direction, attempt, retry_of, intent, by,
    due_at, zone, 'due' as stage, epoch, lease_until, null as begun_at, 0 as settings_version,
    null as decision, 0 as doubtful, 0 as looks, 0 as look_at, null as ended_at, null as outcome,
    null as end_reason, 0 as permanent, null as retired, 'unreviewed' as review,
    null as disposition
from due
union all
select id, campaign, client, sample, phone, direction, attempt, retry_of, intent, by,
    due_at, zone, 'in_flight', epoch, null, begun_at, settings_version,
    decision, doubtful, looks, look_at, null, null,
    null, 0, null, 'unreviewed',
    null
from in_flight
union all
select id, campaign, client, sample, phone, direction, attempt, retry_of, intent, by,
    due_at, zone, 'history', 0, null, begun_at, settings_version,
    decision, 0, 0, 0, ended_at, outcome,
    end_reason, permanent, retired, review,
    disposition
from history;
