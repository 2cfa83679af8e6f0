-- The account as a whole: one row.
create table account (
    id integer primary key check (id = 1),
    settings_version integer not null,
    -- The zone of days while the settings name none.
    server_zone text not null,
    -- The switch that stops all dialling: who threw it, when and why.
    stopped_at integer,
    stopped_by text,
    stop_reason text,
    -- The earliest instant of the next dial, by the account's pace.
    next_dial_at integer not null default 0,
    -- Outbound calls begun and not ended: equal to a recount of `in_flight` at every commit.
    live integer not null default 0
) strict;
insert into account (id, settings_version, server_zone, live)
select 1, 1, 'UTC', count(*) from in_flight where begun_at is not null;

-- A version is never changed. The first is all defaults.
create table account_settings (
    version integer not null primary key,
    document text not null
) strict;
insert into account_settings (version, document) values (1, '{}');

-- Dials by the quarter of an hour in which they began, of each campaign and, under an empty one,
-- of the account: what a local day may hold is counted with them. Equal to a recount of the calls
-- at every commit.
create table dial_meters (
    campaign blob not null,
    quarter integer not null,
    begun integer not null,
    live integer not null,
    -- Started minutes of talk, of those that ended.
    minutes integer not null,
    primary key (campaign, quarter)
) strict, without rowid;
insert into dial_meters (campaign, quarter, begun, live, minutes)
with dials (campaign, quarter, live, minutes) as (
    select campaign, begun_at / 900000000 * 900000000, 1, 0 from in_flight
    where direction = 'outbound' and begun_at is not null
    union all
    select campaign, begun_at / 900000000 * 900000000, 0, (talk_seconds + 59) / 60 from history
    where direction = 'outbound' and begun_at is not null
)
select campaign, quarter, count(*), sum(live), sum(minutes) from dials group by 1, 2
union all
select x'', quarter, count(*), sum(live), sum(minutes) from dials group by 2;

-- Slots that calls without news no longer hold.
create index in_flight_by_age on in_flight (begun_at) where begun_at is not null;

alter table campaigns add column paused_at integer;
alter table campaigns add column paused_by text;
alter table campaigns add column pause_reason text;
-- Dials that ended since count for the breaker.
alter table campaigns add column counted_from integer not null default 0;
-- The epoch of the planned call that was claimed last: of one priority, whoever's is lowest is next.
alter table campaigns add column turn integer not null default 0;
